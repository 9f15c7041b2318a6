package admin

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/internal/flame"
	"github.com/otelnet/agent/internal/tracesum"
)

const (
	viewWait      = 10 * time.Second // for those before in the queue
	summaryTime   = 10 * time.Second // to read a trace; then it is of what was read
	keptSummaries = 8
)

// captureView answers /api/captures/{id}/{file}/{view}.
func (s *Server) captureView(w http.ResponseWriter, r *http.Request) {
	m, ok := s.manifest(w, r.PathValue("id"))
	if !ok {
		return
	}
	file, view := r.PathValue("file"), r.PathValue("view")
	switch {
	case file == capture.Trace.File() && view == "summary":
		s.traceSummary(w, r, m)
	case strings.HasSuffix(file, ".pb.gz") && (view == "summary" || view == "download" || slices.Contains(flame.Views, view)):
		s.profileView(w, r, m, file, view)
	default:
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf(
			"%.60q has no view %.40q; profiles (.pb.gz) have summary, %s and download, %s has summary",
			file, view, strings.Join(flame.Views, ", "), capture.Trace.File()))
	}
}

// profileView shows a profile, as a whole or for one label, alone or against another capture's.
func (s *Server) profileView(w http.ResponseWriter, r *http.Request, m capture.Manifest, file, view string) {
	query := r.URL.Query()
	label, err := parseLabel(query.Get("label"))
	if err != nil {
		badParameter(w, err)
		return
	}
	if view == "summary" || view == "download" {
		if err := onlyKnown(query, "base", "label", "si"); err != nil {
			badParameter(w, err)
			return
		}
	}
	base, ok := s.base(w, query.Get("base"), m.ID, file)
	if !ok {
		return
	}
	leave, ok := takeTurn(w, r, s.views, viewWait)
	if !ok {
		return
	}
	defer leave()
	p, ok := s.readProfile(w, m, file, label)
	if !ok {
		return
	}
	var b *profile.Profile
	if base.ID != "" {
		if b, ok = s.readProfile(w, base, file, label); !ok {
			return
		}
		flame.MatchTime(p, b)
	}
	switch view {
	case "summary":
		sum, err := flame.Describe(p, b, query.Get("si"))
		if err != nil {
			badParameter(w, err)
			return
		}
		respond(w, r, sum)
	case "download":
		merged, err := flame.Join(p, b)
		if err != nil {
			badParameter(w, err)
			return
		}
		var body bytes.Buffer
		if err := merged.Write(&body); err != nil {
			fail(w, http.StatusInternalServerError, "internal", m.ID+": "+err.Error())
			return
		}
		leave()
		attachment(w, m.ID+"-difference-"+file)
		s.deliver(w, body.Len(), func() { _, _ = body.WriteTo(w) }) // an error is the peer's going away
	default:
		query.Del("base")
		query.Del("label")
		page := flamePage(w, r, view, p, b, query)
		leave()
		if page != nil {
			s.deliver(w, len(page.HTML), func() {
				w.Header().Set("Content-Security-Policy", page.Policy)
				sendAs(w, r, "text/html; charset=utf-8", page.HTML)
			})
		}
	}
}

// flamePage makes one of pprof's pages. If that fails it answers and returns nil.
func flamePage(w http.ResponseWriter, r *http.Request, view string, p, base *profile.Profile, query url.Values) *flame.Page {
	query.Del("p") // the page's own: which function it looks at
	ctx, cancel := context.WithTimeout(r.Context(), viewWait)
	defer cancel()
	page, err := flame.Render(ctx, view, p, base, query)
	var wrong *flame.ParameterError
	switch {
	case errors.As(err, &wrong):
		badParameter(w, err)
	case errors.Is(err, flame.ErrBusy):
		fail(w, http.StatusServiceUnavailable, "unavailable", err.Error())
	case errors.Is(err, flame.ErrTooLarge):
		fail(w, http.StatusRequestEntityTooLarge, "too_large", err.Error()+"; download the profile and use go tool pprof")
	case err != nil:
		fail(w, http.StatusInternalServerError, "internal", err.Error())
	default:
		return page
	}
	return nil
}

// base finds the capture to compare a file of another one with: an id, or "baseline" for the newest of quiet times that has the file. An empty
// name is none.
func (s *Server) base(w http.ResponseWriter, name, id, file string) (capture.Manifest, bool) {
	switch name {
	case "":
		return capture.Manifest{}, true
	case "baseline":
		for _, m := range s.cfg.Captures.Captures() {
			if m.ID != id && m.Calm(file) {
				return m, true
			}
		}
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("there is no other capture of quiet times yet that has %.60q to compare with", file))
		return capture.Manifest{}, false
	}
	return s.manifest(w, name)
}

// readProfile reads what a capture has of a profile for a label. If that fails it answers and returns false.
func (s *Server) readProfile(w http.ResponseWriter, m capture.Manifest, file string, label flame.Label) (*profile.Profile, bool) {
	f, err := s.cfg.Captures.Open(m.ID, file)
	if err != nil {
		captureError(w, m, file, err)
		return nil, false
	}
	defer f.Close() //nolint:errcheck // only read
	p, err := flame.Parse(f)
	switch {
	case errors.Is(err, flame.ErrTooLarge):
		fail(w, http.StatusRequestEntityTooLarge, "too_large", err.Error()+"; download it and use go tool pprof")
		return nil, false
	case err != nil:
		fail(w, http.StatusInternalServerError, "internal", m.ID+": "+err.Error())
		return nil, false
	}
	label.Keep(p)
	return p, true
}

// parseLabel reads KEY=VALUE.
func parseLabel(text string) (flame.Label, error) {
	if text == "" {
		return flame.Label{}, nil
	}
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" || len(text) > 1024 {
		return flame.Label{}, fmt.Errorf("label: %.40q; allowed is KEY=VALUE, such as http.route=/api/data, of up to 1024 bytes", text)
	}
	return flame.Label{Key: key, Value: value}, nil
}

// traceSummary says what happened in the execution trace. It is kept, for it takes up to a second of a processor to make.
func (s *Server) traceSummary(w http.ResponseWriter, r *http.Request, m capture.Manifest) {
	if err := onlyKnown(r.URL.Query()); err != nil {
		badParameter(w, err)
		return
	}
	if body, ok := s.summaries.get(m.ID); ok {
		send(w, r, body)
		return
	}
	f, err := s.cfg.Captures.Open(m.ID, capture.Trace.File())
	if err != nil {
		captureError(w, m, capture.Trace.File(), err)
		return
	}
	defer f.Close() //nolint:errcheck // only read
	leave, ok := takeTurn(w, r, s.views, viewWait)
	if !ok {
		return
	}
	defer leave()
	if body, ok := s.summaries.get(m.ID); ok { // it was made while this one waited
		send(w, r, body)
		return
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal", "unpack the trace: "+err.Error())
		return
	}
	reading, stop := context.WithTimeout(r.Context(), summaryTime)
	defer stop()
	sum, err := tracesum.Read(reading, z)
	switch {
	case errors.Is(err, tracesum.ErrTooLarge):
		fail(w, http.StatusRequestEntityTooLarge, "too_large", err.Error()+"; download it and use go tool trace")
		return
	case err != nil:
		fail(w, http.StatusInternalServerError, "internal", m.ID+": "+err.Error())
		return
	}
	body, err := json.Marshal(sum)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal", "encode the answer: "+err.Error())
		return
	}
	if sum.Stopped == "" {
		s.summaries.put(m.ID, body)
	}
	leave()
	send(w, r, body)
}

// kept holds the last few answers.
type kept struct {
	mu     sync.Mutex
	bodies map[string][]byte
	order  []string
}

func (k *kept) get(id string) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	body, ok := k.bodies[id]
	return body, ok
}

func (k *kept) put(id string, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bodies == nil {
		k.bodies = make(map[string][]byte)
	}
	if _, known := k.bodies[id]; !known {
		k.order = append(k.order, id)
	}
	k.bodies[id] = body
	for len(k.order) > keptSummaries {
		delete(k.bodies, k.order[0])
		k.order = k.order[1:]
	}
}
