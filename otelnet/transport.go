package otelnet

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Transport is an http.RoundTripper that counts the requests it sends: http.client.request.duration, up to the
// response's headers, and http.client.active_requests, up to the body's end. It is safe for concurrent use.
type Transport struct {
	base    http.RoundTripper
	scope   *scope
	attrs   []attribute.KeyValue
	limit   int
	own     bool // record durations; false leaves it to otelhttp
	options optionCache[clientKey]
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
	t.options.build = func(k clientKey) []attribute.KeyValue { return k.attributes(t.attrs) }
	t.tracing.init(c.tracerProvider, func(p tracer) http.RoundTripper {
		if _, ok := t.base.(*otelhttp.Transport); ok {
			return t.base // it makes the spans already
		}
		return p.transport(t.base, &c)
	})
	if c.otelHTTPMetrics {
		t.always = tracer{c.tracerProvider}.transport(t.base, &c)
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

// clientTarget is what the requests to one host have in common.
type clientTarget struct {
	target
	active *activeRequests
}

// hostKey is the part of a URL that names the host, as it is written there.
type hostKey struct {
	https bool
	host  string
}

type clientKey struct {
	target target
	status int // 0 if no response came
	err    errorClass
	method method
	major  uint8
	minor  uint8
}

func (k clientKey) attributes(constant []attribute.KeyValue) []attribute.KeyValue {
	attrs := withServer(join(constant, semconv.HTTPRequestMethodKey.String(k.method.String())), k.target.host, k.target.port)
	if k.status != 0 {
		attrs = append(attrs,
			semconv.HTTPResponseStatusCode(k.status),
			semconv.NetworkProtocolName("http"),
			semconv.NetworkProtocolVersion(protocolVersion(k.major, k.minor)))
	}
	if k.err == errNone && k.status >= 400 {
		return withErrorType(attrs, strconv.Itoa(k.status))
	}
	return withErrorType(attrs, k.err.String())
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

	key := clientKey{method: methodOf(req.Method)}
	ct := t.target(req.URL.Scheme == "https", req.URL.Host)
	key.target = ct.target
	active := &ct.active.methods[key.method]
	active.begin()

	start := time.Now()
	resp, err := base.RoundTrip(req)
	took := time.Since(start)

	key.err = classify(err)
	if resp != nil {
		key.status, key.major, key.minor = resp.StatusCode, uint8(resp.ProtoMajor), uint8(resp.ProtoMinor)
	}
	if t.own {
		t.scope.ins.httpClientDuration.Record(req.Context(), took.Seconds(), t.options.get(key).record...)
	}
	if err != nil || resp == nil || resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		active.end()
		return resp, err
	}
	resp.Body = &clientBody{ReadCloser: resp.Body, active: active}
	return resp, nil
}

// CloseIdleConnections passes on http.Client's call.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// target finds or makes the target of a host. Those over the limit share one.
func (t *Transport) target(https bool, host string) *clientTarget {
	key := hostKey{https: https, host: host}
	known := t.targets.Load()
	if known != nil {
		if ct, ok := (*known)[key]; ok {
			return ct
		}
	}

	admitted := t.scope.admit(splitHost(https, host), t.limit)
	if admitted.host == other {
		key = hostKey{host: other}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[hostKey]*clientTarget{}
	if known = t.targets.Load(); known != nil {
		if ct, ok := (*known)[key]; ok {
			return ct
		}
		for k, v := range *known {
			next[k] = v
		}
	}
	ct := &clientTarget{target: admitted, active: t.scope.activeRequests(SideClient, withServer(join(t.attrs), admitted.host, admitted.port))}
	if len(next) >= maxOptionSets {
		return ct // one host can be written in many ways
	}
	next[key] = ct
	t.targets.Store(&next)
	return ct
}

// splitHost splits a URL's host and adds the scheme's port if it has none.
func splitHost(https bool, hostport string) target {
	t := target{host: hostport, port: 80}
	if https {
		t.port = 443
	}
	if host, port, err := net.SplitHostPort(hostport); err == nil {
		t.host = host
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
			t.port = int(n)
		}
	}
	t.host = strings.ToLower(strings.Trim(t.host, "[]"))
	return t
}

// clientBody sees the end of a response's body, which is also the end of its request.
type clientBody struct {
	io.ReadCloser
	active *activeCounter
	ended  atomic.Bool
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

func (b *clientBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}

func (b *clientBody) end() {
	if b.ended.CompareAndSwap(false, true) {
		b.active.end()
	}
}
