package otelnet

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// cover hides the request and the writer that it is given, as much middleware does.
func cover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		type key struct{}
		next.ServeHTTP(struct{ http.ResponseWriter }{w}, r.WithContext(context.WithValue(r.Context(), key{}, 1)))
	})
}

func muxOf(handlers map[string]http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range handlers {
		mux.Handle(pattern, h)
	}
	return mux
}

// chiLike puts a route context into the request, which fills while the request goes from router to router.
func chiLike(template string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := new(string)
		r = r.WithContext(context.WithValue(r.Context(), routeContext{}, route))
		RoutesFunc(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			*route = template
			next.ServeHTTP(w, r)
		}), func(r *http.Request) string { return *r.Context().Value(routeContext{}).(*string) }).ServeHTTP(w, r)
	})
}

type routeContext struct{}

func TestRoutes(t *testing.T) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	sub := muxOf(map[string]http.Handler{"GET /users/{id}": nothing, "/": nothing})
	handlers := map[string]struct {
		handler    http.Handler
		path, want string
	}{
		"plain":                  {sub, "/users/1", "/users/{id}"},
		"hidden, without Routes": {cover(sub), "/users/1", ""},
		"hidden":                 {cover(Routes(sub)), "/users/1", "/users/{id}"},
		"StripPrefix": {
			muxOf(map[string]http.Handler{"/api/": http.StripPrefix("/api", Routes(sub))}),
			"/api/users/1", "/api/users/{id}",
		},
		"StripPrefix hidden": {
			cover(Routes(muxOf(map[string]http.Handler{"/api/": http.StripPrefix("/api", cover(Routes(sub)))}))),
			"/api/users/1", "/api/users/{id}",
		},
		"StripPrefix twice": {
			Routes(muxOf(map[string]http.Handler{"/api/": http.StripPrefix("/api",
				Routes(muxOf(map[string]http.Handler{"/v1/{rest...}": http.StripPrefix("/v1", Routes(sub))})))})),
			"/api/v1/users/1", "/api/v1/users/{id}",
		},
		"StripPrefix, without inner Routes": {
			muxOf(map[string]http.Handler{"/api/": http.StripPrefix("/api", sub)}), "/api/users/1", "/api/",
		},
		"StripPrefix of a wildcard": {
			muxOf(map[string]http.Handler{"/tenant/{name}/": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.StripPrefix("/tenant/"+r.PathValue("name"), Routes(sub)).ServeHTTP(w, r)
			})}),
			"/tenant/some%20body/users/1", "/tenant/{name}/users/{id}",
		},
		"mux in a mux, path kept": {
			muxOf(map[string]http.Handler{"/users/": cover(Routes(sub))}), "/users/1", "/users/{id}",
		},
		"inner mux has no route": {
			Routes(muxOf(map[string]http.Handler{"/api/": http.StripPrefix("/api", Routes(http.NewServeMux()))})),
			"/api/users/1", "/api/",
		},
		"TimeoutHandler":      {http.TimeoutHandler(Routes(sub), time.Minute, ""), "/users/1", "/users/{id}"},
		"RoutesFunc":          {cover(chiLike("/chi/{id}", nothing)), "/chi/1", "/chi/{id}"},
		"RoutesFunc in a mux": {cover(Routes(muxOf(map[string]http.Handler{"/chi/": chiLike("/chi/{id}", nothing)}))), "/chi/1", "/chi/{id}"},
		"RoutesFunc behind StripPrefix": {
			muxOf(map[string]http.Handler{"/api/": http.StripPrefix("/api", chiLike("/chi/{id}", nothing))}), "/api/chi/1", "/api/chi/{id}",
		},
		"RoutesFunc knows none":  {RoutesFunc(nothing, func(*http.Request) string { return "" }), "/x", ""},
		"RoutesFunc that panics": {RoutesFunc(nothing, func(*http.Request) string { panic("no") }), "/x", ""},
		"SetRoute": {cover(Routes(muxOf(map[string]http.Handler{"/": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			SetRoute(r.Context(), "/old")
			if !SetRoute(r.Context(), "/set/{id}") {
				t.Error("SetRoute did not find the request")
			}
		})}))), "/set/1", "/set/{id}"},
	}
	for name, tt := range handlers {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			serveOnce(NewHandler(tt.handler, "test", m.option()), httptest.NewRequest("GET", tt.path, nil))
			sets := m.attrSets(metricHTTPServerDuration)
			if len(sets) != 1 {
				t.Fatalf("series: got %d, want 1", len(sets))
			}
			got, _ := sets[0].Value("http.route")
			if got.AsString() != tt.want {
				t.Errorf("http.route: got %q, want %q", got.AsString(), tt.want)
			}
		})
	}
}

// A handler that http.TimeoutHandler gave up on is counted under its route, and one that outlives its request does no
// harm to the next one on the connection.
func TestRouteOfTimeout(t *testing.T) {
	m := newMeter(t)
	release, late := make(chan struct{}), make(chan bool, 1)
	mux := muxOf(map[string]http.Handler{
		"/slow/{id}": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-release
			late <- SetRoute(r.Context(), "/late")
		}),
		"/fast": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(release)
			if <-late {
				t.Error("the late handler found the request of another")
			}
		}),
	})
	slow := http.TimeoutHandler(Routes(mux), 10*time.Millisecond, "")
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fast" {
			Routes(mux).ServeHTTP(w, r)
			return
		}
		slow.ServeHTTP(w, r)
	}), "test", m.option())}
	Instrument(srv)
	ln := serve(t, srv, false, m.option())
	client := insecureClient(t, false, false)
	if status, _ := get(t, client, "http://"+ln.Addr().String()+"/slow/1"); status != 503 {
		t.Errorf("status: got %d, want 503", status)
	}
	get(t, client, "http://"+ln.Addr().String()+"/fast")
	eventually(t, "both are recorded", func() bool { return m.sum(metricHTTPServerDuration) == 2 })
	for route, status := range map[string]int{"/slow/{id}": 503, "/fast": 200} {
		if got := m.sum(metricHTTPServerDuration, attribute.String("http.route", route), attribute.Int("http.response.status_code", status)); got != 1 {
			t.Errorf("%s with %d: got %d of\n%s, want 1", route, status, got, encode(m.attrSets(metricHTTPServerDuration)...))
		}
	}
}

// On an instrumented HTTP/1 connection no request needs a context of its own; HTTP/2 has one for each.
func TestSetRouteOverConnections(t *testing.T) {
	inUse := routesInUse.Swap(false)
	defer routesInUse.Store(inUse)
	for _, h2c := range []bool{false, true} {
		m := newMeter(t)
		srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			found := SetRoute(r.Context(), "/"+strings.Trim(r.URL.Path, "/0123456789")+"/{id}")
			if want := !h2c || r.URL.Path != "/a/0"; found != want {
				t.Errorf("%s %s: found %t, want %t", r.Proto, r.URL, found, want)
			}
		}), "test", m.option())}
		var p http.Protocols
		p.SetHTTP1(true)
		p.SetUnencryptedHTTP2(true)
		srv.Protocols = &p
		Instrument(srv)
		ln := serve(t, srv, false, m.option())
		client := insecureClient(t, false, h2c)
		for _, path := range []string{"/a/0", "/a/1", "/b/2"} {
			get(t, client, "http://"+ln.Addr().String()+path)
		}
		eventually(t, "all are recorded", func() bool { return m.sum(metricHTTPServerDuration) == 3 })
		if got := m.sum(metricHTTPServerDuration, attribute.String("http.route", "/b/{id}")); got != 1 {
			t.Errorf("h2c %t: requests of /b/{id}: got %d, want 1", h2c, got)
		}
		routesInUse.Store(false)
	}
	if SetRoute(context.Background(), "/x") {
		t.Error("SetRoute found a request in an empty context")
	}
}
