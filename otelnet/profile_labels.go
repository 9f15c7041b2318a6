package otelnet

import (
	"context"
	"maps"
	"net/http"
	"runtime/pprof"
	"sync"
	"sync/atomic"
)

// Labels that [WithProfileLabels] puts on goroutines.
const (
	labelRoute    = "http.route"
	labelListener = "otelnet.listener"
)

// WithProfileLabels marks the goroutine that serves a request, and those it starts, with the pprof labels http.route and
// otelnet.listener, so that a CPU or goroutine profile can be split by them: go tool pprof -tagfocus, or a flame graph with
// labels. Without it requests are not touched.
//
// The route must be known before the handler runs. It is when NewHandler is given an http.ServeMux, or [Routes] stands
// around one; then the pattern is looked up once more, which with the labels takes 0.1 to 0.3 µs for each request. The
// listener is known on a server given to [Instrument] with a listener of ours. Labels that the request's context has
// already are kept. Inside pprof.Do with a context of the request's, these are not there.
func WithProfileLabels() HandlerOption {
	return optionFunc(func(c *config) { c.profileLabels = true })
}

// labelKey is what a request is labelled with; an empty one is left out.
type labelKey struct{ listener, route string }

// labelHandler stands just around the service's handler.
type labelHandler struct {
	next http.Handler
	mux  interface {
		Handler(*http.Request) (http.Handler, string)
	} // nil if next is none

	sets atomic.Pointer[map[labelKey]context.Context] // contexts that carry labels and nothing else
	mu   sync.Mutex                                   // serialises writers
}

func newLabelHandler(next http.Handler) *labelHandler {
	h := &labelHandler{next: next}
	h.mux, _ = next.(interface {
		Handler(*http.Request) (http.Handler, string)
	})
	return h
}

func (h *labelHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var key labelKey
	if resp := responseOf(w); resp != nil {
		key.listener = resp.listenerName()
	}
	if h.mux != nil {
		if _, pattern := h.mux.Handler(r); pattern != "" {
			key.route = routePath(pattern)
		}
	}
	h.set(r.Context(), key)
	defer pprof.SetGoroutineLabels(r.Context())
	h.next.ServeHTTP(w, r)
}

// label marks the running goroutine with a route that became known further in. Without WithProfileLabels it does nothing.
func (resp *response) label(ctx context.Context, route string) {
	if h := resp.handler.labels; h != nil {
		h.set(ctx, labelKey{resp.listenerName(), route})
	}
}

func (resp *response) listenerName() string {
	if resp.conn == nil {
		return ""
	}
	return resp.conn.endpoint.key.name
}

// set labels the goroutine. Making labels takes a microsecond, so those of each route are made once.
func (h *labelHandler) set(ctx context.Context, key labelKey) {
	own := false
	pprof.ForLabels(ctx, func(string, string) bool {
		own = true
		return false
	})
	if own {
		pprof.SetGoroutineLabels(pprof.WithLabels(ctx, key.labels()))
		return
	}
	if m := h.sets.Load(); m != nil {
		if labelled, ok := (*m)[key]; ok {
			pprof.SetGoroutineLabels(labelled)
			return
		}
	}
	pprof.SetGoroutineLabels(h.add(key))
}

func (h *labelHandler) add(key labelKey) context.Context {
	labelled := pprof.WithLabels(context.Background(), key.labels())
	h.mu.Lock()
	defer h.mu.Unlock()
	sets := map[labelKey]context.Context{}
	if m := h.sets.Load(); m != nil {
		maps.Copy(sets, *m)
	}
	if len(sets) < maxOptionSets { // a router may make up patterns
		sets[key] = labelled
		h.sets.Store(&sets)
	}
	return labelled
}

func (k labelKey) labels() pprof.LabelSet {
	var args []string
	if k.route != "" {
		args = append(args, labelRoute, k.route)
	}
	if k.listener != "" {
		args = append(args, labelListener, k.listener)
	}
	return pprof.Labels(args...)
}
