package otelnet

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
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
// and the mux replaces the request, put [Routes] around the mux.
//
// A panic is recorded with error.type "panic" (http.ErrAbortHandler with "aborted") and goes on. A hijacked request,
// such as a websocket, leaves the duration alone and stops being active when it is hijacked. A handler of ours inside
// another records nothing twice. The ResponseWriter keeps every optional interface that it has.
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

	hd := &handler{
		next:      h,
		scope:     scopeFor(c.meterProvider),
		sizes:     c.bodySizes && !c.otelHTTPMetrics,
		durations: !c.otelHTTPMetrics,
	}
	hd.active[schemeHTTP] = hd.scope.activeRequests(SideServer, join(c.attrs, semconv.URLScheme("http")))
	hd.active[schemeHTTPS] = hd.scope.activeRequests(SideServer, join(c.attrs, semconv.URLScheme("https")))

	constant := join(c.attrs)
	if c.serverAddress != "" {
		constant = withServer(constant, c.serverAddress, c.serverPort)
	}
	hd.options.build = func(k requestKey) []attribute.KeyValue { return k.attributes(constant) }
	hd.tracing.init(c.tracerProvider, func(p tracer) http.Handler {
		return p.handler(&tracedHandler{next: h}, operation, &c)
	})
	if c.otelHTTPMetrics {
		hd.always = tracer{c.tracerProvider}.handler(&tracedHandler{next: h}, operation, &c)
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
	always    http.Handler // otelhttp, if it has to record too
}

type scheme uint8

const (
	schemeHTTP scheme = iota
	schemeHTTPS
)

func (s scheme) String() string { return [...]string{"http", "https"}[s] }

// outcome is how a handler ended.
type outcome uint8

const (
	outcomeReturned outcome = iota
	outcomePanic
	outcomeAborted // by http.ErrAbortHandler
)

// requestKey is everything that the attributes of a request depend on. Each field comes from a closed set.
type requestKey struct {
	route   string // the path of a pattern that the service registered
	status  int    // 0 if nothing was sent
	method  method
	scheme  scheme
	outcome outcome
	major   uint8
	minor   uint8
}

func (k requestKey) attributes(constant []attribute.KeyValue) []attribute.KeyValue {
	attrs := join(constant,
		semconv.HTTPRequestMethodKey.String(k.method.String()),
		semconv.URLScheme(k.scheme.String()),
		semconv.NetworkProtocolName("http"),
		semconv.NetworkProtocolVersion(protocolVersion(k.major, k.minor)),
	)
	if k.status != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(k.status))
	}
	if k.route != "" {
		attrs = append(attrs, semconv.HTTPRoute(k.route))
	}
	return withErrorType(attrs, k.errorType())
}

func (k requestKey) errorType() string {
	switch {
	case k.outcome == outcomePanic:
		return "panic"
	case k.outcome == outcomeAborted:
		return "aborted"
	case k.status >= 500:
		return strconv.Itoa(k.status)
	default:
		return ""
	}
}

func (k requestKey) failed() bool { return k.outcome != outcomeReturned || k.status >= 500 }

// protocolVersion is 1.0, 1.1, 2 or 3, as the semantic conventions write it.
func protocolVersion(major, minor uint8) string {
	if major >= 2 {
		return strconv.Itoa(int(major))
	}
	return strconv.Itoa(int(major)) + "." + strconv.Itoa(int(minor))
}

// routePath strips the method and host from a pattern of http.ServeMux.
func routePath(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i > 0 {
		return pattern[i:]
	}
	return pattern
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
	if replaced || routesInUse.Load() {
		// What stands further in finds the response by the context. It costs two allocations.
		inner = r.WithContext(context.WithValue(r.Context(), responseKey{}, resp))
	}
	if h.sizes && r.Body != nil && r.Body != http.NoBody {
		if inner == r {
			inner = r.WithContext(r.Context()) // a handler may not change the request it is given
		}
		inner.Body = &countedBody{ReadCloser: r.Body, n: &resp.bodyRead}
	}
	defer resp.end(r, inner)
	next.ServeHTTP(w, inner)
	resp.returned = true
}

// begin starts the clock.
func (resp *response) begin(h *handler, r *http.Request) {
	resp.handler = h
	resp.method = methodOf(r.Method)
	if r.TLS != nil {
		resp.scheme = schemeHTTPS
	}
	resp.ctx = r.Context()
	if s, ok := ConnFromContext(resp.ctx); ok {
		resp.conn = s
		s.beginRequest(r)
	}
	resp.active = &h.active[resp.scheme].methods[resp.method]
	resp.active.begin()
	resp.start = time.Now()
}

// end records the request. It is deferred, sees a panic and lets it go on.
func (resp *response) end(r, inner *http.Request) {
	took := time.Since(resp.start)
	if inner != r && inner.MultipartForm != nil {
		r.MultipartForm = inner.MultipartForm // net/http removes its files by the request it made
	}
	result := outcomeReturned
	var thrown any
	if !resp.returned {
		if thrown = recover(); thrown == http.ErrAbortHandler {
			result = outcomeAborted
		} else if thrown != nil {
			result = outcomePanic
		}
	}
	if !resp.hijacked {
		resp.active.end()
		if resp.status == 0 && result == outcomeReturned {
			resp.status = http.StatusOK
		}
	}
	if resp.pattern == "" {
		resp.pattern = inner.Pattern
	}
	resp.record(requestKey{
		route:   routePath(resp.pattern),
		status:  resp.status,
		method:  resp.method,
		scheme:  resp.scheme,
		outcome: result,
		major:   uint8(r.ProtoMajor),
		minor:   uint8(r.ProtoMinor),
	}, took, r.ContentLength)
	if thrown != nil {
		panic(thrown)
	}
}

func (resp *response) record(key requestKey, took time.Duration, contentLength int64) {
	h := resp.handler
	set := h.options.get(key)
	if resp.conn != nil {
		resp.conn.endRequest(&set.key.route, key.failed())
	}
	if resp.hijacked {
		return
	}
	ins := h.scope.ins
	if h.durations {
		ins.httpServerDuration.Record(resp.ctx, took.Seconds(), set.record...)
	}
	if h.sizes {
		read := resp.bodyRead.Load()
		if contentLength >= 0 {
			read = contentLength
		}
		ins.httpServerRequestSize.Record(resp.ctx, read, set.record...)
		ins.httpServerResponseSize.Record(resp.ctx, resp.written, set.record...)
	}
}

// countedBody counts what the handler reads of a body whose length was not announced.
type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}
