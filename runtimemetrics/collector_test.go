package runtimemetrics

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// setMemoryLimit returns what undoes it.
func setMemoryLimit(n int64) func() {
	old := debug.SetMemoryLimit(n)
	return func() { debug.SetMemoryLimit(old) }
}

func TestGoroutinesAreSeenAtOnce(t *testing.T) {
	reader, provider := newReader(t)
	startTest(t, WithMeterProvider(provider))
	before := collect(t, reader)

	const n = 1000
	stop := make(chan struct{})
	var running, done sync.WaitGroup
	running.Add(n)
	for range n {
		done.Go(func() {
			running.Done()
			<-stop
		})
	}
	running.Wait()
	during := collect(t, reader)
	close(stop)
	done.Wait()

	delta := func(name string, attrs ...attribute.KeyValue) float64 {
		return mustValue(t, during, name, attrs...) - mustValue(t, before, name, attrs...)
	}
	if got := delta("go.goroutine.count"); got < n-5 || got > n+5 { // goroutines of earlier tests may end meanwhile
		t.Errorf("go.goroutine.count rose by %v, want %d", got, n)
	}
	if got := delta("otelnet.go.goroutine.created"); got < n || got > n+50 {
		t.Errorf("otelnet.go.goroutine.created rose by %v, want %d", got, n)
	}
	// Some may still be on their way from Done to the receive.
	if got := delta("otelnet.go.goroutine.states", goroutineStateKey.String("waiting")); got < n/2 || got > n+5 {
		t.Errorf("waiting goroutines rose by %v, want about %d", got, n)
	}
}

func TestForcedCollectionIsCounted(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // no cycle but ours
	reader, provider := newReader(t, sdkmetric.WithProducer(NewProducer()))
	startTest(t, WithMeterProvider(provider))
	runtime.GC()
	before := collect(t, reader)
	runtime.GC()
	runtime.GC()
	after := collect(t, reader)

	delta := func(name string, attrs ...attribute.KeyValue) float64 {
		return mustValue(t, after, name, attrs...) - mustValue(t, before, name, attrs...)
	}
	if got := delta("go.memory.gc.cycles"); got != 2 {
		t.Errorf("go.memory.gc.cycles rose by %v after two cycles, want 2", got)
	}
	if got := delta("go.memory.gc.pause.duration"); got != 4 {
		t.Errorf("go.memory.gc.pause.duration counts %v pauses in two cycles, want 4 (each cycle stops the world twice)", got)
	}
	if got := delta("go.cpu.time", semconv.GoCPUStateGC); got <= 0 {
		t.Errorf("go.cpu.time of gc rose by %v s over two cycles, want more than 0", got)
	}
}

func TestAllocationsAndLiveHeap(t *testing.T) {
	reader, provider := newReader(t)
	startTest(t, WithMeterProvider(provider))
	runtime.GC()
	before := collect(t, reader)

	const size, count = 1 << 20, 32
	held := make([][]byte, count)
	for i := range held {
		held[i] = make([]byte, size)
	}
	runtime.GC()
	after := collect(t, reader)
	runtime.KeepAlive(held)

	for name, wantAtLeast := range map[string]float64{
		"go.memory.allocated":         size * count,
		"go.memory.allocations":       count,
		"otelnet.go.memory.heap.live": size*count - 1<<20, // something else may have died meanwhile
	} {
		got := mustValue(t, after, name) - mustValue(t, before, name)
		if got < wantAtLeast || got > 2*wantAtLeast+1<<20 {
			t.Errorf("%s rose by %v, want about %v", name, got, wantAtLeast)
		}
	}
	goal, live := mustValue(t, after, "go.memory.gc.goal"), mustValue(t, after, "otelnet.go.memory.heap.live")
	if goal <= live {
		t.Errorf("go.memory.gc.goal is %v, want above the live heap of %v", goal, live)
	}
	if got := mustValue(t, after, "otelnet.go.memory.heap.objects"); got < count {
		t.Errorf("otelnet.go.memory.heap.objects is %v, want at least %d", got, count)
	}
}

func TestMemoryUsedIsWhatMemStatsSays(t *testing.T) {
	reader, provider := newReader(t)
	startTest(t, WithMeterProvider(provider))
	// The scavenger gives memory back all the time.
	var before, ms runtime.MemStats
	runtime.ReadMemStats(&before)
	got := collect(t, reader)
	runtime.ReadMemStats(&ms)

	used := mustValue(t, got, "go.memory.used", semconv.GoMemoryTypeStack) +
		mustValue(t, got, "go.memory.used", semconv.GoMemoryTypeOther)
	one, other := float64(before.Sys-before.HeapReleased), float64(ms.Sys-ms.HeapReleased)
	if low, high := min(one, other)-2<<20, max(one, other)+2<<20; used < low || used > high {
		t.Errorf("go.memory.used adds up to %v, want %v to %v as of runtime.MemStats before and after, give or take 2 MiB", used, one, other)
	}
	if stack := mustValue(t, got, "go.memory.used", semconv.GoMemoryTypeStack); stack <= 0 || stack > 2*float64(ms.StackInuse) {
		t.Errorf("stack memory is %v, want about %d", stack, ms.StackInuse)
	}
}

func TestConfiguredLimits(t *testing.T) {
	defer setMemoryLimit(3 << 30)()
	defer debug.SetGCPercent(debug.SetGCPercent(42))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	reader, provider := newReader(t)
	startTest(t, WithMeterProvider(provider))
	got := collect(t, reader)
	for name, want := range map[string]float64{
		"go.memory.limit":    3 << 30,
		"go.config.gogc":     42,
		"go.processor.limit": 3,
	} {
		if v := mustValue(t, got, name); v != want {
			t.Errorf("%s: got %v, want %v", name, v, want)
		}
	}
}

func TestNoLimitIsAbsent(t *testing.T) {
	defer setMemoryLimit(1<<63 - 1)()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	reader, provider := newReader(t)
	startTest(t, WithMeterProvider(provider))
	got := collect(t, reader)
	for _, name := range []string{"go.memory.limit", "go.config.gogc", "go.memory.gc.goal"} {
		if v, ok := value(t, got, name); ok {
			t.Errorf("%s is %v without limit or collector, want no point", name, v)
		}
	}
}

func TestDetailsPartitionTheTotals(t *testing.T) {
	reader, provider := newReader(t)
	startTest(t, WithMeterProvider(provider), WithDetails())
	got := collect(t, reader)
	if _, ok := value(t, got, "go.memory.used", semconv.GoMemoryTypeStack, semconv.GoMemoryDetailedType("heap/stacks")); !ok {
		t.Error("no point of go.memory.used for stack, heap/stacks")
	}
	if _, ok := value(t, got, "go.cpu.time", semconv.GoCPUStateGC, semconv.GoCPUDetailedState("gc/mark/assist")); !ok {
		t.Error("no point of go.cpu.time for gc, gc/mark/assist")
	}

	// One read of everything is consistent in itself: the chosen classes must add up to the totals exactly.
	all := metrics.All()
	samples := make([]metrics.Sample, len(all))
	at := make(map[string]metrics.Value, len(all))
	for i, d := range all {
		samples[i].Name = d.Name
	}
	// While it marks, the runtime has added the pause that began the cycle to the GC's time, and takes it off user's at the end.
	runtime.GC()
	metrics.Read(samples)
	for _, s := range samples {
		at[s.Name] = s.Value
	}
	var memory uint64
	points := memoryClasses(all)
	for _, p := range points {
		memory += at[p.key].Uint64()
	}
	if want := at["/memory/classes/total:bytes"].Uint64() - at["/memory/classes/heap/released:bytes"].Uint64(); memory != want {
		t.Errorf("memory classes add up to %d, want %d", memory, want)
	}
	if got := len(values(t, got["go.memory.used"])); got != len(points) {
		t.Errorf("go.memory.used has %d points, want %d", got, len(points))
	}
	var cpu float64
	for _, p := range cpuClasses(all) {
		cpu += at[p.key].Float64()
	}
	if want := at["/cpu/classes/total:cpu-seconds"].Float64(); cpu < want*0.999 || cpu > want*1.001 {
		t.Errorf("CPU classes add up to %v s, want %v s", cpu, want)
	}
}

func TestMissingKeyIsAbsent(t *testing.T) {
	// An older Go without goroutine states and without one part of a difference.
	older := slices.DeleteFunc(slices.Clone(metrics.All()), func(d metrics.Description) bool {
		return strings.HasPrefix(d.Name, "/sched/goroutines/") || d.Name == "/memory/classes/heap/released:bytes"
	})
	reader, provider := newReader(t)
	c, err := start(newConfig([]Option{WithMeterProvider(provider)}), older)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}()
	got := collect(t, reader)
	if m, ok := got["otelnet.go.goroutine.states"]; ok {
		t.Errorf("otelnet.go.goroutine.states came without its keys: %v", m.Data)
	}
	if v, ok := value(t, got, "go.memory.used", semconv.GoMemoryTypeOther); ok {
		t.Errorf("go.memory.used of other is %v without heap/released, want no point", v)
	}
	mustValue(t, got, "go.memory.used", semconv.GoMemoryTypeStack)
	mustValue(t, got, "go.goroutine.count")
}

func TestStopUnregisters(t *testing.T) {
	reader, provider := newReader(t)
	c, err := Start(WithMeterProvider(provider))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(collect(t, reader)); got == 0 {
		t.Fatal("no metrics before Stop")
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
	if got := collect(t, reader); len(got) != 0 {
		t.Errorf("%d metrics after Stop, want none", len(got))
	}
	startTest(t, WithMeterProvider(provider)) // and may be started anew
	if got := mustValue(t, collect(t, reader), "go.processor.limit"); got != float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("go.processor.limit after a restart: got %v, want %d", got, runtime.GOMAXPROCS(0))
	}
}

func TestSecondStartIsRefused(t *testing.T) {
	reader, provider := newReader(t)
	startTest(t, WithMeterProvider(provider))
	if _, err := Start(WithMeterProvider(provider)); !errors.Is(err, ErrStarted) {
		t.Errorf("second Start: got %v, want ErrStarted", err)
	}
	if got := mustValue(t, collect(t, reader), "go.processor.limit"); got != float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("go.processor.limit: got %v, want %d", got, runtime.GOMAXPROCS(0))
	}
	startTest(t, WithMeterProvider(noop.NewMeterProvider()))
	startTest(t, WithMeterProvider(noop.NewMeterProvider()))
}

// Who started before the global provider was set reports to that one too.
func TestSecondStartThroughTheGlobalProvider(t *testing.T) {
	if otel.GetMeterProvider() != unsetProvider {
		t.Skip("the global provider can be set for the first time once in a process")
	}
	first := startTest(t)
	reader, provider := newReader(t)
	otel.SetMeterProvider(provider)
	for name, opts := range map[string][]Option{"global": nil, "named": {WithMeterProvider(provider)}} {
		if _, err := Start(opts...); !errors.Is(err, ErrStarted) {
			t.Errorf("%s: second Start: got %v, want ErrStarted", name, err)
		}
	}
	if got := mustValue(t, collect(t, reader), "go.processor.limit"); got != float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("go.processor.limit: got %v, want %d", got, runtime.GOMAXPROCS(0))
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	startTest(t)
}

// A Collector from before there was a global provider reports to the one that is set, unless that has its own.
func TestCollectorGivesWay(t *testing.T) {
	global, unset := globalProvider, unsetProvider
	t.Cleanup(func() { globalProvider, unsetProvider = global, unset })
	reader, provider := newReader(t)
	unsetProvider = provider // plays the one that passes everything on
	globalProvider = func() metric.MeterProvider { return provider }
	startTest(t, WithMeterProvider(provider))
	_, other := newReader(t)
	second := startTest(t, WithMeterProvider(other))
	reports := func() bool { return len(collect(t, reader)) > 0 }
	if !reports() {
		t.Error("nothing is reported while no provider is set")
	}
	globalProvider = func() metric.MeterProvider { return other }
	if reports() {
		t.Error("both report")
	}
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	if !reports() {
		t.Error("nothing is reported after the other one was stopped")
	}
}

var errBroken = errors.New("broken meter")

// brokenProvider refuses every instrument of one kind.
type brokenProvider struct{ noop.MeterProvider }

type brokenMeter struct{ noop.Meter }

func (*brokenProvider) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

func (brokenMeter) Int64ObservableGauge(string, ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return nil, errBroken
}

func TestStartReturnsTheMetersErrors(t *testing.T) {
	p := new(brokenProvider)
	for range 2 { // the second time too: nothing of a start that went wrong remains
		_, err := Start(WithMeterProvider(p))
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "otelnet.go.gc.limiter.last") {
			t.Errorf("got %v, want the meter's error and the metric's name", err)
		}
	}
}

// TestSeveralReadersAtOnce is for the race detector, and for what a race would tear: every collect before the Stop has
// all points.
func TestSeveralReadersAtOnce(t *testing.T) {
	producer := NewProducer()
	a := sdkmetric.NewManualReader(sdkmetric.WithProducer(producer))
	b := sdkmetric.NewManualReader(sdkmetric.WithProducer(producer))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(a), sdkmetric.WithReader(b))
	defer provider.Shutdown(context.Background())
	c := startIn(t, containerRoot(t), WithMeterProvider(provider))
	want := len(collect(t, a))

	const turns = 50
	var wg sync.WaitGroup
	for _, r := range []sdkmetric.Reader{a, b, a} {
		wg.Go(func() {
			for range turns {
				got := collect(t, r)
				if len(got) != want {
					t.Errorf("%d metrics, want %d", len(got), want)
				}
				if v, ok := value(t, got, "otelnet.container.cpu.limit"); !ok || v != 1.5 {
					t.Errorf("otelnet.container.cpu.limit: got %v, %t, want 1.5", v, ok)
				}
			}
		})
	}
	wg.Wait()
	for _, r := range []sdkmetric.Reader{a, b, a} {
		wg.Go(func() {
			for range turns {
				collect(t, r)
			}
		})
	}
	wg.Go(func() { c.Stop() })
	wg.Wait()
	if got := len(collect(t, b)); got != len(histograms()) {
		t.Errorf("%d metrics after Stop, want the producer's %d", got, len(histograms()))
	}
}

// countingObserver stands for the SDK: it counts and keeps nothing.
type countingObserver struct {
	embedded.Observer
	n int
}

func (o *countingObserver) ObserveInt64(metric.Int64Observable, int64, ...metric.ObserveOption) {
	o.n++
}

func (o *countingObserver) ObserveFloat64(metric.Float64Observable, float64, ...metric.ObserveOption) {
	o.n++
}

func TestCallbacksAllocateNothing(t *testing.T) {
	_, provider := newReader(t)
	c := startIn(t, containerRoot(t), WithMeterProvider(provider))
	for name, observe := range map[string]metric.Callback{"runtime": c.runtime.observe, "system": c.system.observe} {
		counting := new(countingObserver)
		var o metric.Observer = counting
		got := testing.AllocsPerRun(100, func() {
			if err := observe(context.Background(), o); err != nil {
				t.Error(err)
			}
		})
		if got != 0 {
			t.Errorf("the callback of the %s allocates %v times, want 0", name, got)
		}
		if counting.n == 0 {
			t.Errorf("the callback of the %s observed nothing", name)
		}
	}
}

func BenchmarkCallback(b *testing.B) {
	_, provider := newReader(b)
	c := startTest(b, WithMeterProvider(provider))
	for name, observe := range map[string]metric.Callback{"runtime": c.runtime.observe, "system": c.system.observe} {
		b.Run(name, func(b *testing.B) {
			o := new(countingObserver)
			b.ReportAllocs()
			for b.Loop() {
				observe(context.Background(), o)
			}
		})
	}
}

func BenchmarkCollect(b *testing.B) {
	reader, provider := newReader(b)
	startTest(b, WithMeterProvider(provider))
	var rm metricdata.ResourceMetrics
	b.ReportAllocs()
	for b.Loop() {
		reader.Collect(context.Background(), &rm)
	}
}
