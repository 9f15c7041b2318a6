package history_test

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
)

// In steps of five seconds, a store that thins answers as one that keeps everything: series come late, rest and are reset meanwhile.
func TestThinningLosesResolutionOnly(t *testing.T) {
	const keep = 24 * time.Hour
	thin := newStore(t, history.Config{Keep: keep, Fine: 90 * time.Second, Coarse: 5 * time.Second})
	full := newStore(t, history.Config{Keep: keep, Fine: keep})
	rng := rand.New(rand.NewPCG(3, 4))
	var total, late int64
	h, sum := []uint64{0, 0, 0}, 0.0
	for i := range 700 {
		if i == 301 {
			h, sum = []uint64{1, 0, 0}, 0.5 // a reset, right after a kept snapshot
		}
		if rng.IntN(3) == 0 {
			total += rng.Int64N(1000)
			h[rng.IntN(3)] += rng.Uint64N(9)
			sum += 0.25
		}
		metrics := []metricdata.Metrics{counter("c", point(total)), gauge("g", point(float64(i))), histogram("h", buckets(sum, h))}
		if i >= 203 {
			late += 3
			metrics = append(metrics, counter("late", point(late)))
		}
		rm := snapshot(metrics...)
		thin.Append(at(i), rm)
		full.Append(at(i), rm)
	}
	if got, all := thin.Stats().Snapshots, full.Stats().Snapshots; all != 700 || got < 700/5 || got > 700/5+90+2*64 {
		t.Errorf("%d snapshots of %d are held, want those of the fine part and a fifth of the rest", got, all)
	}
	for _, since := range []int{-1, 0, 63, 64, 100, 128, 299, 640, 690} {
		for _, cumulative := range []bool{false, true} {
			q := history.Query{Step: 5 * time.Second, Cumulative: cumulative}
			if since >= 0 {
				q.Since = at(since - since%5 + 4) // the end of a step, which both hold
			}
			want, got := full.Query(q), thin.Query(q)
			if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
				t.Fatalf("since %d, cumulative %t (-full +thin):\n%s", since, cumulative, diff)
			}
		}
	}
}

// An hour of snapshots each second with 500 series, histograms among them, fits the default bounds, and the estimate is true.
func TestHourOf500SeriesFits16MB(t *testing.T) {
	const numbers, hists, counts = 380, 120, 16
	bounds := make([]float64, counts-1)
	for i := range bounds {
		bounds[i] = float64(i)
	}
	ints := make([]metricdata.DataPoint[int64], numbers)
	for i := range ints {
		ints[i].Attributes = attribute.NewSet(attribute.Int("i", i))
	}
	hs := make([]metricdata.HistogramDataPoint[float64], hists)
	for i := range hs {
		hs[i] = metricdata.HistogramDataPoint[float64]{
			Attributes: attribute.NewSet(attribute.Int("i", i)), Bounds: bounds, BucketCounts: make([]uint64, counts),
		}
	}
	rm := snapshot(counter("c", ints...), histogram("h", hs...))
	before := heap()
	s := newStore(t, history.Config{})
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 3600 {
		for k := range ints {
			ints[k].Value += rng.Int64N(100_000)
		}
		for k := range hs { // each moves, in four of its buckets
			for range 4 {
				hs[k].BucketCounts[rng.IntN(counts)] += rng.Uint64N(50)
			}
			hs[k].Sum += rng.Float64()
		}
		s.Append(at(i), rm)
	}
	used := heap() - before
	st := s.Stats()
	t.Logf("%d series, %d snapshots: estimated %d bytes, heap %d bytes", st.Series, st.Snapshots, st.Bytes, used)
	if st.Series != 500 || st.EarlyBlocks != 0 || st.DroppedSamples != 0 || st.Newest.Sub(st.Oldest) < 3599*time.Second {
		t.Errorf("got %+v, want an hour of 500 series with nothing dropped", st)
	}
	if most := 16 << 20; st.Bytes > most || used > most {
		t.Errorf("estimated %d bytes, heap %d, want at most 16 MiB", st.Bytes, used)
	}
	if used > st.Bytes*5/4 {
		t.Errorf("the heap grew by %d bytes, the estimate is %d", used, st.Bytes)
	}
	runtime.KeepAlive(s)
}

func heap() int {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A service whose tick is a second has thinned snapshots 5 s apart: that is no gap, and a minute without any is one.
func TestThinnedSnapshotsAreNoGaps(t *testing.T) {
	s := newStore(t, history.Config{GapAfter: 2500 * time.Millisecond})
	for i := range 3000 {
		if i < 1000 || i >= 1060 {
			s.Append(at(i), snapshot(gauge("g", point(1.0))))
		}
	}
	gaps := s.Query(history.Query{Select: []history.Selector{}}).Gaps
	if len(gaps) != 1 || !gaps[0].From.Equal(at(999)) || !gaps[0].To.Equal(at(1060)) && !gaps[0].To.Equal(at(1064)) {
		t.Errorf("got %v, want the minute after %s", gaps, at(999))
	}
}
