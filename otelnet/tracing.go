package otelnet

import (
	"context"
	"net/http"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// unsetTracer is what the global tracer provider is before anyone sets one.
var unsetTracer = otel.GetTracerProvider()

// tracer puts otelhttp around handlers and transports. The zero tracer leaves it to find the global provider.
type tracer struct{ provider trace.TracerProvider }

func (t tracer) options(c *config) []otelhttp.Option {
	var opts []otelhttp.Option
	if t.provider != nil {
		opts = append(opts, otelhttp.WithTracerProvider(t.provider))
	}
	switch {
	case !c.otelHTTPMetrics:
		// The metrics of a request are recorded once, by us.
		opts = append(opts, otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()))
	case c.meterProvider != nil:
		opts = append(opts, otelhttp.WithMeterProvider(c.meterProvider))
	}
	return append(c.otelHTTPOptions[:len(c.otelHTTPOptions):len(c.otelHTTPOptions)], opts...)
}

func (t tracer) handler(h http.Handler, operation string, c *config) http.Handler {
	return otelhttp.NewHandler(h, operation, t.options(c)...)
}

func (t tracer) transport(base http.RoundTripper, c *config) http.RoundTripper {
	return otelhttp.NewTransport(base, t.options(c)...)
}

// WithOTelHTTPOptions passes options on to otelhttp, which makes the spans: filters, names of spans, propagators, public
// endpoints. Its meter provider is ours to set, and so is its tracer provider if [WithTracerProvider] is there too.
func WithOTelHTTPOptions(opts ...otelhttp.Option) HTTPOption {
	return optionFunc(func(c *config) { c.otelHTTPOptions = append(c.otelHTTPOptions, opts...) })
}

// spanHandler stands just inside otelhttp's handler. It keeps the span for exemplars, and gives it what otelhttp does
// not know, so that spans and metrics tell the same.
type spanHandler struct {
	next   http.Handler
	rename bool // false if options may have named the span otherwise
}

func (h *spanHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp := responseFrom(r.Context())
	if resp == nil {
		h.next.ServeHTTP(w, r)
		return
	}
	resp.ctx, resp.direct = r.Context(), r
	returned := false
	defer func() {
		var thrown any
		if !returned {
			thrown = recover()
		}
		h.describe(trace.SpanFromContext(r.Context()), resp, thrown)
		if thrown != nil {
			panic(thrown)
		}
	}()
	h.next.ServeHTTP(w, r)
	returned = true
}

func (h *spanHandler) describe(span trace.Span, resp *response, thrown any) {
	if !span.IsRecording() {
		return
	}
	key := resp.key
	resp.finishKey(thrown)
	resp.key, key = key, resp.key // it is finished for good once otelhttp has returned
	if key.route != "" {
		span.SetAttributes(semconv.HTTPRoute(key.route))
		if h.rename && (resp.direct.Pattern == "" || thrown != nil) { // else otelhttp does it
			name := key.method.String()
			if key.method == methodOther {
				name = "HTTP"
			}
			span.SetName(name + " " + key.route)
		}
	}
	if class := key.errorType(); class != "" {
		span.SetAttributes(semconv.ErrorTypeKey.String(class))
	}
	if thrown != nil {
		// otelhttp does not come to it.
		span.SetStatus(codes.Error, "")
		if key.status != 0 {
			span.SetAttributes(semconv.HTTPResponseStatusCode(key.status))
		}
	}
}

// inSpan reports whether a server's request has a span of this process already, from an otelhttp of the service's own.
func inSpan(ctx context.Context) bool {
	span := trace.SpanContextFromContext(ctx)
	return span.IsValid() && !span.IsRemote()
}

// lazyTracing holds what is on a request's path once there is a tracer: otelhttp around a handler or transport. A
// global tracer provider may be set long after the handler was made, and replaced later.
type lazyTracing[T any] struct {
	fixed *T // for the provider that an option named
	build func(tracer) T
	last  atomic.Pointer[tracedWith[T]]
}

type tracedWith[T any] struct {
	provider   trace.TracerProvider
	comparable bool
	value      T
}

func (l *lazyTracing[T]) init(p trace.TracerProvider, build func(tracer) T) {
	l.build = build
	if p != nil {
		v := build(tracer{p})
		l.fixed = &v
	}
}

// get returns nil as long as there is no tracer.
func (l *lazyTracing[T]) get() *T {
	if l.fixed != nil {
		return l.fixed
	}
	p := otel.GetTracerProvider()
	if p == unsetTracer {
		return nil
	}
	if _, ok := p.(tracenoop.TracerProvider); ok {
		return nil
	}
	last := l.last.Load()
	if last == nil || last.comparable && last.provider != p {
		last = &tracedWith[T]{provider: p, comparable: reflect.TypeOf(p).Comparable(), value: l.build(tracer{p})}
		l.last.Store(last)
	}
	return &last.value
}
