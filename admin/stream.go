package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/otelnet/agent/history"
)

// stream answers /api/stream: the snapshots since the one the viewer knows, then one event for each new one.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	since, err := streamSince(r)
	if err != nil {
		badParameter(w, err)
		return
	}
	h := w.Header()
	if r.Method == http.MethodHead {
		h.Set("Content-Type", "text/event-stream")
		return
	}
	next, last, ok := s.hub.join()
	if !ok {
		h.Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, "unavailable", fmt.Sprintf("%d viewers are served already, or the server is stopping", maxViewers))
		return
	}
	defer s.hub.leave()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies must pass each event on at once
	w.WriteHeader(http.StatusOK)
	v := viewer{w: w, rc: http.NewResponseController(w)}
	if v.event("", "", []byte(": connected\nretry: 2000\n\n")) != nil {
		return
	}
	// What came between the viewer's last snapshot and the first frame it will get.
	if !since.IsZero() && since.Before(last) {
		res := s.cfg.History.Query(history.Query{Since: since, Until: last, Step: time.Second, Select: pageView})
		if v.event("tick", strconv.FormatInt(last.UnixMilli(), 10), s.encodeTick(res)) != nil {
			return
		}
	}
	// Every way out is the viewer's going: there is nobody left to tell an error.
	_ = v.follow(r.Context(), s.hub, next)
}

// streamSince reads where a stream begins: the last event's id when a browser reconnects by itself, else the since parameter.
func streamSince(r *http.Request) (time.Time, error) {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return parseTime("Last-Event-ID", id, time.Now())
	}
	return parseTime("since", r.URL.Query().Get("since"), time.Now())
}

// viewer writes events to one client.
type viewer struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

var errBehind = errors.New("viewer fell behind")

// follow sends frames from sequence number next on until the client goes, ctx ends, or a write takes too long.
func (v viewer) follow(ctx context.Context, h *hub, next uint64) error {
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		frames, news, ok := h.after(next)
		if !ok {
			// The page asks for the history afresh; a stream that skips would show a gap that is not there.
			_ = v.event("resync", "", []byte("{}"))
			return errBehind
		}
		for _, f := range frames {
			if err := v.event("tick", strconv.FormatInt(f.at.UnixMilli(), 10), f.data); err != nil {
				return err
			}
			next++
		}
		select {
		case <-news:
		case <-alive.C:
			if err := v.event("", "", []byte(": alive\n\n")); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// event writes one event, whole and within its deadline; with an empty name, data is written as it is.
func (v viewer) event(name, id string, data []byte) error {
	if err := v.rc.SetWriteDeadline(time.Now().Add(eventTimeout)); err != nil {
		return err
	}
	if name != "" {
		head := "event: " + name + "\n"
		if id != "" {
			head += "id: " + id + "\n"
		}
		if _, err := v.w.Write([]byte(head + "data: ")); err != nil {
			return err
		}
	}
	if _, err := v.w.Write(data); err != nil {
		return err
	}
	if name != "" {
		if _, err := v.w.Write([]byte("\n\n")); err != nil {
			return err
		}
	}
	return v.rc.Flush()
}

// encodeTick is the data of a tick event: the new columns and the alerts that are active now.
func (s *Server) encodeTick(res history.Result) []byte {
	dropSums(&res)
	dst := append([]byte(nil), `{"history":`...)
	dst = res.AppendJSON(dst)
	dst = append(dst, `,"alerts":`...)
	dst = appendJSON(dst, s.activeAlerts())
	return append(dst, '}')
}
