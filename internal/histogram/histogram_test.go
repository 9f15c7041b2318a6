package histogram

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const scope = "test"

// newProvider returns a provider whose histograms are ours, and its reader.
func newProvider(t *testing.T, cfg Config, opts ...sdkmetric.Option) (metric.MeterProvider, *sdkmetric.ManualReader) {
	t.Helper()
	cfg.Scope = scope
	h := New(cfg)
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(h), sdkmetric.WithAggregationSelector(selector(cfg)))
	sdk := sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(reader))...)
	t.Cleanup(func() { _ = sdk.Shutdown(context.Background()) })
	return h.Provider(sdk), reader
}

func selector(cfg Config) sdkmetric.AggregationSelector {
	if cfg.Aggregation != nil {
		return cfg.Aggregation
	}
	return sdkmetric.DefaultAggregationSelector
}

func collect(t *testing.T, reader sdkmetric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	all := map[string]metricdata.Metrics{}
	for _, sm := range rm.ScopeMetrics {
		if sm.Scope.Name != scope {
			t.Errorf("scope %q, want %q", sm.Scope.Name, scope)
		}
		for _, m := range sm.Metrics {
			if _, ok := all[m.Name]; ok {
				t.Errorf("%s is there twice", m.Name)
			}
			all[m.Name] = m
		}
	}
	return all
}

// The SDK is the witness: whatever it makes of the same records under the same views, we do.
func TestSameAsSDK(t *testing.T) {
	bounds := func(b ...float64) sdkmetric.AggregationExplicitBucketHistogram {
		return sdkmetric.AggregationExplicitBucketHistogram{Boundaries: b}
	}
	view := func(s sdkmetric.Stream) []sdkmetric.View {
		return []sdkmetric.View{sdkmetric.NewView(sdkmetric.Instrument{Name: "a.*"}, s)}
	}
	exponential := sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
	tests := []struct {
		name string
		cfg  Config
		ours bool // false: it has to be left to the SDK
	}{
		{"advice", Config{}, true},
		{"another view", Config{Views: []sdkmetric.View{
			sdkmetric.NewView(sdkmetric.Instrument{Name: "other"}, sdkmetric.Stream{Name: "x"}),
		}}, true},
		{"bounds of a view", Config{Views: view(sdkmetric.Stream{Aggregation: bounds(0.1, 0.2, 5)})}, true},
		{"description of a view", Config{Views: view(sdkmetric.Stream{Description: "otherwise"})}, true},
		{"default of a view", Config{Views: view(sdkmetric.Stream{Aggregation: sdkmetric.AggregationDefault{}})}, true},
		{"no extremes", Config{Views: view(sdkmetric.Stream{
			Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: []float64{1}, NoMinMax: true},
		})}, true},
		{"limit", Config{Limit: 5}, true},
		{"bounds of the reader", Config{Aggregation: func(sdkmetric.InstrumentKind) sdkmetric.Aggregation { return bounds(3) }}, true},
		{"exponential", Config{Aggregation: func(sdkmetric.InstrumentKind) sdkmetric.Aggregation { return exponential }}, false},
		{"exponential by a view", Config{Views: view(sdkmetric.Stream{Aggregation: exponential})}, false},
		{"dropped", Config{Views: view(sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})}, false},
		{"filter", Config{Views: view(sdkmetric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("k")})}, false},
		{"no bounds", Config{Views: view(sdkmetric.Stream{Aggregation: bounds()})}, false},
		{"two views", Config{Views: append(view(sdkmetric.Stream{Aggregation: bounds(1)}),
			sdkmetric.NewView(sdkmetric.Instrument{Name: "a.duration"}, sdkmetric.Stream{Name: "b.duration"}))}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := []sdkmetric.Option{
				sdkmetric.WithView(tt.cfg.Views...),
				sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter),
				sdkmetric.WithCardinalityLimit(tt.cfg.Limit),
			}
			provider, reader := newProvider(t, tt.cfg, opts...)
			judge := sdkmetric.NewManualReader(sdkmetric.WithAggregationSelector(selector(tt.cfg)))
			sdk := sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(judge))...)

			var advised, plain []metric.Float64Histogram
			for _, p := range []metric.MeterProvider{provider, sdk} {
				a, err := p.Meter(scope).Float64Histogram("a.duration", metric.WithUnit("s"), metric.WithDescription("how long"),
					metric.WithExplicitBucketBoundaries(0.01, 0.1, 1, 10))
				if err != nil {
					t.Fatal(err)
				}
				b, err := p.Meter(scope).Float64Histogram("A.plain")
				if err != nil {
					t.Fatal(err)
				}
				advised, plain = append(advised, a), append(plain, b)
			}
			if _, ok := advised[0].(*Histogram); ok != tt.ours {
				t.Fatalf("recorded here: %t, want %t", ok, tt.ours)
			}
			if again, _ := provider.Meter(scope).Float64Histogram("a.Duration", metric.WithUnit("s"), metric.WithDescription("how long")); tt.ours && again != advised[0] && tt.name != "two views" {
				t.Error("the same instrument asked for again is another one")
			}
			for i := range 500 {
				attrs := []attribute.KeyValue{attribute.Int("k", i%7), attribute.String("s", "x")}
				v := float64(rand.IntN(1<<20)) / (1 << 16) // sums of these are exact in any order
				switch i {
				case 100:
					v = 0.1 // on a bound
				case 101:
					v = -1
				case 102:
					v = math.Inf(1)
				}
				if i == 102 {
					attrs = attrs[:1]
				}
				with := metric.WithAttributes(attrs...)
				advised[1].Record(t.Context(), v, with)
				plain[1].Record(t.Context(), v, with)
				plain[0].Record(t.Context(), v, with)
				h, bound := advised[0].(*Histogram)
				switch {
				case bound && i%3 == 0:
					h.Bind(attrs...).Record(t.Context(), v)
				case bound && i%3 == 1:
					h.Bind(attrs[:1]...).Record(t.Context(), v, metric.WithAttributes(attrs[1:]...))
				default:
					advised[0].Record(t.Context(), v, with)
				}
			}
			got, want := collect(t, reader), collect(t, judge)
			if len(got) != len(want) {
				t.Errorf("%d metrics, want %d", len(got), len(want))
			}
			for name, m := range want {
				metricdatatest.AssertEqual(t, m, got[name], metricdatatest.IgnoreTimestamp())
			}
		})
	}
}

// A snapshot taken while others record is of one moment: its sum and its buckets are those of its count.
func TestConcurrent(t *testing.T) {
	provider, reader := newProvider(t, Config{})
	h, err := provider.Meter(scope).Float64Histogram("a.duration", metric.WithExplicitBucketBoundaries(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 20_000
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			bound := h.(*Histogram).Bind(attribute.Bool("k", true))
			for range each {
				bound.Record(context.Background(), 1.5)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	last := uint64(0)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		m, ok := collect(t, reader)["a.duration"]
		if !ok {
			continue
		}
		p := m.Data.(metricdata.Histogram[float64]).DataPoints[0]
		if p.Count < last || p.BucketCounts[1] != p.Count || p.Sum != 1.5*float64(p.Count) {
			t.Fatalf("after %d: count %d, buckets %v, sum %v", last, p.Count, p.BucketCounts, p.Sum)
		}
		last = p.Count
		p.BucketCounts[1], p.Bounds[0] = 0, 7 // it is the caller's
	}
	if last != writers*each {
		t.Errorf("%d in the end, want %d", last, writers*each)
	}
}

// An exemplar of a sampled request points at its trace; without a span there is none.
func TestExemplars(t *testing.T) {
	provider, reader := newProvider(t, Config{Exemplars: exemplar.TraceBasedFilter})
	h, err := provider.Meter(scope).Float64Histogram("a.duration", metric.WithExplicitBucketBoundaries(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	})
	bound := h.(*Histogram).Bind(attribute.String("k", "v"))
	bound.Record(context.Background(), 0.5)
	bound.Record(trace.ContextWithSpanContext(context.Background(), span), 1.5)
	bound.Record(trace.ContextWithSpanContext(context.Background(), span.WithTraceFlags(0)), 2.5)
	p := collect(t, reader)["a.duration"].Data.(metricdata.Histogram[float64]).DataPoints[0]
	if p.Count != 3 || len(p.Exemplars) != 1 || p.Exemplars[0].Value != 1.5 || trace.TraceID(p.Exemplars[0].TraceID) != span.TraceID() {
		t.Errorf("count %d, exemplars %+v", p.Count, p.Exemplars)
	}
}

func TestAllocations(t *testing.T) {
	provider, _ := newProvider(t, Config{})
	h, _ := provider.Meter(scope).Float64Histogram("a.duration")
	bound := h.(*Histogram).Bind(attribute.String("k", "v"))
	ready := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("k", "v")))}
	for name, record := range map[string]func(){
		"bound": func() { bound.Record(context.Background(), 1) },
		"ready": func() { h.Record(context.Background(), 1, ready...) },
	} {
		if n := testing.AllocsPerRun(100, record); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	attrs := make([]attribute.KeyValue, 6)
	for i := range attrs {
		attrs[i] = attribute.String(fmt.Sprint("key", i), "value")
	}
	ready := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
	sdk := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	theirs, _ := sdk.Meter(scope).Float64Histogram("a.duration")
	h, _ := New(Config{Scope: scope}).Provider(sdk).Meter(scope).Float64Histogram("a.duration")
	bound := h.(*Histogram).Bind(attrs...)
	for _, tt := range []struct {
		name   string
		record func()
	}{
		{"sdk", func() { theirs.Record(context.Background(), 1, ready...) }},
		{"ready", func() { h.Record(context.Background(), 1, ready...) }},
		{"bound", func() { bound.Record(context.Background(), 1) }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tt.record()
			}
		})
	}
}
