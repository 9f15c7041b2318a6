package otelnet

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// endPipe opens and closes a connection of ep.
func endPipe(ep *endpoint) {
	a, b := net.Pipe()
	wrapConn(a, ep, countBest, nil).Close()
	b.Close()
}

// Connections that end a few at a time are all in the next collect, and only one that is asked for hands them over.
func TestSamplesAreNotLate(t *testing.T) {
	m := newMeter(t)
	ep := scopeFor(m.provider).endpoint(endpointKey{side: SideServer, name: "front"}, emptySet)
	q := &ep.scope.samples
	total := int64(0)
	end := func(n int) {
		for range n {
			endPipe(ep)
		}
		total += int64(n)
	}
	end(3)
	if len(q.waiting) != 0 {
		t.Errorf("%d samples wait before anybody has collected", len(q.waiting))
	}
	for _, n := range []int{0, 1, sampleBatch - 1, sampleBatch, sampleBatch + 1, 3*sampleBatch + 5} {
		if got := m.sum(metricServerDuration); got != total {
			t.Fatalf("a collect shows %d ends, want %d", got, total)
		}
		end(n)
		if got, want := len(q.waiting), n%sampleBatch; got != want {
			t.Errorf("after %d ends %d samples wait, want %d", n, got, want)
		}
	}
	// Nobody collects any more.
	ep.scope.sweptAt.Store(sinceStart() - int64(collectorGone) - 1)
	end(1)
	if len(q.waiting) != 0 {
		t.Errorf("%d samples wait for a collector that is gone", len(q.waiting))
	}
	if got := m.sum(metricServerDuration); got != total {
		t.Errorf("got %d ends, want %d", got, total)
	}
}

// A View can drop everything that the collect's callback observes, which is then never called. What is left is complete.
func TestSamplesWithoutACallback(t *testing.T) {
	only := func(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
		if i.Name == metricServerDuration {
			return sdkmetric.Stream{}, false
		}
		return sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}, true
	}
	reader := sdkmetric.NewManualReader()
	m := &meter{t: t, reader: reader, provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(only))}
	defer m.provider.Shutdown(context.Background())
	ep := scopeFor(m.provider).endpoint(endpointKey{side: SideServer, name: "front"}, emptySet)
	for want := int64(1); want < 4; want++ {
		endPipe(ep)
		if got := m.sum(metricServerDuration); got != want {
			t.Errorf("got %d ends, want %d", got, want)
		}
	}
	if n := len(m.metrics()); n != 1 {
		t.Errorf("got %d metrics, want the one that the View lets through", n)
	}
}

// The last export of a provider that shuts down has them too.
func TestSamplesAtShutdown(t *testing.T) {
	exporter := &lastExport{}
	m := &meter{t: t, provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))}
	ep := scopeFor(m.provider).endpoint(endpointKey{side: SideServer, name: "front"}, emptySet)
	if err := m.provider.ForceFlush(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		endPipe(ep)
	}
	if n := len(ep.scope.samples.waiting); n != 7 {
		t.Errorf("%d samples wait, want 7: nothing is tested", n)
	}
	if err := m.provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := exporter.counts[metricServerDuration]; got != 7 {
		t.Errorf("exported at last: %d ends, want 7", got)
	}
}

// An SDK that is busy holds up no close, and what it does may close connections itself.
func TestSamplesDoNotBlock(t *testing.T) {
	var q samples
	h := &slowHistogram{entered: make(chan struct{}, 1), leave: make(chan struct{})}
	now := int64(time.Minute)
	one := sample{histogram: h, options: newOptionSet(), value: 1}
	for range sampleBatch - 1 {
		q.add(one, now, 1)
	}
	h.within = func() { q.add(sample{histogram: noop.Float64Histogram{}, options: one.options}, now, 1) }
	var wg sync.WaitGroup
	wg.Go(func() { q.add(one, now, 1) }) // hands the batch over, and is held up by the SDK
	<-h.entered
	for range sampleBatch + 10 { // more than there is room for
		q.add(sample{histogram: &h.free, options: one.options, value: 1}, now, 1)
	}
	close(h.leave)
	wg.Wait()
	q.flush()
	if got := h.n; got != sampleBatch {
		t.Errorf("recorded %d, want the batch of %d", got, sampleBatch)
	}
	if got := h.free.n; got != sampleBatch+10 {
		t.Errorf("recorded %d while the SDK was busy, want %d", got, sampleBatch+10)
	}
}

func TestSamplesAllocate(t *testing.T) {
	var q samples
	one := sample{histogram: noop.Float64Histogram{}, options: newOptionSet()}
	for range 2 * sampleBatch {
		q.add(one, 1, 1)
	}
	if n := testing.AllocsPerRun(10*sampleBatch, func() { q.add(one, 1, 1) }); n != 0 {
		t.Errorf("got %v allocations a sample, want 0", n)
	}
}

type countingHistogram struct {
	noop.Float64Histogram
	n int
}

func (h *countingHistogram) Record(context.Context, float64, ...metric.RecordOption) { h.n++ }

// slowHistogram is held up in its first Record.
type slowHistogram struct {
	countingHistogram
	entered, leave chan struct{}
	within         func()
	free           countingHistogram
}

func (h *slowHistogram) Record(context.Context, float64, ...metric.RecordOption) {
	if h.n++; h.n == 1 {
		h.entered <- struct{}{}
		<-h.leave
		h.within()
	}
}

// lastExport counts what the last export held of histograms.
type lastExport struct {
	counts map[string]uint64
}

func (e *lastExport) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (e *lastExport) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (e *lastExport) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	e.counts = map[string]uint64{}
	for _, sm := range rm.ScopeMetrics {
		for _, x := range sm.Metrics {
			if h, ok := x.Data.(metricdata.Histogram[float64]); ok {
				for _, p := range h.DataPoints {
					e.counts[x.Name] += p.Count
				}
			}
		}
	}
	return nil
}

func (e *lastExport) ForceFlush(context.Context) error { return nil }

func (e *lastExport) Shutdown(context.Context) error { return nil }
