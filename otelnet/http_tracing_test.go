package otelnet

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func spanAttr(s sdktrace.ReadOnlySpan, key attribute.Key) (v attribute.Value) {
	for _, kv := range s.Attributes() {
		if kv.Key == key {
			v = kv.Value
		}
	}
	return v
}

// Span and metrics tell the same of a request, however it went.
func TestSpansAgreeWithMetrics(t *testing.T) {
	mux := muxOf(map[string]http.Handler{
		"GET /items/{id}": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") }),
		"/fail":           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }),
		"/panic":          http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }),
		"/half": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(206)
			panic(http.ErrAbortHandler)
		}),
	})
	for name, tt := range map[string]struct {
		handler          http.Handler
		path, span, kind string
		code             codes.Code
	}{
		"direct":            {mux, "/items/1", "GET /items/{id}", "", codes.Unset},
		"behind middleware": {cover(Routes(mux)), "/items/1", "GET /items/{id}", "", codes.Unset},
		"no route":          {mux, "/nowhere", "GET", "", codes.Unset},
		"502":               {cover(Routes(mux)), "/fail", "GET /fail", "502", codes.Error},
		"panic":             {cover(Routes(mux)), "/panic", "GET /panic", "panic", codes.Error},
		"aborted":           {mux, "/half", "GET /half", "aborted", codes.Error},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			tp, rec := newTracer(t)
			serveOnce(NewHandler(tt.handler, "shop", m.option(), WithTracerProvider(tp)), httptest.NewRequest("GET", tt.path, nil))
			spans, sets := rec.Ended(), m.attrSets(metricHTTPServerDuration)
			if len(spans) != 1 || len(sets) != 1 {
				t.Fatalf("got %d spans, %d series, want 1, 1", len(spans), len(sets))
			}
			s := spans[0]
			if s.Status().Code != tt.code {
				t.Errorf("span status: got %v, want %v", s.Status().Code, tt.code)
			}
			if s.Name() != tt.span {
				t.Errorf("span name: got %q, want %q", s.Name(), tt.span)
			}
			if kind, _ := sets[0].Value("error.type"); kind.AsString() != tt.kind {
				t.Errorf("error.type: got %q, want %q", kind.AsString(), tt.kind)
			}
			for _, key := range []attribute.Key{"http.route", "http.response.status_code", "error.type"} {
				if inMetric, _ := sets[0].Value(key); inMetric != spanAttr(s, key) {
					t.Errorf("%s: got %v in the span, %v in the metric", key, spanAttr(s, key), inMetric)
				}
			}
		})
	}
}

// Options of otelhttp keep their meaning; a name that they give to spans stays.
func TestOTelHTTPOptions(t *testing.T) {
	m := newMeter(t)
	tp, rec := newTracer(t)
	mux := muxOf(map[string]http.Handler{"/items/{id}": http.NotFoundHandler(), "/healthz": http.NotFoundHandler()})
	h := NewHandler(cover(Routes(mux)), "shop", m.option(), WithTracerProvider(tp), WithOTelHTTPOptions(
		otelhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }),
		otelhttp.WithSpanNameFormatter(func(operation string, _ *http.Request) string { return "my " + operation }),
	))
	serveOnce(h, httptest.NewRequest("GET", "/items/1", nil))
	serveOnce(h, httptest.NewRequest("GET", "/healthz", nil))
	if spans := rec.Ended(); len(spans) != 1 || spans[0].Name() != "my shop" {
		t.Errorf("spans: got %v, want one named my shop", spans)
	}
	if got := m.sum(metricHTTPServerDuration); got != 2 {
		t.Errorf("durations: got %d, want 2, as a filter of spans leaves metrics alone", got)
	}
}

// The exemplars of a client point at the client's own span.
func TestClientExemplars(t *testing.T) {
	m := newMeter(t)
	tp, rec := newTracer(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") }))
	defer srv.Close()
	client := &http.Client{Transport: NewTransport(nil, m.option(), WithTracerProvider(tp))}
	defer client.CloseIdleConnections()
	get(t, client, srv.URL)
	spans := rec.Ended()
	if len(spans) != 1 {
		t.Fatalf("spans: got %d, want 1", len(spans))
	}
	for _, name := range []string{metricHTTPClientDuration, metricClientResponseDuration} {
		if got := exemplars(m.metrics()[name]); len(got) != 1 || trace.SpanID(got[0].SpanID) != spans[0].SpanContext().SpanID() {
			t.Errorf("exemplars of %s: got %v, want one with the client's span", name, got)
		}
	}
}

// A service that keeps its plain otelhttp and adds our listener, dialer and Instrument gets connections and requests of
// them, and no duration of ours.
func TestPlainOTelHTTPBesideOurConnections(t *testing.T) {
	m := newMeter(t)
	tp, rec := newTracer(t)
	theirs := newMeter(t)
	plain := []otelhttp.Option{otelhttp.WithMeterProvider(theirs.provider), otelhttp.WithTracerProvider(tp)}
	srv := &http.Server{Handler: otelhttp.NewHandler(http.NotFoundHandler(), "plain", plain...)}
	Instrument(srv)
	ln := serve(t, srv, false, m.option())
	base := &http.Transport{DialContext: newTestDialer(t, nil, m.option()).DialContext}
	client := &http.Client{Transport: otelhttp.NewTransport(base, plain...)}
	defer base.CloseIdleConnections() // otelhttp's transport does not hand it on
	get(t, client, "http://"+ln.Addr().String())

	eventually(t, "both spans have ended", func() bool { return len(rec.Ended()) == 2 })
	for _, name := range []string{metricHTTPServerDuration, metricHTTPClientDuration} {
		if t, o := theirs.sum(name), m.sum(name); t != 1 || o != 0 {
			m.t.Errorf("%s: got %d of otelhttp, %d of ours, want 1, 0", name, t, o)
		}
	}
	if s, c := m.sum(metricServerConnections), m.sum(metricClientConnections); s != 1 || c != 1 {
		t.Errorf("connections: got %d accepted, %d dialled, want 1, 1", s, c)
	}
}

// With WithOTelHTTPMetrics otelhttp records durations, and ours adds what it lacks.
func TestOTelHTTPMetricsAndOurs(t *testing.T) {
	m := newMeter(t)
	h := NewHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		if got := m.sum(metricHTTPServerActive); got != 1 {
			t.Errorf("active: got %d, want 1", got)
		}
	}), "kept", m.option(), WithOTelHTTPMetrics())
	ln := serve(t, &http.Server{Handler: h}, false, m.option())
	client := &http.Client{Transport: NewTransport(nil, m.option(), WithOTelHTTPMetrics())}
	defer client.CloseIdleConnections()
	get(t, client, "http://"+ln.Addr().String())
	eventually(t, "the server has recorded it", func() bool { return m.sum(metricHTTPServerDuration) == 1 })
	for _, name := range []string{metricHTTPClientDuration, metricServerFirstByte, metricClientConnUses} {
		if got := m.sum(name); got != 1 {
			t.Errorf("%s: got %d, want 1", name, got)
		}
	}
	if got := m.sum(metricHTTPClientOpenConns); got != 1 {
		t.Errorf("open connections: got %d, want 1", got)
	}
}

// A request that is not sampled leaves no exemplar.
func TestNoExemplarUnlessSampled(t *testing.T) {
	m := newMeter(t)
	tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	defer tp.Shutdown(context.Background())
	serveOnce(NewHandler(http.NotFoundHandler(), "shop", m.option(), WithTracerProvider(tp)), httptest.NewRequest("GET", "/", nil))
	if got := exemplars(m.metrics()[metricHTTPServerDuration]); len(got) != 0 {
		t.Errorf("exemplars: got %v, want none", got)
	}
	if got := m.sum(metricHTTPServerDuration); got != 1 {
		t.Errorf("durations: got %d, want 1", got)
	}
}
