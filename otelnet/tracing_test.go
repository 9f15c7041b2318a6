package otelnet

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

func newTracer(t *testing.T) (*sdktrace.TracerProvider, *tracetest.SpanRecorder) {
	rec := tracetest.NewSpanRecorder()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))
	t.Cleanup(func() { _ = tp.Shutdown(context.Background()) })
	return tp, rec
}

// With a tracer, one trace runs from the client's span through the server's into the handler, and the metrics are
// recorded once all the same.
func TestTracedRequest(t *testing.T) {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	m := newMeter(t)
	tp, rec := newTracer(t)
	var inside trace.SpanContext
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		inside = trace.SpanContextFromContext(r.Context())
		io.WriteString(w, "ok")
	})
	srv := httptest.NewServer(NewHandler(mux, "shop", m.option(), WithTracerProvider(tp)))
	defer srv.Close()
	client := &http.Client{Transport: NewTransport(nil, m.option(), WithTracerProvider(tp))}
	defer client.CloseIdleConnections()
	if _, body := get(t, client, srv.URL+"/items/1"); body != "ok" {
		t.Errorf("body: got %q, want ok", body)
	}

	eventually(t, "both spans have ended", func() bool { return len(rec.Ended()) == 2 })
	kinds := map[trace.SpanKind]sdktrace.ReadOnlySpan{}
	for _, s := range rec.Ended() {
		kinds[s.SpanKind()] = s
	}
	server, sent := kinds[trace.SpanKindServer], kinds[trace.SpanKindClient]
	if server == nil || sent == nil {
		t.Fatalf("spans: got %v, want one of a server and one of a client", kinds)
	}
	if server.Parent().SpanID() != sent.SpanContext().SpanID() || inside.SpanID() != server.SpanContext().SpanID() {
		t.Error("the spans are not one trace")
	}
	if server.Name() != "GET /items/{id}" {
		t.Errorf("span name: got %q, want GET /items/{id}", server.Name())
	}
	if got := m.sum(metricHTTPServerDuration, attribute.String("http.route", "/items/{id}")); got != 1 {
		t.Errorf("server durations with the route: got %d of %s, want 1", got, encode(m.attrSets(metricHTTPServerDuration)...))
	}
	if got := m.sum(metricHTTPClientDuration); got != 1 {
		t.Errorf("client durations: got %d, want 1", got)
	}
	if got := exemplars(m.metrics()[metricHTTPServerDuration]); len(got) != 1 || trace.SpanID(got[0].SpanID) != inside.SpanID() {
		t.Errorf("exemplars: got %v, want one with the handler's span", got)
	}
}

func exemplars(m metricdata.Metrics) []metricdata.Exemplar[float64] {
	var all []metricdata.Exemplar[float64]
	if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
		for _, p := range h.DataPoints {
			all = append(all, p.Exemplars...)
		}
	}
	return all
}

// A global tracer provider that is set, replaced or taken away later is followed.
func TestGlobalTracerSetLater(t *testing.T) {
	before := otel.GetTracerProvider()
	defer otel.SetTracerProvider(before)
	h := NewHandler(http.NotFoundHandler(), "late", newMeter(t).option())
	send := func() { serveOnce(h, httptest.NewRequest("GET", "/", nil)) }
	hd := h.(*handler)

	otel.SetTracerProvider(tracenoop.NewTracerProvider())
	send()
	if hd.tracing.get() != nil {
		t.Error("otelhttp is on the path without a tracer")
	}
	for range 2 {
		tp, rec := newTracer(t)
		otel.SetTracerProvider(tp)
		send()
		send()
		if got := len(rec.Ended()); got != 2 {
			t.Errorf("spans: got %d, want 2", got)
		}
	}
	otel.SetTracerProvider(tracenoop.NewTracerProvider())
	send()
	if hd.tracing.get() != nil {
		t.Error("otelhttp is still on the path after the tracer has gone")
	}
}

// A team that keeps otelhttp's recording gets each duration once, from otelhttp, and our active requests beside it.
func TestOTelHTTPMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer mp.Shutdown(context.Background())
	h := NewHandler(http.NotFoundHandler(), "kept", WithMeterProvider(mp), WithOTelHTTPMetrics())
	tr := NewTransport(&fakeTransport{resp: &http.Response{StatusCode: 200, Body: http.NoBody}}, WithMeterProvider(mp), WithOTelHTTPMetrics())
	serveOnce(h, httptest.NewRequest("GET", "/", nil))
	req, _ := http.NewRequest("GET", "http://example.com/", nil)
	if _, err := tr.RoundTrip(req); err != nil {
		t.Fatal(err)
	}

	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	scopes := map[string][]string{}
	for _, sm := range rm.ScopeMetrics {
		for _, x := range sm.Metrics {
			scopes[x.Name] = append(scopes[x.Name], sm.Scope.Name)
		}
	}
	const otelhttpScope = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	for name, want := range map[string]string{
		metricHTTPServerDuration: otelhttpScope, metricHTTPClientDuration: otelhttpScope,
		metricHTTPServerActive: ScopeName, metricHTTPClientActive: ScopeName,
	} {
		if got := scopes[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is recorded by %v, want %s alone", name, got, want)
		}
	}
}

// A service that has otelhttp around or beneath keeps its own spans and gets no second ones.
func TestNoSecondSpans(t *testing.T) {
	m := newMeter(t)
	tp, rec := newTracer(t)
	h := otelhttp.NewHandler(NewHandler(http.NotFoundHandler(), "ours", m.option(), WithTracerProvider(tp)), "theirs", otelhttp.WithTracerProvider(tp))
	serveOnce(h, httptest.NewRequest("GET", "/", nil))
	if got := len(rec.Ended()); got != 1 {
		t.Errorf("server spans: got %d, want 1", got)
	}

	base := &fakeTransport{resp: &http.Response{StatusCode: 200, Body: http.NoBody}}
	tr := NewTransport(otelhttp.NewTransport(base, otelhttp.WithTracerProvider(tp)), m.option(), WithTracerProvider(tp))
	req, _ := http.NewRequest("GET", "http://example.com/", nil)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := len(rec.Ended()); got != 2 {
		t.Errorf("spans with the client's: got %d, want 2", got)
	}
}
