package otelnet

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
)

// routesInUse tells every handler that something further in may look for its response.
var routesInUse atomic.Bool

// Routes returns mux with the pattern it chose made known to [NewHandler] further out. It is needed only where
// middleware in between passes on a new request (r.WithContext, r.Clone, http.StripPrefix): net/http puts the pattern
// into the request that the mux is given, and the outer one never sees it.
//
//	otelnet.NewHandler(withSession(otelnet.Routes(mux)), "shop")
//
// It works for any router that sets r.Pattern, as newer versions of chi do; for others there are [RoutesFunc] and
// [SetRoute]. Around a mux that serves a part of another one behind http.StripPrefix, the route is that of both
// together: "/api/" and "/users/{id}" give "/api/users/{id}". The innermost route that is known counts.
//
// Without a NewHandler further out it does nothing. From the first call on, a request costs every NewHandler one
// allocation more, except with HTTP/1 on a server that was given to [Instrument].
func Routes(mux http.Handler) http.Handler { return newRouteHandler(mux, nil) }

// RoutesFunc is Routes for a router that keeps the route elsewhere. After next has returned, route is asked for it, with
// the request that next was given; "" means that it is not known. It must be a template of the router, never a path as
// it was asked for. As a middleware of chi:
//
//	router.Use(func(next http.Handler) http.Handler {
//		return otelnet.RoutesFunc(next, func(r *http.Request) string {
//			return chi.RouteContext(r.Context()).RoutePattern()
//		})
//	})
//
// and of gorilla/mux, with this function:
//
//	func(r *http.Request) string {
//		template, _ := mux.CurrentRoute(r).GetPathTemplate()
//		return template
//	}
//
// What http.StripPrefix took off further out goes before it, as with Routes. A panic of route counts as "".
func RoutesFunc(next http.Handler, route func(*http.Request) string) http.Handler {
	return newRouteHandler(next, route)
}

func newRouteHandler(next http.Handler, of func(*http.Request) string) http.Handler {
	if !routesInUse.Load() { // some routers make their middleware anew for each request
		routesInUse.Store(true)
	}
	h := &routeHandler{next: next, of: of}
	h.mux, _ = next.(interface {
		Handler(*http.Request) (http.Handler, string)
	})
	return h
}

// SetRoute tells the [NewHandler] that serves the request with this context which route it took; an empty one takes
// that back. It goes before what a mux says, and the last call counts. The route must be a template from a closed set,
// such as "/users/{id}", never a path as it was asked for.
//
// It reports whether it found the request: with HTTP/1 on a server given to [Instrument] always, else from the first
// call of SetRoute, [Routes] or [RoutesFunc] on. It may be called from any goroutine, until the handler has returned.
func SetRoute(ctx context.Context, route string) bool {
	if !routesInUse.Load() {
		routesInUse.Store(true)
	}
	resp := responseFrom(ctx)
	if resp == nil || ctx.Err() != nil && resp.request.Context().Err() == nil {
		// A context that has ended may be that of an earlier request on the same connection.
		return false
	}
	resp.route.Store(&route)
	return true
}

// responseFrom finds the response of the request with this context: in the context itself, or with HTTP/1 on the
// connection, which serves one request at a time.
func responseFrom(ctx context.Context) *response {
	if resp, ok := ctx.Value(responseKey{}).(*response); ok {
		return resp
	}
	if s, ok := ConnFromContext(ctx); ok {
		return s.serving.Load()
	}
	return nil
}

// routing is what the handlers inside know of a request's way. It is touched only by them; a handler that outlives its
// request, as under http.TimeoutHandler, does no harm.
type routing struct {
	by    *routeHandler // the innermost one so far
	given *http.Request // to it
	mount string        // what http.StripPrefix took off outside of it, as patterns
	asked int           // length of mount's last part, if that comes from a RoutesFunc
	early *string       // a route told before the handler ran
}

// routeHandler tells the response, which stands outside of everything that may replace the request, what became known
// inside.
type routeHandler struct {
	next http.Handler
	of   func(*http.Request) string // nil: the request's pattern
	mux  interface {
		Handler(*http.Request) (http.Handler, string)
	}
}

func (h *routeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp := responseFrom(r.Context())
	if resp == nil {
		h.next.ServeHTTP(w, r)
		return
	}
	parent := resp.routing.given
	if parent == nil {
		parent = resp.direct
	}
	part, asked := mountPoint(resp.routing.by, parent, r)
	resp.routing.mount += part
	resp.routing.asked = 0
	if asked {
		resp.routing.asked = len(part)
	}
	resp.routing.by, resp.routing.given = h, r
	// The writer may be another one: of http.TimeoutHandler, say, which answers while the mux is still at work.
	if hidden := responseOf(w) == nil; h.mux != nil && h.of == nil && (hidden || resp.handler.labels != nil) {
		if _, pattern := h.mux.Handler(r); pattern != "" {
			early := resp.routing.mount + routePath(pattern)
			resp.label(r.Context(), early)
			if hidden {
				resp.routing.early = &early
				resp.route.Store(&early)
			}
		}
	}
	// The pattern is known before the mux calls its handler, so it is there also when that panics.
	defer resp.learn(h, r, resp.routing.mount)
	h.next.ServeHTTP(w, r)
}

// learn keeps the route that h knows, unless one further in was faster.
func (resp *response) learn(h *routeHandler, r *http.Request, mount string) {
	if known := resp.route.Load(); known != nil && known != resp.routing.early {
		return
	}
	switch {
	case h.of != nil:
		if route := h.ask(r); route != "" {
			if own := len(mount) - resp.routing.asked; strings.HasPrefix(route, mount[own:]) {
				mount = mount[:own] // chi's routers know what those around them took
			}
			route = mount + route
			resp.route.Store(&route)
		}
	case r.Pattern == "":
	case mount == "":
		resp.route.Store(&r.Pattern)
	default:
		route := mount + routePath(r.Pattern)
		resp.route.Store(&route)
	}
}

func (h *routeHandler) ask(r *http.Request) (route string) {
	defer func() {
		if recover() != nil {
			route = ""
		}
	}()
	return h.of(r)
}

// routeNow returns the route as far as it is known while the handler runs.
func (resp *response) routeNow() string {
	if h := resp.routing.by; h != nil {
		resp.learn(h, resp.routing.given, resp.routing.mount)
	}
	return resp.routeKnown()
}

// routeKnown returns the route that was told, else that of the request that NewHandler passed on.
func (resp *response) routeKnown() string {
	if known := resp.route.Load(); known != nil {
		return routePath(*known)
	}
	return routePath(resp.direct.Pattern)
}

// routePath strips the method and host from a pattern of http.ServeMux.
func routePath(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i > 0 {
		return pattern[i:]
	}
	return pattern
}

// mountPoint returns the outer router's pattern, without what it leaves to the inner one, if a prefix was taken off the
// path on the way from outer to inner. by is what knows the outer router, nil for the request's pattern; asked tells that
// it was a RoutesFunc.
func mountPoint(by *routeHandler, outer, inner *http.Request) (mount string, asked bool) {
	if outer == inner || outer.URL == nil || inner.URL == nil ||
		len(inner.URL.Path) >= len(outer.URL.Path) || !strings.HasSuffix(outer.URL.Path, inner.URL.Path) {
		return "", false
	}
	mount = routePath(outer.Pattern)
	if asked = by != nil && by.of != nil; asked {
		mount = by.ask(outer)
	}
	if i := strings.LastIndex(mount, "/{"); i >= 0 && strings.HasSuffix(mount, "...}") {
		return mount[:i], asked
	}
	return strings.TrimSuffix(strings.TrimSuffix(mount, "*"), "/"), asked // chi writes a * for what it leaves
}
