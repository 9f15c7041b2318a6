package history_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
)

var nan = math.NaN()

func TestNewRefusesNegativeBounds(t *testing.T) {
	if _, err := history.New(history.Config{MaxSeries: -1}); err == nil {
		t.Error("MaxSeries -1: got no error")
	}
}

// Over several blocks and turns of the ring, with values that jump, repeat, fall and overflow, what comes out is what went in.
func TestValuesInAreValuesOut(t *testing.T) {
	s := newStore(t, history.Config{Keep: 200 * time.Second})
	rng := rand.New(rand.NewPCG(1, 2))
	var ints, floats, gauges, counts, sums []float64
	var bucket1 []uint64
	cum, h, sum := int64(0), []uint64{0, 0, 0}, 0.0
	const n = 1000
	for i := range n {
		if rng.IntN(3) > 0 {
			cum += rng.Int64N(1 << rng.IntN(40))
			b := rng.IntN(3)
			h[b] += rng.Uint64N(1 << rng.IntN(20))
			sum += rng.ExpFloat64()
		}
		g := []float64{0, -1, math.Pi, math.MaxFloat64, -math.SmallestNonzeroFloat64, math.Inf(1)}[rng.IntN(6)]
		ig := rng.Int64() >> rng.IntN(64)
		if rng.IntN(2) == 0 {
			ig = -ig
		}
		s.Append(at(i), snapshot(counter("c", point(cum)), gauge("f", point(g)), gauge("i", point(ig)), histogram("h", buckets(sum, h))))
		ints, floats, gauges = append(ints, float64(cum)), append(floats, g), append(gauges, float64(ig))
		counts, sums, bucket1 = append(counts, float64(h[0]+h[1]+h[2])), append(sums, sum), append(bucket1, h[1])
	}
	res := s.Query(history.Query{Cumulative: true})
	held := len(res.Times)
	if held < 200 || held > 200+64+1 {
		t.Fatalf("held %d snapshots, want those of 200 s and at most a block more", held)
	}
	from := n - held
	if want := at(from); !res.Times[0].Equal(want) {
		t.Errorf("first time %s, want %s", res.Times[0], want)
	}
	type column struct {
		name string
		got  []float64
		want []float64
	}
	for _, c := range []column{
		{"counter", res.Series[0].Values, ints[from:]},
		{"float gauge", res.Series[1].Values, floats[from:]},
		{"int gauge", res.Series[2].Values, gauges[from:]},
		{"histogram count", res.Series[3].Values, counts[from:]},
		{"histogram sum", res.Series[3].Sums, sums[from:]},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if diff := cmp.Diff(bucket1[from:], res.Series[3].Buckets[1]); diff != "" {
		t.Errorf("bucket 1 (-want +got):\n%s", diff)
	}
	// A window that starts anywhere has the increases that the model has, also across block borders.
	for _, lo := range []int{from, from + 1, n - 129, n - 128, n - 65, n - 64, n - 63, n - 1} {
		res := s.Query(history.Query{Since: at(lo - 1)})
		if len(res.Times) != n-lo {
			t.Fatalf("since %d: %d times, want %d", lo, len(res.Times), n-lo)
		}
		for i := range res.Times {
			want := ints[lo+i] - ints[max(lo+i-1, 0)]
			if lo+i == from {
				want = nan // the snapshot before is gone
			}
			if got := res.Series[0].Values[i]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("since %d: increase at %d is %g, want %g", lo, lo+i, got, want)
			}
		}
	}
}

func TestIncreases(t *testing.T) {
	a, b := attribute.String("k", "a"), attribute.String("k", "b")
	s := newStore(t, history.Config{})
	s.Append(at(0), snapshot(counter("c", point[int64](100, a))))
	s.Append(at(1), snapshot(counter("c", point[int64](110, a), point[int64](5, b)))) // b appears: from zero
	s.Append(at(2), snapshot(counter("c", point[int64](110, a))))                     // b vanishes
	s.Append(at(3), snapshot(counter("c", point[int64](4, a), point[int64](7, b))))   // a is reset, b is back
	for _, tc := range []struct {
		name string
		q    history.Query
		want []history.Series
	}{
		{"each", history.Query{Select: []history.Selector{{Metric: "c", Each: true}}}, []history.Series{
			{Attributes: map[string]string{"k": "a"}, Values: []float64{nan, 10, 0, 4}},
			{Attributes: map[string]string{"k": "b"}, Values: []float64{nan, 5, nan, 2}},
		}},
		{"merged", history.Query{Select: []history.Selector{{Metric: "c"}}}, []history.Series{
			{Attributes: map[string]string{}, Values: []float64{nan, 15, 0, 6}},
		}},
		{"by a missing attribute", history.Query{Select: []history.Selector{{Metric: "c", By: []string{"z"}}}}, []history.Series{
			{Attributes: map[string]string{}, Values: []float64{nan, 15, 0, 6}},
		}},
		{"steps of 2 s", history.Query{Step: 2 * time.Second, Select: []history.Selector{{Metric: "c"}}}, []history.Series{
			{Attributes: map[string]string{}, Values: []float64{15, 6}},
		}},
		{"cumulative steps of 2 s", history.Query{Step: 2 * time.Second, Cumulative: true}, []history.Series{
			{Attributes: map[string]string{"k": "a"}, Values: []float64{110, 4}},
			{Attributes: map[string]string{"k": "b"}, Values: []float64{5, 7}},
		}},
		{"window", history.Query{Since: at(0), Until: at(2), Select: []history.Selector{{Metric: "c"}}}, []history.Series{
			{Attributes: map[string]string{}, Values: []float64{15, 0}},
		}},
		{"unknown metric", history.Query{Select: []history.Selector{{Metric: "d"}}}, nil},
	} {
		got := s.Query(tc.q).Series
		for i := range tc.want {
			tc.want[i].Metric, tc.want[i].Unit, tc.want[i].Kind = "c", "By", history.Counter
		}
		if diff := cmp.Diff(tc.want, got, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestHistogramIncreasesMerge(t *testing.T) {
	a, b := attribute.String("route", "/a"), attribute.String("route", "/b")
	s := newStore(t, history.Config{})
	s.Append(at(0), snapshot(histogram("h", buckets(1, []uint64{1, 2, 3}, a))))
	s.Append(at(1), snapshot(histogram("h", buckets(1.5, []uint64{2, 2, 3}, a), buckets(10, []uint64{0, 0, 4}, b))))
	s.Append(at(2), snapshot(histogram("h", buckets(0.25, []uint64{0, 3, 0}, a), buckets(10, []uint64{0, 0, 4}, b)))) // a is reset
	got := s.Query(history.Query{Select: []history.Selector{{Metric: "h"}}}).Series
	want := []history.Series{{
		Metric: "h", Unit: "s", Kind: history.Histogram, Attributes: map[string]string{}, Bounds: bounds,
		Values: []float64{nan, 5, 3}, Sums: []float64{nan, 10.5, 0.25},
		Buckets: [][]uint64{{0, 1, 0}, {0, 0, 3}, {0, 4, 0}},
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	if got := s.Query(history.Query{Select: []history.Selector{{Metric: "h", NoBuckets: true}}}).Series[0]; got.Buckets != nil || got.Values[1] != 5 {
		t.Errorf("without buckets: got %v, count %g; want none, 5", got.Buckets, got.Values[1])
	}
}

func TestDifferentBoundsAreNotAdded(t *testing.T) {
	s := newStore(t, history.Config{})
	p := buckets(1, []uint64{1, 2, 3})
	s.Append(at(0), snapshot(histogram("h", p)))
	p.Bounds, p.BucketCounts = []float64{5}, []uint64{7, 8}
	s.Append(at(1), snapshot(histogram("h", p)))
	got := s.Query(history.Query{Cumulative: true, Select: []history.Selector{{Metric: "h"}}}).Series
	if len(got) != 2 || got[0].Values[0] != 6 || got[1].Values[1] != 15 || !math.IsNaN(got[1].Values[0]) {
		t.Errorf("got %+v, want two series, the second absent at first", got)
	}
}

func TestDeltaTemporalityIsAddedUp(t *testing.T) {
	s := newStore(t, history.Config{})
	for i := range 4 {
		s.Append(at(i), snapshot(
			metricdata.Metrics{Name: "c", Data: metricdata.Sum[float64]{
				DataPoints: []metricdata.DataPoint[float64]{point(1.5)}, IsMonotonic: true, Temporality: metricdata.DeltaTemporality,
			}},
			metricdata.Metrics{Name: "h", Data: metricdata.Histogram[float64]{
				DataPoints: []metricdata.HistogramDataPoint[float64]{buckets(2, []uint64{1, 0, 1})}, Temporality: metricdata.DeltaTemporality,
			}},
		))
	}
	got := s.Query(history.Query{Cumulative: true}).Series
	if diff := cmp.Diff([][]float64{{1.5, 3, 4.5, 6}, {2, 4, 6, 8}, {2, 4, 6, 8}}, [][]float64{got[0].Values, got[1].Values, got[1].Sums}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGaugesMergeBySumOrMax(t *testing.T) {
	s := newStore(t, history.Config{})
	s.Append(at(0), snapshot(gauge("g", point(1.0, attribute.Int("i", 1)), point(5.0, attribute.Int("i", 2)), point(nan, attribute.Int("i", 3)))))
	for _, tc := range []struct {
		sel  history.Selector
		want float64
	}{{history.Selector{Metric: "g"}, 6}, {history.Selector{Metric: "g", Max: true}, 5}} {
		if got := s.Query(history.Query{Select: []history.Selector{tc.sel}}).Series[0].Values[0]; got != tc.want {
			t.Errorf("%+v: got %g, want %g", tc.sel, got, tc.want)
		}
	}
}

// A gauge of a merged step counts once, however many snapshots the step has.
func TestStepTakesLastGauge(t *testing.T) {
	s := newStore(t, history.Config{})
	for i := range 10 {
		s.Append(at(i), snapshot(gauge("g", point(int64(i), attribute.String("k", "a")), point(int64(100), attribute.String("k", "b")))))
	}
	res := s.Query(history.Query{Step: 5 * time.Second, Select: []history.Selector{{Metric: "g"}}})
	if diff := cmp.Diff([]float64{104, 109}, res.Series[0].Values); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := []time.Time{at(4), at(9)}; !res.Times[0].Equal(want[0]) || !res.Times[1].Equal(want[1]) {
		t.Errorf("times %v, want %v", res.Times, want)
	}
}

func TestGapsAndStart(t *testing.T) {
	s := newStore(t, history.Config{GapAfter: 10 * time.Second})
	for _, sec := range []int{0, 5, 10, 70, 75} {
		s.Append(at(sec), snapshot(gauge("g", point(1.0))))
	}
	res := s.Query(history.Query{Since: at(7)})
	if !res.Start.Equal(at(5)) {
		t.Errorf("start %s, want %s", res.Start, at(5))
	}
	if len(res.Gaps) != 1 || !res.Gaps[0].From.Equal(at(10)) || !res.Gaps[0].To.Equal(at(70)) {
		t.Errorf("gaps %v, want one from 10 s to 70 s", res.Gaps)
	}
	if all := s.Query(history.Query{}); !all.Start.IsZero() {
		t.Errorf("start of all %s, want zero", all.Start)
	}
}

func TestSnapshotIsCopied(t *testing.T) {
	s := newStore(t, history.Config{})
	counts, b := []uint64{1, 2, 3}, []float64{0.1, 1}
	p := buckets(1, counts)
	p.Bounds = b
	rm := snapshot(histogram("h", p))
	s.Append(at(0), rm)
	counts[0], b[0] = 99, 99
	got := s.Query(history.Query{Cumulative: true}).Series[0]
	if got.Buckets[0][0] != 1 || got.Bounds[0] != 0.1 {
		t.Errorf("got bucket %d and bound %g, want 1 and 0.1", got.Buckets[0][0], got.Bounds[0])
	}
	got.Bounds[0] = 7
	if again := s.Query(history.Query{}).Series[0].Bounds[0]; again != 0.1 {
		t.Errorf("bound after a reader wrote to its answer: %g, want 0.1", again)
	}
}

func TestOutOfOrderIsIgnored(t *testing.T) {
	s := newStore(t, history.Config{})
	s.Append(at(1), snapshot(gauge("g", point(1.0))))
	s.Append(at(1), snapshot(gauge("g", point(2.0))))
	s.Append(at(0), snapshot(gauge("g", point(3.0))))
	if st := s.Stats(); st.Snapshots != 1 || st.OutOfOrder != 2 {
		t.Errorf("got %d snapshots, %d out of order; want 1 and 2", st.Snapshots, st.OutOfOrder)
	}
}

// A clock that is set back by an hour must not stop the page for an hour.
func TestClockSetBack(t *testing.T) {
	s := newStore(t, history.Config{GapAfter: 12 * time.Second})
	for i := range 200 {
		s.Append(at(5*i), snapshot(counter("c", point(int64(i))), gauge("g", point(float64(i)))))
	}
	for i := range 100 {
		s.Append(at(5*i-3600), snapshot(counter("c", point(int64(200+i))), gauge("g", point(7.0))))
	}
	st := s.Stats()
	if st.SetBack != 1 || st.OutOfOrder != 0 || st.Snapshots != 100 || !st.Oldest.Equal(at(-3600)) || !st.Newest.Equal(at(5*99-3600)) {
		t.Errorf("%+v; want the 100 snapshots since the clock was set back", st)
	}
	fresh := newStore(t, history.Config{GapAfter: 12 * time.Second})
	for i := range 100 {
		fresh.Append(at(5*i-3600), snapshot(counter("c", point(int64(200+i))), gauge("g", point(7.0))))
	}
	if got, want := s.Query(history.Query{}), fresh.Query(history.Query{}); !cmp.Equal(got, want, cmpopts.EquateNaNs(), cmpopts.EquateComparable(attribute.Set{})) {
		t.Errorf("answers differ from a fresh store's:\n%s", cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateComparable(attribute.Set{})))
	}
	if f := fresh.Stats(); f.Bytes != st.Bytes || f.Series != st.Series {
		t.Errorf("%d bytes and %d series, a fresh store has %d and %d", st.Bytes, st.Series, f.Bytes, f.Series)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	s := newStore(t, history.Config{MaxSeries: 3})
	var points []metricdata.DataPoint[int64]
	for i := range 5 {
		points = append(points, point(int64(i), attribute.Int("i", i)))
	}
	s.Append(at(0), snapshot(gauge("g", points...)))
	s.Append(at(1), snapshot(gauge("g", points...)))
	if st := s.Stats(); st.Series != 3 || st.DroppedSamples != 4 {
		t.Errorf("got %d series, %d dropped samples; want 3 and 4", st.Series, st.DroppedSamples)
	}
}

func TestVanishedSeriesMakeRoom(t *testing.T) {
	s := newStore(t, history.Config{Keep: 64 * time.Second, MaxSeries: 2})
	for i := range 400 {
		s.Append(at(i), snapshot(gauge("g", point(1.0, attribute.Int("generation", i/200)))))
	}
	if st := s.Stats(); st.Series != 1 || st.DroppedSamples != 0 {
		t.Errorf("got %d series, %d dropped; want 1 and 0", st.Series, st.DroppedSamples)
	}
	if got := s.Query(history.Query{}).Series; len(got) != 1 || got[0].Attributes["generation"] != "1" {
		t.Errorf("got %+v, want generation 1 alone", got)
	}
}

func TestBytesAreBounded(t *testing.T) {
	const limit = 64 << 10
	s := newStore(t, history.Config{MaxBytes: limit, Keep: time.Hour})
	rng := rand.New(rand.NewPCG(3, 4))
	points := make([]metricdata.DataPoint[float64], 20)
	for i := range points {
		points[i] = point(0.0, attribute.Int("i", i))
	}
	for i := range 2000 {
		for j := range points {
			points[j].Value = rng.Float64()
		}
		s.Append(at(i), snapshot(gauge("g", points...)))
		if st := s.Stats(); st.Bytes > limit {
			t.Fatalf("after %d snapshots %d bytes, limit %d", i, st.Bytes, limit)
		}
	}
	st := s.Stats()
	if st.EarlyBlocks == 0 || st.Snapshots < blockOf64 || !st.Newest.Equal(at(1999)) {
		t.Errorf("got %+v, want blocks let go early and the newest ones held", st)
	}
}

const blockOf64 = 64

func TestUnsupportedIsCounted(t *testing.T) {
	s := newStore(t, history.Config{})
	s.Append(at(0), snapshot(metricdata.Metrics{Name: "e", Data: metricdata.ExponentialHistogram[float64]{}}))
	if st := s.Stats(); st.Unsupported != 1 || st.Series != 0 {
		t.Errorf("got %d unsupported, %d series; want 1 and 0", st.Unsupported, st.Series)
	}
}

func TestChangedFollowsWithoutMissing(t *testing.T) {
	s := newStore(t, history.Config{})
	const n = 200
	done := make(chan int)
	go func() {
		var last time.Time
		seen := 0
		for seen < n {
			changed := s.Changed()
			res := s.Query(history.Query{Since: last})
			if k := len(res.Times); k > 0 {
				seen += k
				last = res.Times[k-1]
				continue
			}
			<-changed
		}
		done <- seen
	}()
	for i := range n {
		s.Append(at(i), snapshot(gauge("g", point(1.0))))
	}
	select {
	case got := <-done:
		if got != n {
			t.Errorf("saw %d snapshots, want %d", got, n)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the follower missed an Append")
	}
}

func TestConcurrentReadersSeeWholeSnapshots(t *testing.T) {
	s := newStore(t, history.Config{Keep: 100 * time.Second})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				res := s.Query(history.Query{Cumulative: true})
				s.Stats()
				for i := range res.Times {
					if a, b := res.Series[0].Values[i], res.Series[1].Values[i]; a != b {
						t.Errorf("at %s: %g and %g, want them equal", res.Times[i], a, b)
						return
					}
				}
			}
		})
	}
	for i := range 1000 {
		s.Append(at(i), snapshot(counter("a", point(int64(i))), counter("b", point(float64(i)))))
	}
	close(stop)
	readers.Wait()
}
