package otelnet

import (
	"net/http"
	"sync/atomic"
)

// routesInUse tells every handler to leave its response in the request's context.
var routesInUse atomic.Bool

// Routes returns mux with the pattern it chose made known to [NewHandler] further out. It is needed only where
// middleware in between passes on a new request (r.WithContext, r.Clone): net/http puts the pattern into the request
// that the mux is given, and the outer one never sees it.
//
//	otelnet.NewHandler(withSession(otelnet.Routes(mux)), "shop")
//
// It works for any router that sets r.Pattern. Without a NewHandler further out it does nothing. From the first call
// on, each request costs every NewHandler two allocations more.
func Routes(mux http.Handler) http.Handler {
	routesInUse.Store(true)
	return &tracedHandler{next: mux, routesOnly: true}
}

// tracedHandler is the innermost part of what is put around a handler: it tells the response, which stands outside of
// everything that may replace the request, what became known inside.
type tracedHandler struct {
	next       http.Handler
	routesOnly bool
}

func (h *tracedHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, ok := r.Context().Value(responseKey{}).(*response)
	if !ok {
		h.next.ServeHTTP(w, r)
		return
	}
	if !h.routesOnly {
		resp.ctx = r.Context() // with the span, for exemplars
	}
	// The pattern is known before the mux calls its handler, so it is there also when that panics.
	defer func() {
		if r.Pattern != "" {
			resp.pattern = r.Pattern
		}
	}()
	h.next.ServeHTTP(w, r)
}
