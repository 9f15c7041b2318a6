package compat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"

	"github.com/otelnet/agent/otelnet"
)

// chiRoutes and gorillaRoutes are as the comment of otelnet.RoutesFunc has them.
func chiRoutes(next http.Handler) http.Handler {
	return otelnet.RoutesFunc(next, func(r *http.Request) string { return chi.RouteContext(r.Context()).RoutePattern() })
}

func gorillaRoutes(next http.Handler) http.Handler {
	return otelnet.RoutesFunc(next, func(r *http.Request) string {
		template, _ := mux.CurrentRoute(r).GetPathTemplate()
		return template
	})
}

// withValue passes on a new request, as middleware that finds out who asks does.
func withValue(next http.Handler) http.Handler {
	type key struct{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, r.URL.Path)))
	})
}

func sayOK(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") }

// breakOff panics when its client has seen a part of the answer, and will not ask again.
func breakOff(w http.ResponseWriter, r *http.Request) {
	sayOK(w, r)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// The routers that most people use beside net/http's own: whichever way a request took, its route is the template that
// the service wrote, over HTTP/1 and HTTP/2.
func TestRouters(t *testing.T) {
	users := func() *chi.Mux {
		r := chi.NewRouter()
		r.Use(withValue)
		r.Get("/{id}", sayOK)
		r.Get("/{id}/posts/{post:[0-9]+}", sayOK)
		return r
	}
	chiRouter := func() http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.RequestID, withValue, middleware.Timeout(time.Minute), chiRoutes, withValue)
		r.Get("/", sayOK)
		r.Route("/api", func(r chi.Router) {
			r.Use(withValue)
			r.Mount("/users", users())
			r.With(withValue).Get("/set/{id}", func(w http.ResponseWriter, r *http.Request) {
				otelnet.SetRoute(r.Context(), "/its/own")
				sayOK(w, r)
			})
		})
		r.Get("/panic/{id}", breakOff)
		stripped := chi.NewRouter()
		stripped.Use(chiRoutes)
		stripped.Get("/deep/{id}", sayOK)
		r.Mount("/v1", http.StripPrefix("/v1", stripped))
		return r
	}
	chiPaths := map[string]string{
		"/": "/", "/api/users/7": "/api/users/{id}", "/api/users/7/posts/3": "/api/users/{id}/posts/{post:[0-9]+}",
		"/api/set/7": "/its/own", "/panic/7": "/panic/{id}", "/v1/deep/7": "/v1/deep/{id}",
	}

	chiPattern := chi.NewRouter() // it sets the pattern of the request that its last middleware passes on
	chiPattern.Use(withValue, otelnet.Routes)
	chiPattern.Get("/items/{id}", sayOK)
	chiPattern.Route("/api", func(r chi.Router) { r.Get("/users/{id}", sayOK) })

	gorilla := func() *mux.Router {
		r := mux.NewRouter()
		r.Use(withValue, gorillaRoutes, withValue)
		r.HandleFunc("/", sayOK)
		api := r.PathPrefix("/api").Subrouter()
		api.Use(withValue)
		api.HandleFunc("/users/{id:[0-9]+}", sayOK).Methods("GET")
		api.PathPrefix("/files/").HandlerFunc(sayOK)
		r.HandleFunc("/panic/{id}", breakOff)
		return r
	}
	gorillaPaths := map[string]string{
		"/": "/", "/api/users/7": "/api/users/{id:[0-9]+}", "/api/files/a/b": "/api/files/", "/panic/7": "/panic/{id}",
	}
	stripped := gorilla()
	inner := gorilla()
	stripped.PathPrefix("/v1/").Handler(http.StripPrefix("/v1", inner))

	std := http.NewServeMux()
	std.Handle("/old/", http.StripPrefix("/old", gorilla()))
	std.Handle("/chi/{tenant}/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/chi/"+r.PathValue("tenant"), chiRouter()).ServeHTTP(w, r)
	}))

	tests := []struct {
		name    string
		handler http.Handler
		paths   map[string]string
	}{
		{"chi", chiRouter(), chiPaths},
		{"chi by its pattern", chiPattern, map[string]string{"/items/7": "/items/{id}", "/api/users/7": "/api/users/{id}"}},
		{"gorilla", gorilla(), gorillaPaths},
		{"gorilla in gorilla", stripped, map[string]string{"/v1/api/users/7": "/v1/api/users/{id:[0-9]+}", "/api/users/7": "/api/users/{id:[0-9]+}"}},
		{"in ServeMux", withValue(otelnet.Routes(std)), map[string]string{
			"/old/api/users/7":          "/old/api/users/{id:[0-9]+}",
			"/chi/acme/api/users/7":     "/chi/{tenant}/api/users/{id}",
			"/chi/acme/v1/deep/nowhere": "/chi/{tenant}/v1/deep/{id}",
		}},
	}
	for _, test := range tests {
		for _, h2c := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s h2c %t", test.name, h2c), func(t *testing.T) {
				m := newMeter()
				client, url := serveRoutes(t, m, test.handler, h2c)
				want := map[string]int64{}
				get := func(path string) {
					resp, err := client.Get(url + path)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				for path, route := range test.paths {
					get(path)
					want[route]++
				}
				// What no route takes has none, or that of the part that took it: never the path.
				for i := range 50 {
					get(fmt.Sprintf("/stranger/%d", i))
					want[""]++
				}
				m.wantTotal(t, int64(50+len(test.paths)), "http.server.request.duration")
				if diff := cmp.Diff(want, m.byValue("http.server.request.duration", "http.route")); diff != "" {
					t.Errorf("requests by route (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func serveRoutes(t *testing.T, m *meter, h http.Handler, h2c bool) (*http.Client, string) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2c)
	protocols.SetUnencryptedHTTP2(h2c)
	srv := &http.Server{Handler: otelnet.NewHandler(h, "test", m.option()), Protocols: protocols}
	otelnet.Instrument(srv)
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", m.option())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	base := &http.Transport{Protocols: protocols}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		_ = srv.Close()
		<-done
	})
	return &http.Client{Transport: base, Timeout: patience}, "http://" + ln.Addr().String()
}
