package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/otelnet/agent/capture"
)

// CaptureSource is what the server needs of the captures; *capture.Capturer is one. It must be safe for concurrent use.
type CaptureSource interface {
	Begin(capture.Request) (capture.Manifest, error)
	Captures() []capture.Manifest
	Manifest(id string) (capture.Manifest, bool)
	Open(id, file string) (io.ReadSeekCloser, error)
	Baseline() (capture.Manifest, bool)
	CPUProfile(ctx context.Context, w io.Writer, d time.Duration) error
}

const (
	// manualPause lies between two captures that are asked for by hand, so that no script pushes those of alerts out of the quota.
	manualPause = 30 * time.Second
	maxNote     = 500
	maxKinds    = 16
)

func (s *Server) captureRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /captures", s.page.capture)
	mux.HandleFunc("GET /captures/{id}", s.page.capture)
	mux.HandleFunc("GET /api/captures", s.withCaptures(s.captureList))
	mux.HandleFunc("POST /api/captures", s.withCaptures(s.captureNow))
	mux.HandleFunc("GET /api/captures/{id}", s.withCaptures(s.captureManifest))
	mux.HandleFunc("GET /api/captures/{id}/{file}", s.withCaptures(s.captureFile))
	mux.HandleFunc("GET /api/captures/{id}/{file}/{view}", s.withCaptures(s.captureView))
}

func (s *Server) withCaptures(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Captures == nil {
			fail(w, http.StatusNotFound, "not_found", "this agent makes no captures: give it a directory for them, OTELNET_CAPTURE_DIR")
			return
		}
		next(w, r)
	}
}

// captureList answers GET /api/captures.
func (s *Server) captureList(w http.ResponseWriter, r *http.Request) {
	list := s.cfg.Captures.Captures()
	if list == nil {
		list = []capture.Manifest{}
	}
	var baseline *string
	if m, ok := s.cfg.Captures.Baseline(); ok {
		baseline = &m.ID
	}
	respond(w, r, struct {
		Captures []capture.Manifest `json:"captures"`
		Baseline *string            `json:"baseline"`
	}{list, baseline})
}

// captureManifest answers /api/captures/{id}.
func (s *Server) captureManifest(w http.ResponseWriter, r *http.Request) {
	if m, ok := s.manifest(w, r.PathValue("id")); ok {
		respond(w, r, m)
	}
}

func (s *Server) manifest(w http.ResponseWriter, id string) (capture.Manifest, bool) {
	m, ok := s.cfg.Captures.Manifest(id)
	if !ok {
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("there is no capture %.80q: the oldest are removed to make room", id))
	}
	return m, ok
}

// captureNow answers POST /api/captures: it begins a capture and does not wait for its end.
func (s *Server) captureNow(w http.ResponseWriter, r *http.Request) {
	request, err := captureRequest(r)
	if err != nil {
		badParameter(w, err)
		return
	}
	if code, text, id := s.refuseCapture(time.Now()); code != 0 {
		kind := "limited"
		if code == http.StatusConflict {
			kind = "busy"
		} else {
			w.Header().Set("Retry-After", strconv.Itoa(int(manualPause.Seconds())))
		}
		w.Header().Set("Location", "/api/captures/"+id)
		fail(w, code, kind, text)
		return
	}
	m, err := s.cfg.Captures.Begin(request)
	switch {
	case errors.Is(err, capture.ErrLimited):
		fail(w, http.StatusTooManyRequests, "limited", err.Error())
	case errors.Is(err, capture.ErrClosed):
		fail(w, http.StatusServiceUnavailable, "unavailable", err.Error())
	case err != nil:
		fail(w, http.StatusInternalServerError, "internal", err.Error())
	default:
		w.Header().Set("Location", "/api/captures/"+m.ID)
		respondStatus(w, r, http.StatusAccepted, m)
	}
}

// captureRequest reads the parameters of POST /api/captures.
func captureRequest(r *http.Request) (capture.Request, error) {
	request := capture.Request{Reason: capture.Manual}
	if r.ContentLength != 0 {
		return request, errors.New("the parameters go into the address: POST /api/captures?kinds=cpu,trace; a body is not read")
	}
	query := r.URL.Query()
	for name, values := range query {
		switch name {
		case "kinds", "note", "force":
		default:
			return request, fmt.Errorf("%.40q is no parameter; allowed are kinds, note and force", name)
		}
		if len(values) > 1 {
			return request, fmt.Errorf("%s: is given %d times; allowed is once, values with commas between them", name, len(values))
		}
	}
	if text := query.Get("kinds"); text != "" {
		names := strings.Split(text, ",")
		if len(names) > maxKinds {
			return request, fmt.Errorf("kinds: %d; at most %d are allowed", len(names), maxKinds)
		}
		var err error
		if request.Kinds, err = capture.ParseKinds(names); err != nil {
			return request, fmt.Errorf("kinds: %w", err)
		}
	}
	if request.Note = query.Get("note"); len(request.Note) > maxNote || !utf8.ValidString(request.Note) {
		return request, fmt.Errorf("note: %d bytes; allowed are up to %d of UTF-8", len(request.Note), maxNote)
	}
	var err error
	request.Force, err = parseBool("force", query.Get("force"))
	return request, err
}

// refuseCapture says why none can be made now, with a status, and which one there is instead; 0 if one can.
func (s *Server) refuseCapture(now time.Time) (code int, text, id string) {
	for _, m := range s.cfg.Captures.Captures() {
		switch {
		case m.Reason == capture.Continuous:
			continue // it makes way
		case m.State == capture.StateRunning:
			return http.StatusConflict, fmt.Sprintf("%s is being made; it takes some seconds", m.ID), m.ID
		case m.Reason == capture.Manual && now.Sub(m.At) < manualPause && now.After(m.At):
			left := (manualPause - now.Sub(m.At)).Round(time.Second)
			return http.StatusTooManyRequests, fmt.Sprintf("%s was asked for %s ago; the next one can be in %s",
				m.ID, now.Sub(m.At).Round(time.Second), left), m.ID
		}
	}
	return 0, "", ""
}

// captureError answers for a file of a capture that cannot be had.
func captureError(w http.ResponseWriter, m capture.Manifest, file string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		text := fmt.Sprintf("%s has no %.60q", m.ID, file)
		for _, a := range m.Artefacts {
			if a.Kind.File() == file && a.Why != "" {
				text += ": " + a.Why
			}
		}
		fail(w, http.StatusNotFound, "not_found", text)
		return
	}
	fail(w, http.StatusInternalServerError, "internal", err.Error())
}

// onlyKnown says which parameter is none of the allowed ones.
func onlyKnown(query url.Values, allowed ...string) error {
	for name := range query {
		known := false
		for _, a := range allowed {
			known = known || a == name
		}
		if !known {
			return fmt.Errorf("%.40q is no parameter here; allowed: %s", name, strings.Join(allowed, ", "))
		}
	}
	return nil
}
