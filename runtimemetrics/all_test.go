package runtimemetrics

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
)

// allIn is a producer WithAll that takes root for the file system.
func allIn(root string, opts ...ProducerOption) *Producer {
	cfg := newProducerConfig(append(opts, WithAll()))
	cfg.root = root
	return newProducer(cfg, metrics.All())
}

// The SDK, asked for the same, is the witness: both ways must give the same metrics with the same points.
func TestAllIsWhatStartAndTheSDKGive(t *testing.T) {
	for name, opts := range map[string][]CommonOption{
		"plain":           nil,
		"with details":    {WithDetails()},
		"without process": {WithoutProcess()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(setMemoryLimit(1 << 40))
			root := containerRoot(t)
			var startOpts []Option
			var producerOpts []ProducerOption
			for _, o := range opts {
				startOpts, producerOpts = append(startOpts, o), append(producerOpts, o)
			}
			reader, provider := newReader(t, sdkmetric.WithProducer(NewProducer()))
			startIn(t, root, append(startOpts, WithMeterProvider(provider))...)
			alone, _ := newReader(t, sdkmetric.WithProducer(allIn(root, producerOpts...)))

			want, got := collect(t, reader), collect(t, alone)
			if len(want) < 25 {
				t.Fatalf("only %d metrics", len(want))
			}
			for name := range got {
				if _, ok := want[name]; !ok {
					t.Errorf("%s comes from the producer alone", name)
				}
			}
			for name, w := range want {
				g, ok := got[name]
				if !ok {
					t.Errorf("the producer lacks %s", name)
					continue
				}
				if _, histogram := w.Data.(metricdata.Histogram[float64]); histogram {
					continue
				}
				metricdatatest.AssertEqual(t, w, g, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreValue())
				if diff := cmp.Diff(keys(values(t, w)), keys(values(t, g))); diff != "" {
					t.Errorf("%s: points (-SDK +producer):\n%s", name, diff)
				}
			}
			if name != "without process" {
				if v := mustValue(t, got, "otelnet.container.cpu.limit"); v != 1.5 {
					t.Errorf("otelnet.container.cpu.limit: got %v, want 1.5", v)
				}
			} else if m, ok := got["process.cpu.time"]; ok {
				t.Errorf("process.cpu.time came: %v", m.Data)
			}
		})
	}
}

func keys[K comparable](m map[K]float64) map[K]bool {
	set := make(map[K]bool)
	for k := range m {
		set[k] = true
	}
	return set
}

func TestAllIsTheCallers(t *testing.T) {
	p := allIn(containerRoot(t))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				sms, _ := p.Produce(context.Background())
				for _, m := range sms[0].Metrics {
					switch d := m.Data.(type) { // the race detector would see memory that two calls share
					case metricdata.Sum[int64]:
						d.DataPoints[0].Value = -1
					case metricdata.Sum[float64]:
						d.DataPoints[0].Value = -1
					}
				}
			}
		})
	}
	wg.Wait()
	reader, _ := newReader(t, sdkmetric.WithProducer(p))
	if v := mustValue(t, collect(t, reader), "otelnet.container.memory.limit"); v != 256<<20 {
		t.Errorf("otelnet.container.memory.limit: got %v, want what the file says", v)
	}
}

func TestNoKeyAtAllIsAbsent(t *testing.T) {
	cfg := newProducerConfig([]ProducerOption{WithAll(), WithoutProcess()})
	reader, provider := newReader(t, sdkmetric.WithProducer(newProducer(cfg, nil)))
	start, err := start(newConfig([]Option{WithMeterProvider(provider), WithoutProcess()}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer start.Stop()
	if got := collect(t, reader); len(got) != 0 {
		t.Errorf("got %d metrics without any key, want none", len(got))
	}
}

// One for each metric, which becomes a metricdata.Aggregation, and four pieces of memory for the rest.
func TestAllAllocatesOnceAMetric(t *testing.T) {
	p := allIn(containerRoot(t))
	sms, _ := p.Produce(context.Background())
	got := testing.AllocsPerRun(100, func() { p.Produce(context.Background()) })
	if want := float64(4 + len(sms[0].Metrics)); got != want {
		t.Errorf("Produce allocates %v times, want %v", got, want)
	}
}

func BenchmarkProduceAll(b *testing.B) {
	for name, p := range map[string]*Producer{
		"runtime": NewProducer(WithAll(), WithoutProcess()), "process": NewProducer(WithAll()),
	} {
		b.Run(name, func(b *testing.B) {
			reader, _ := newReader(b, sdkmetric.WithProducer(p))
			var rm metricdata.ResourceMetrics
			b.ReportAllocs()
			for b.Loop() {
				reader.Collect(context.Background(), &rm)
			}
		})
	}
}

func TestProducerInPlaceOfStart(t *testing.T) {
	p := allIn(containerRoot(t))
	reader, provider := newReader(t, sdkmetric.WithProducer(p))
	opts := []Option{WithMeterProvider(provider), WithProducer(p)}
	c, err := Start(opts...)
	if err != nil {
		t.Fatal(err)
	}
	got := collect(t, reader) // which fails if a metric comes twice
	if len(got) < 25 {
		t.Errorf("only %d metrics", len(got))
	}
	if _, err := Start(WithMeterProvider(provider)); !errors.Is(err, ErrStarted) {
		t.Errorf("second Start: got %v, want ErrStarted", err)
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
	if got := len(collect(t, reader)); got != len(histograms()) {
		t.Errorf("%d metrics after Stop, want the %d histograms", got, len(histograms()))
	}
	for name, p := range map[string]*Producer{"stopped": p, "without WithAll": NewProducer()} {
		if _, err := Start(WithMeterProvider(provider), WithProducer(p)); err == nil {
			t.Errorf("a producer %s was accepted", name)
		}
	}
	startTest(t, WithMeterProvider(provider)) // nothing of the others remains
	mustValue(t, collect(t, reader), "go.goroutine.count")
}

// A collect that stopped the world would show in the runtime's own histogram of pauses, as runtime.ReadMemStats does.
func TestCollectStopsNoWorld(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	reader, provider := newReader(t, sdkmetric.WithProducer(NewProducer()))
	startTest(t, WithMeterProvider(provider))
	samples := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}, {Name: "/sched/pauses/total/gc:seconds"}}
	pauses := func() (n uint64) {
		metrics.Read(samples)
		for _, s := range samples {
			for _, count := range s.Value.Float64Histogram().Counts {
				n += count
			}
		}
		return n
	}
	before := pauses()
	const collects = 200
	for range collects {
		collect(t, reader)
	}
	if got := pauses() - before; got >= collects/10 { // a few may be others'
		t.Errorf("the world was stopped %d times in %d collects, want never", got, collects)
	}
	before = pauses()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	if pauses() == before {
		t.Error("runtime.ReadMemStats stopped nothing: this test could not fail")
	}
}
