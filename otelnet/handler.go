package otelnet

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// NewHandler returns h with its requests counted: http.server.request.duration and http.server.active_requests, with
// the attributes of the semantic conventions. Its signature is that of otelhttp.NewHandler, whose place it takes;
// operation goes to otelhttp, which makes the spans if there is a tracer (see [WithTracerProvider]), unless an otelhttp of
// the service's own, further out, has begun one.
//
// The route (http.route) is the pattern of the http.ServeMux that served the request. If middleware between NewHandler
// and the mux replaces the request, put [Routes] around the mux; for other routers there are [RoutesFunc] and [SetRoute].
//
// A panic is recorded with error.type "panic" (http.ErrAbortHandler with "aborted") and goes on. A request whose client
// left before it had the whole response has error.type "canceled", whatever status the handler answered then, and none
// if it had not answered. A response that the handler flushes is a stream: the time to its first flush is
// otelnet.server.time_to_first_byte. A hijacked request, such as a websocket, leaves the durations alone, stops being
// active when it is hijacked, and counts in otelnet.server.upgraded_connections until its connection is closed, if that
// came from a listener of ours. A handler of ours inside another records nothing twice. The ResponseWriter keeps every
// optional interface that it has.
//
// An option with a bad value is reported to otel.Handle and ignored. A nil h answers as http.DefaultServeMux.
func NewHandler(h http.Handler, operation string, opts ...HandlerOption) http.Handler {
	c := newConfig()
	for _, o := range opts {
		if o != nil {
			o.applyHandler(&c)
		}
	}
	report(c.err("NewHandler"))
	if h == nil {
		h = http.DefaultServeMux
	}
	var labels *labelHandler
	if c.profileLabels {
		labels = newLabelHandler(h)
		h = labels
	}

	hd := &handler{
		next:      h,
		scope:     scopeFor(c.meterProvider),
		sizes:     c.bodySizes && !c.otelHTTPMetrics,
		durations: !c.otelHTTPMetrics,
		labels:    labels,
	}
	hd.active[schemeHTTP] = hd.scope.activeRequests(SideServer, join(c.attrs, semconv.URLScheme("http")))
	hd.active[schemeHTTPS] = hd.scope.activeRequests(SideServer, join(c.attrs, semconv.URLScheme("https")))

	constant := join(c.attrs)
	if c.serverAddress != "" {
		constant = withServer(constant, c.serverAddress, c.serverPort)
	}
	hd.options.build = func(k requestKey) []attribute.KeyValue { return k.attributes(constant) }
	hd.options.bind = hd.scope.ins.httpServerDuration
	hd.tracing.init(c.tracerProvider, func(p tracer) http.Handler {
		return p.handler(&spanHandler{next: h, rename: len(c.otelHTTPOptions) == 0}, operation, &c)
	})
	if c.otelHTTPMetrics {
		hd.always = tracer{c.tracerProvider}.handler(&spanHandler{next: h, rename: len(c.otelHTTPOptions) == 0}, operation, &c)
	}
	return hd
}

type handler struct {
	next      http.Handler
	scope     *scope
	active    [2]*activeRequests // by scheme
	options   optionCache[requestKey]
	sizes     bool
	durations bool
	tracing   lazyTracing[http.Handler]
	always    http.Handler  // otelhttp, if it has to record too
	labels    *labelHandler // nil without profile labels
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	next, replaced := h.next, false // whether the request is replaced further down
	if h.always != nil {
		next, replaced = h.always, true
	} else if traced := h.tracing.get(); traced != nil && !inSpan(r.Context()) {
		next, replaced = *traced, true
	}
	if responseOf(w) != nil {
		next.ServeHTTP(w, r)
		return
	}

	resp, w := newResponse(w)
	resp.begin(h, r)
	inner := r
	if (replaced || routesInUse.Load()) && resp.conn.servingOne() != resp {
		// What stands further in finds the response by the context. It costs one allocation.
		inner = r.WithContext((*responseContext)(resp))
	}
	if h.sizes && r.Body != nil && r.Body != http.NoBody {
		if inner == r {
			inner = r.WithContext(r.Context()) // a handler may not change the request it is given
		}
		inner.Body = &countedBody{ReadCloser: r.Body, n: &resp.bodyRead}
	}
	resp.direct = inner
	defer resp.end(inner)
	next.ServeHTTP(w, inner)
	resp.returned = true
}

// begin starts the clock.
func (resp *response) begin(h *handler, r *http.Request) {
	resp.handler = h
	resp.request = r
	resp.key = requestKey{method: methodOf(r.Method), major: uint8(r.ProtoMajor), minor: uint8(r.ProtoMinor)}
	if r.TLS != nil {
		resp.key.scheme = schemeHTTPS
	}
	resp.ctx = r.Context()
	if s, ok := ConnFromContext(resp.ctx); ok {
		resp.conn = s
		s.begin(resp)
	}
	resp.active = &h.active[resp.key.scheme].methods[resp.key.method]
	resp.active.begin()
	resp.start = sinceStart()
}

// servingOne returns the request that an HTTP/1 connection serves. A nil s serves none.
func (s *ConnStats) servingOne() *response {
	if s == nil {
		return nil
	}
	return s.serving.Load()
}

// end records the request. It is deferred, sees a panic and lets it go on.
func (resp *response) end(inner *http.Request) {
	took := seconds(resp.start)
	r := resp.request
	if inner != r && inner.MultipartForm != nil {
		r.MultipartForm = inner.MultipartForm // net/http removes its files by the request it made
	}
	var thrown any
	if !resp.returned {
		thrown = recover()
	}
	if resp.conn != nil {
		resp.conn.end(resp)
	}
	if !resp.hijacked {
		resp.active.end()
	}
	if resp.key.status == 0 {
		resp.lookWatched()
	}
	resp.finishKey(thrown)
	resp.record(took)
	if thrown != nil {
		panic(thrown)
	}
}

// finishKey tells how the request ended.
func (resp *response) finishKey(thrown any) {
	k := &resp.key
	k.route = resp.routeKnown()
	switch {
	case thrown != nil && thrown != http.ErrAbortHandler:
		k.outcome = outcomePanic
	case !resp.hijacked && resp.canceled():
		k.outcome = outcomeCanceled
	case thrown != nil:
		k.outcome = outcomeAborted
	case !resp.hijacked && k.status == 0:
		k.status = http.StatusOK
	}
}

// canceled reports whether the client left before it had the whole response. net/http ends the request's context when
// it finds the connection closed or the stream reset; a client that has what Content-Length promised may go at once.
func (resp *response) canceled() bool {
	if resp.request.Context().Err() != context.Canceled {
		return false
	}
	announced, err := strconv.ParseInt(resp.Header().Get("Content-Length"), 10, 64)
	return err != nil || resp.written < announced
}

func (resp *response) record(took float64) {
	h := resp.handler
	set := h.options.get(resp.key)
	if resp.conn != nil {
		resp.conn.served(&set.key.route, resp.key.failed())
		if resp.watched {
			resp.conn.KeepRequest(resp.info(took))
		}
	}
	if resp.hijacked {
		return
	}
	ins := h.scope.ins
	if h.durations {
		set.recordIn(resp.ctx, ins.httpServerDuration, took)
	}
	if h.sizes {
		read, _ := resp.requestBytes()
		written := resp.responseBytes()
		ins.httpServerRequestSize.Record(resp.ctx, read, set.record...)
		ins.httpServerResponseSize.Record(resp.ctx, written, set.record...)
	}
}

// requestBytes returns the size of the request's body, and whether it is known.
func (resp *response) requestBytes() (n int64, known bool) {
	if announced := resp.request.ContentLength; announced >= 0 {
		return announced, true
	}
	return resp.bodyRead.Load(), resp.handler.sizes
}

// responseBytes returns the size of the response's body.
func (resp *response) responseBytes() int64 {
	if resp.key.method == methodHead {
		return 0 // net/http drops it
	}
	return resp.written
}

// firstFlush records how long a streamed response took to begin. It does so at once: the stream may last for hours.
func (resp *response) firstFlush() {
	if resp.flushed || resp.hijacked {
		return
	}
	resp.flushed = true
	took := seconds(resp.start)
	key := resp.key
	key.route = resp.routeNow()
	resp.handler.scope.ins.serverFirstByte.Record(resp.ctx, took, resp.handler.options.get(key).record...)
}

// seconds returns how long ago start was, which is a time as sinceStart tells it. Beside time.Now that spares a call of
// the clock.
func seconds(start int64) float64 { return time.Duration(sinceStart() - start).Seconds() }

// countedBody counts what is read of a body.
type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}
