package admin

import (
	"net/http"
	"os"
	"runtime"
	"time"
)

// status answers /api/status: what runs here, and what the history holds.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	st := s.cfg.History.Stats()
	respond(w, r, map[string]any{
		"service":     s.cfg.Service,
		"pid":         os.Getpid(),
		"go":          runtime.Version(),
		"started":     s.cfg.Started.UTC().Format(time.RFC3339Nano),
		"now":         time.Now().UTC().Format(time.RFC3339Nano),
		"viewers":     s.hub.count(),
		"alerts":      s.cfg.Alerts != nil,
		"connections": s.cfg.Connections != nil,
		"metrics":     s.cfg.Metrics != nil,
		"captures":    s.cfg.Captures != nil,
		"history": map[string]any{
			"keepSeconds":    s.cfg.History.Keep().Seconds(),
			"oldest":         millis(st.Oldest),
			"newest":         millis(st.Newest),
			"snapshots":      st.Snapshots,
			"series":         st.Series,
			"bytes":          st.Bytes,
			"droppedSamples": st.DroppedSamples,
			"unsupported":    st.Unsupported,
		},
	})
}

// millis is t for JavaScript; null for the zero time.
func millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
