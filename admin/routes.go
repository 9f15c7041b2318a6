package admin

import (
	"fmt"
	"io"
	"net/http"
)

// routes maps paths to handlers. GET patterns serve HEAD too; the mux answers other methods with 405 and Allow.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page.index)
	mux.HandleFunc("GET /page/{file}", s.page.file)
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /api/status", s.status)
	mux.HandleFunc("GET /api/history", s.history)
	mux.HandleFunc("GET /api/stream", s.stream)
	mux.HandleFunc("GET /api/connections", s.connections)
	mux.HandleFunc("GET /api/connections/{id}", s.connection)
	mux.HandleFunc("GET /api/connections/{id}/requests", s.requests)
	mux.HandleFunc("GET /api/routes", s.routeTable)
	mux.HandleFunc("GET /report", s.writeReport)
	mux.HandleFunc("GET /api/v1/alerts", s.promAlerts)
	mux.HandleFunc("GET /api/v1/rules", s.promRules)
	s.captureRoutes(mux)
	s.profiles(mux)
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { // with a method, so that others are told which are allowed
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("nothing is at %.100q; the page is at /, and docs/api.md lists the rest", r.URL.Path))
	})
	return mux
}
