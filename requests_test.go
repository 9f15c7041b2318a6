package agent

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelnet/agent/otelnet"
)

// durations is an exporter that keeps the counts of one histogram, the entries of an export apart.
type durations struct {
	recorder
	metric string

	mu     sync.Mutex
	counts [][]uint64
}

func (d *durations) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var counts []uint64
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == d.metric {
				n := uint64(0)
				for _, p := range h.DataPoints {
					n += p.Count
				}
				counts = append(counts, n)
			}
		}
	}
	d.counts = append(d.counts, counts)
	return nil
}

// Requests are in each export once, whoever records them: the SDK or internal/histogram.
func TestRequestDurations(t *testing.T) {
	clearEnv(t)
	const name = "http.server.request.duration"
	view := func(s sdkmetric.Stream) []Option {
		return []Option{WithViews(sdkmetric.NewView(sdkmetric.Instrument{Name: name}, s))}
	}
	tests := []struct {
		name        string
		temporality metricdata.Temporality
		metric      string
		opts        []Option
		want        [][]uint64
	}{
		{"cumulative", metricdata.CumulativeTemporality, name, nil, [][]uint64{{3}, {5}}},
		{"delta", metricdata.DeltaTemporality, name, nil, [][]uint64{{3}, {2}}},
		{"renamed", metricdata.CumulativeTemporality, "latency", view(sdkmetric.Stream{Name: "latency"}), [][]uint64{{3}, {5}}},
		{
			"filtered", metricdata.CumulativeTemporality, name,
			view(sdkmetric.Stream{AttributeFilter: attribute.NewAllowKeysFilter("http.route")}),
			[][]uint64{{3}, {5}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			exported := &durations{recorder: recorder{temporality: tt.temporality}, metric: tt.metric}
			a := start(t, append(tt.opts, WithMetricExporter(exported))...)
			h := otelnet.NewHandler(http.NotFoundHandler(), "test", otelnet.WithMeterProvider(a.MeterProvider()))
			for _, n := range []int{3, 2} {
				for range n {
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
				}
				if err := a.ForceFlush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			exported.mu.Lock()
			defer exported.mu.Unlock()
			if !slices.EqualFunc(exported.counts, tt.want, slices.Equal) {
				t.Errorf("got %v, want %v", exported.counts, tt.want)
			}
		})
	}
}

func TestRequestDurationsForPrometheus(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	a := start(t, WithAdminAddr("127.0.0.1:0"))
	h := otelnet.NewHandler(http.NotFoundHandler(), "test", otelnet.WithMeterProvider(a.MeterProvider()))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	text := get(t, a.AdminURL()+"metrics")
	if n := strings.Count(text, "\nhttp_server_request_duration_seconds_count{"); n != 1 {
		t.Errorf("%d series of http_server_request_duration_seconds, want 1:\n%s", n, text)
	}
}

// With tracing on, a request's exemplar in the export points at its trace, although the SDK has not recorded it.
func TestRequestExemplars(t *testing.T) {
	clearEnv(t)
	spans := tracetest.NewInMemoryExporter()
	var traces []trace.TraceID
	exported := &exporterFunc{export: func(rm *metricdata.ResourceMetrics) {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "http.server.request.duration" {
					for _, e := range h.DataPoints[0].Exemplars {
						traces = append(traces, trace.TraceID(e.TraceID))
					}
				}
			}
		}
	}}
	a := start(t, WithMetricExporter(exported), WithSpanExporter(spans))
	h := otelnet.NewHandler(http.NotFoundHandler(), "test",
		otelnet.WithMeterProvider(a.MeterProvider()), otelnet.WithTracerProvider(a.TracerProvider()))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	made := spans.GetSpans()
	if len(made) != 1 || len(traces) != 1 || made[0].SpanContext.TraceID() != traces[0] {
		t.Errorf("%d spans, exemplars of %v; want one of each, of one trace", len(made), traces)
	}
}

// exporterFunc hands each export to a function.
type exporterFunc struct {
	recorder
	export func(*metricdata.ResourceMetrics)
}

func (f *exporterFunc) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	f.export(rm)
	return nil
}

// scopeNames is an exporter that keeps the names of the scopes of its last export, and of their metrics.
type scopeNames struct {
	recorder
	scopes  []string
	metrics []string
}

func (s *scopeNames) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	s.scopes, s.metrics = nil, nil
	for _, sm := range rm.ScopeMetrics {
		s.scopes = append(s.scopes, sm.Scope.Name)
		for _, m := range sm.Metrics {
			s.metrics = append(s.metrics, m.Name)
		}
	}
	return nil
}

// What the SDK aggregates and what producers give of a scope is exported as one, at every export and with a snapshot taken
// of the same buffers in between.
func TestScopesAreExportedOnce(t *testing.T) {
	clearEnv(t)
	exported := &scopeNames{}
	// The view makes the SDK aggregate the runtime's instruments, beside the histograms that its producer gives.
	view := sdkmetric.NewView(sdkmetric.Instrument{Name: "go.goroutine.count"}, sdkmetric.Stream{Name: "goroutines"})
	a := start(t, WithMetricExporter(exported), WithViews(view), WithTick(time.Hour))
	h := otelnet.NewHandler(http.NotFoundHandler(), "test", otelnet.WithMeterProvider(a.MeterProvider()))
	var before []string
	for range 3 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		a.ticker.tick(time.Now())
		if err := a.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
		names := slices.Sorted(slices.Values(exported.metrics))
		if i := slices.Compact(slices.Clone(names)); len(i) != len(names) {
			t.Errorf("metrics twice in one export: %q", names)
		}
		if before != nil && !slices.Equal(before, names) {
			t.Errorf("metrics = %q, before %q", names, before)
		}
		before = names
		for _, want := range []string{"http.server.request.duration", "http.server.active_requests", "goroutines", "go.schedule.duration"} {
			if !slices.Contains(names, want) {
				t.Errorf("no %s among %q", want, names)
			}
		}
		if got := slices.Sorted(slices.Values(exported.scopes)); len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("scopes = %q, want each once", got)
		}
	}
}
