package agent

import (
	"errors"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/runtimemetrics"
)

// collected returns the metrics of the runtime as the tick sees them, by name, and fails if one comes twice.
func collected(t *testing.T, a *Agent) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := a.metrics.tick.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]metricdata.Metrics)
	for _, sm := range rm.ScopeMetrics {
		if sm.Scope.Name != runtimemetrics.ScopeName {
			continue
		}
		for _, m := range sm.Metrics {
			if _, twice := got[m.Name]; twice {
				t.Errorf("%s came twice", m.Name)
			}
			got[m.Name] = m
		}
	}
	return got
}

// The producer reports the runtime, cheaply, unless the user wants what only the SDK can do to it. Either way all is
// there once, views are obeyed, and nobody can start it a second time.
func TestRuntimeMetrics(t *testing.T) {
	drop := sdkmetric.NewView(sdkmetric.Instrument{Name: "go.goroutine.count"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})
	rename := sdkmetric.NewView(sdkmetric.Instrument{Name: "process.memory.usage"}, sdkmetric.Stream{Name: "rss"})
	other := sdkmetric.NewView(sdkmetric.Instrument{Name: "http.*"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})
	tests := []struct {
		name      string
		opts      []Option
		producer  bool
		has, lack string
	}{
		{"by itself", nil, true, "go.goroutine.count", ""},
		{"a view of something else", []Option{WithViews(other)}, true, "go.goroutine.count", ""},
		{"a view that drops one", []Option{WithViews(other, drop)}, false, "go.memory.used", "go.goroutine.count"},
		{"a view that renames one", []Option{WithViews(rename)}, false, "rss", "process.memory.usage"},
		{
			"delta temporality",
			[]Option{WithMetricExporter(&recorder{temporality: metricdata.DeltaTemporality})},
			false, "go.goroutine.count", "",
		},
		{
			"another aggregation",
			[]Option{WithMetricExporter(withoutGauges{new(recorder)})},
			false, "go.goroutine.count", "otelnet.go.gc.limiter.last",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv("OTEL_METRICS_EXPORTER", "none")
			a := start(t, test.opts...)
			if a.metrics.started != test.producer {
				t.Errorf("the producer reports everything: %t, want %t", a.metrics.started, test.producer)
			}
			got := collected(t, a)
			if len(got) < 25 {
				t.Errorf("only %d metrics", len(got))
			}
			if _, ok := got[test.has]; !ok {
				t.Errorf("%s is missing", test.has)
			}
			if m, ok := got[test.lack]; ok {
				t.Errorf("%s came: %v", test.lack, m.Data)
			}
			if _, err := runtimemetrics.Start(runtimemetrics.WithMeterProvider(a.MeterProvider())); !errors.Is(err, runtimemetrics.ErrStarted) {
				t.Errorf("a second start: got %v, want ErrStarted", err)
			}
		})
	}
}

// withoutGauges has no use for what only has a last value.
type withoutGauges struct{ *recorder }

func (withoutGauges) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if k == sdkmetric.InstrumentKindObservableGauge {
		return sdkmetric.AggregationDrop{}
	}
	return sdkmetric.DefaultAggregationSelector(k)
}

// BenchmarkRuntimeCollect is what a tick pays for the runtime's metrics, and what it would pay by callbacks.
func BenchmarkRuntimeCollect(b *testing.B) {
	keep := sdkmetric.NewView(sdkmetric.Instrument{Name: "go.goroutine.count"}, sdkmetric.Stream{})
	for name, views := range map[string][]sdkmetric.View{"producer": nil, "callbacks": {keep}} {
		b.Run(name, func(b *testing.B) {
			producer, all := newRuntimeProducer(views, nil)
			reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(producer))
			p := metricPipeline{
				provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(views...)), runtime: producer, started: all,
			}
			c, err := p.startRuntime()
			if err != nil {
				b.Fatal(err)
			}
			defer c.Stop()
			var rm metricdata.ResourceMetrics
			b.ReportAllocs()
			for b.Loop() {
				reader.Collect(b.Context(), &rm)
			}
		})
	}
}
