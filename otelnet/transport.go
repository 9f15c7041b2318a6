package otelnet

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
)

// Transport is an http.RoundTripper that counts the requests it sends: http.client.request.duration, up to the
// response's headers, otelnet.client.response.duration and http.client.active_requests, up to the end of its body (the
// former only if there is a body). A
// connection of a [Dialer] that carries them shows as active or idle in http.client.open_connections, and its row in the
// table has their number. It is safe for concurrent use.
type Transport struct {
	base    http.RoundTripper
	scope   *scope
	attrs   []attribute.KeyValue
	limit   int
	own     bool // record durations; false leaves it to otelhttp
	tracing lazyTracing[http.RoundTripper]
	always  http.RoundTripper // otelhttp, if it has to record too

	mu      sync.Mutex // serialises writers of targets
	targets atomic.Pointer[map[hostKey]*clientTarget]
}

// NewTransport returns a Transport that sends by base. Its signature is that of otelhttp.NewTransport, whose place it
// takes; if there is a tracer, otelhttp is put on the path and makes the spans (see [WithTracerProvider]).
//
// Nil means a clone of http.DefaultTransport that dials with a [Dialer] of ours, so that its connections are counted
// too. Another base dials as it always did; to count its connections, set its DialContext to that of a Dialer.
//
// Around a Transport of ours with the same MeterProvider it sends by the base of that one, so that nothing is recorded twice.
//
// An option with a bad value is reported to otel.Handle and ignored.
func NewTransport(base http.RoundTripper, opts ...TransportOption) *Transport {
	c := newConfig()
	for _, o := range opts {
		if o != nil {
			o.applyTransport(&c)
		}
	}
	report(c.err("NewTransport"))

	t := &Transport{
		base:  base,
		scope: scopeFor(c.meterProvider),
		attrs: join(c.attrs),
		limit: c.targetLimit,
		own:   !c.otelHTTPMetrics,
	}
	if t.base == nil {
		t.base = dialingTransport(c)
	}
	if ours, ok := t.base.(*Transport); ok && ours != nil && ours.scope == t.scope {
		t.base = ours.base
	}
	t.tracing.init(c.tracerProvider, func(p tracer) http.RoundTripper {
		if _, ok := t.base.(*otelhttp.Transport); ok {
			return t.base // it makes the spans already
		}
		return p.transport(spanKeeper{t.base}, &c)
	})
	if c.otelHTTPMetrics {
		t.always = tracer{c.tracerProvider}.transport(spanKeeper{t.base}, &c)
	}
	return t
}

// dialingTransport is http.DefaultTransport with our dialer, whose settings are those of the default's own.
func dialingTransport(c config) http.RoundTripper {
	def, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	clone := def.Clone()
	clone.DialContext = newDialer(&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}, c).DialContext
	return clone
}

// RoundTrip sends the request by the base transport and returns what that returns. The body of the response is wrapped
// to see its end; that of 101 Switching Protocols is not, as it can also be written to.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := t.base
	if t.always != nil {
		base = t.always
	} else if traced := t.tracing.get(); traced != nil {
		base = *traced
	}
	if req == nil || req.URL == nil {
		return base.RoundTrip(req) // it has an error for that
	}

	https := req.URL.Scheme == "https"
	call := &clientCall{t: t, req: req, target: t.target(https, req.URL.Host)}
	call.key = clientKey{method: methodOf(req.Method), https: https}
	sent := call.begin()
	returned := false
	defer func() {
		if !returned {
			call.end(true, errNone) // it panicked; who recovers must not find a request that never ends
		}
	}()
	resp, err := base.RoundTrip(sent)
	returned = true
	if resp != nil && resp.Request == sent {
		resp.Request = req
	}
	call.headers(resp, err)
	return resp, err
}

// CloseIdleConnections passes on http.Client's call.
func (t *Transport) CloseIdleConnections() { closeIdle(t.base) }

// Unwrap returns the base transport, for callers that look for their own.
func (t *Transport) Unwrap() http.RoundTripper { return t.base }

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
