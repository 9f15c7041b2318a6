package runtimemetrics

import (
	"context"
	"math"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

var _ sdkmetric.Producer = (*Producer)(nil)

func produce(t testing.TB, p *Producer) []metricdata.Metrics {
	t.Helper()
	sms, err := p.Produce(context.Background())
	if err != nil || len(sms) != 1 {
		t.Fatalf("Produce: got %d scopes and error %v, want one scope and none", len(sms), err)
	}
	return sms[0].Metrics
}

func pointOf(m metricdata.Metrics) metricdata.HistogramDataPoint[float64] {
	return m.Data.(metricdata.Histogram[float64]).DataPoints[0]
}

func TestProducedHistogramsAreWellFormed(t *testing.T) {
	ms := produce(t, NewProducer())
	if got, want := len(ms), len(histograms()); got != want {
		t.Fatalf("got %d histograms, want %d", got, want)
	}
	for _, m := range ms {
		p := pointOf(m)
		if len(p.Bounds) < 20 || len(p.Bounds) > 32 {
			t.Errorf("%s has %d bounds, want 20 to 32", m.Name, len(p.Bounds))
		}
		if p.Bounds[0] > 2e-6 || p.Bounds[len(p.Bounds)-1] < 10 {
			t.Errorf("%s: bounds from %v to %v s, want from about 1 µs to over 10 s", m.Name, p.Bounds[0], p.Bounds[len(p.Bounds)-1])
		}
		if !slices.IsSorted(p.Bounds) {
			t.Errorf("%s: bounds are not in order: %v", m.Name, p.Bounds)
		}
		if got, want := len(p.BucketCounts), len(p.Bounds)+1; got != want {
			t.Errorf("%s has %d buckets, want %d", m.Name, got, want)
		}
		var sum uint64
		for _, n := range p.BucketCounts {
			sum += n
		}
		if sum != p.Count {
			t.Errorf("%s: buckets add up to %d, count is %d", m.Name, sum, p.Count)
		}
		if p.StartTime.IsZero() || !p.StartTime.Before(p.Time) {
			t.Errorf("%s: start %v, time %v", m.Name, p.StartTime, p.Time)
		}
	}
}

func mergeTest(h *metrics.Float64Histogram) metricdata.HistogramDataPoint[float64] {
	f := newFold(h.Buckets)
	p := metricdata.HistogramDataPoint[float64]{Bounds: f.bounds, BucketCounts: make([]uint64, len(f.bounds)+1)}
	p.Count, p.Sum = f.merge(h.Counts, p.BucketCounts)
	return p
}

func TestMergeKeepsCounts(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		name string
		h    metrics.Float64Histogram
		want metricdata.HistogramDataPoint[float64]
	}{
		{
			name: "below the lowest bound is one bucket",
			h:    metrics.Float64Histogram{Buckets: []float64{-inf, 0, 64e-9, 128e-9, 1e-6, 2e-6, inf}, Counts: []uint64{0, 1, 2, 3, 4, 5}},
			want: metricdata.HistogramDataPoint[float64]{
				Count: 15, Bounds: []float64{1e-6, 2e-6}, BucketCounts: []uint64{6, 4, 5},
				Sum: 1*32e-9 + 2*96e-9 + 3*564e-9 + 4*1.5e-6 + 5*2e-6,
			},
		},
		{
			name: "quarter steps become doublings",
			h: metrics.Float64Histogram{
				Buckets: []float64{1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, inf}, Counts: []uint64{1, 1, 1, 1, 1, 1, 1, 1, 1},
			},
			want: metricdata.HistogramDataPoint[float64]{
				Count: 9, Bounds: []float64{1.25, 2.5}, BucketCounts: []uint64{1, 4, 4},
				Sum: 1.125 + 1.375 + 1.625 + 1.875 + 2.25 + 2.75 + 3.25 + 3.75 + 4,
			},
		},
		{
			name: "far too long goes into the last bucket",
			h:    metrics.Float64Histogram{Buckets: []float64{0, 16, 32, 64, inf}, Counts: []uint64{1, 0, 2, 3}},
			want: metricdata.HistogramDataPoint[float64]{Count: 6, Bounds: []float64{16}, BucketCounts: []uint64{1, 5}, Sum: 8 + 2*48 + 3*64},
		},
		{
			name: "no end is open",
			h:    metrics.Float64Histogram{Buckets: []float64{0, 1, 2}, Counts: []uint64{1, 1}},
			want: metricdata.HistogramDataPoint[float64]{Count: 2, Bounds: []float64{1, 2}, BucketCounts: []uint64{1, 1, 0}, Sum: 2},
		},
	}
	closeEnough := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := mergeTest(&test.h)
			if diff := cmp.Diff(test.want.Bounds, got.Bounds); diff != "" {
				t.Errorf("bounds (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want.BucketCounts, got.BucketCounts); diff != "" {
				t.Errorf("bucket counts (-want +got):\n%s", diff)
			}
			if got.Count != test.want.Count {
				t.Errorf("count: got %d, want %d", got.Count, test.want.Count)
			}
			if !cmp.Equal(test.want.Sum, got.Sum, closeEnough) {
				t.Errorf("sum: got %v, want %v", got.Sum, test.want.Sum)
			}
		})
	}
}

// Any histogram that a later Go version may have must come out whole and within the limit of bounds.
func TestMergeOfManyBuckets(t *testing.T) {
	h := &metrics.Float64Histogram{Buckets: []float64{0}}
	for v := 1e-6; v < 18; v *= 1.01 {
		h.Buckets = append(h.Buckets, v)
		h.Counts = append(h.Counts, 1)
	}
	p := mergeTest(h)
	if len(p.Bounds) > 32 {
		t.Errorf("got %d bounds, want at most 32", len(p.Bounds))
	}
	if got, want := p.Count, uint64(len(h.Counts)); got != want {
		t.Errorf("count: got %d, want %d", got, want)
	}
	if p.Sum <= 0 {
		t.Errorf("sum: got %v, want more than 0", p.Sum)
	}
}

func TestProducedMemoryIsTheCallers(t *testing.T) {
	p := NewProducer()
	first := produce(t, p)
	for _, m := range first {
		point := pointOf(m)
		for i := range point.Bounds {
			point.Bounds[i] = -1
		}
		for i := range point.BucketCounts {
			point.BucketCounts[i] = 1 << 40
		}
	}
	for _, m := range produce(t, p) {
		point := pointOf(m)
		if slices.Contains(point.Bounds, -1) || slices.Contains(point.BucketCounts, 1<<40) {
			t.Errorf("%s shares memory with an earlier call", m.Name)
		}
	}
	samples := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(samples)
	if slices.Contains(samples[0].Value.Float64Histogram().Buckets, -1) {
		t.Error("the runtime's own bounds were handed out")
	}
}

func TestScheduleDurationCountsGoroutines(t *testing.T) {
	p := NewProducer()
	before := pointOf(produce(t, p)[0])
	// The runtime times one start in eight, so many are needed for a sure few.
	var wg sync.WaitGroup
	for range 4000 {
		wg.Go(func() {})
	}
	wg.Wait()
	after := pointOf(produce(t, p)[0])
	if got := after.Count - before.Count; got < 100 || got > 100_000 {
		t.Errorf("go.schedule.duration counted %d more, want some hundreds for 4,000 goroutines", got)
	}
	if after.Sum <= before.Sum {
		t.Errorf("sum went from %v to %v, want more", before.Sum, after.Sum)
	}
}

func TestProducerWithoutKeys(t *testing.T) {
	sms, err := newProducer(config{}, nil).Produce(context.Background())
	if len(sms) != 0 || err != nil {
		t.Errorf("got %v and %v, want nothing", sms, err)
	}
}

func TestProduceConcurrently(t *testing.T) {
	p := NewProducer()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				sms, _ := p.Produce(context.Background())
				for _, m := range sms[0].Metrics {
					pointOf(m).BucketCounts[0]++ // the race detector would see a shared slice
				}
			}
		})
	}
	wg.Wait()
}

// One piece of memory for all, and one for each histogram that becomes a metricdata.Aggregation.
func TestProduceAllocatesLittle(t *testing.T) {
	p := NewProducer()
	got := testing.AllocsPerRun(100, func() { p.Produce(context.Background()) })
	if want := float64(1 + len(p.list)); got != want {
		t.Errorf("Produce allocates %v times, want %v", got, want)
	}
}

func TestNoMoreHistogramsThanThereIsRoomFor(t *testing.T) {
	if got := len(histograms()); got != maxHistograms {
		t.Errorf("%d histograms are listed, maxHistograms is %d", got, maxHistograms)
	}
}

func BenchmarkProduce(b *testing.B) {
	p := NewProducer()
	b.ReportAllocs()
	for b.Loop() {
		p.Produce(context.Background())
	}
}
