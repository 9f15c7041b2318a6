package alertproc

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestHistogramWindow(t *testing.T) {
	// 0.3 lies in the bucket (0.25, 0.5], 0.05 in (0, 0.1].
	slow, fast := []float64{0.3, 0.3, 0.3, 0.3}, []float64{0.05, 0.05}
	for _, tc := range []struct {
		agg         Aggregation
		arg         float64
		first, last float64
	}{
		// First the four slow ones; after a minute only the two fast ones.
		{Quantile, 0.5, 0.375, 0.05},
		{Quantile, 1, 0.5, 0.1},
		{FractionAbove, 0.25, 1, 0},
		{FractionAbove, 0.3, 0.8, 0},
		{FractionAbove, 0.05, 1, 0.5},
		{Mean, 0, 0.3, 0.05},
		{Increase, 0, 4, 2},
		{Rate, 0, 0.4, 2.0 / 60},
	} {
		t.Run(string(tc.agg), func(t *testing.T) {
			sc := newScene(t, windowed(tc.agg, tc.arg, time.Minute))
			before := []float64{0.05, 0.7, 2} // was there at the first snapshot, and is nobody's
			sc.at(0, histogram(observations{"": before}))
			sc.wantIdle()
			obs := append(slices.Clone(before), slow...)
			sc.at(10, histogram(observations{"": obs}))
			sc.wantValue(tc.first)
			for i := 2; i < 7; i++ {
				sc.at(float64(10*i), histogram(observations{"": obs}))
			}
			obs = append(obs, fast...)
			sc.at(70, histogram(observations{"": obs}))
			if got := sc.value(); math.Abs(got-tc.last) > 1e-9 {
				t.Errorf("value: got %v, want %v", got, tc.last)
			}
		})
	}
}

func TestHistogramReset(t *testing.T) {
	sc := newScene(t, windowed(Quantile, 1, time.Minute))
	sc.at(0, histogram(observations{"": {0.05, 0.05, 0.05}}))
	sc.at(10, histogram(observations{"": {0.05, 0.05, 0.7}})) // as many, but a bucket went down
	if got := sc.p.engine.rules[0].order[0].read.count; got != 3 {
		t.Errorf("got %g observations after a restart, want all 3", got)
	}
	sc.wantValue(1)
}

func TestHistogramsAddUp(t *testing.T) {
	sc := newScene(t, windowed(Quantile, 0.5, time.Minute))
	sc.at(0)
	sc.at(10, histogram(observations{"a=1": {0.05, 0.05, 0.05}, "a=2": {0.7, 0.7, 0.7}}))
	sc.wantValue(0.1)
}

func TestDifferentBoundsAreAnError(t *testing.T) {
	sc := newScene(t, windowed(Quantile, 0.5, time.Minute))
	sc.at(0)
	other := histogramOf([]float64{1, 2}, observations{"b=1": {1}})
	other.Unit = "s"
	err := sc.try(10, histogram(observations{"a=1": {0.05}}), other)
	if err == nil || !strings.Contains(err.Error(), "different bucket bounds") {
		t.Errorf("got error %v", err)
	}
}

// What a producer hands over, or a recording holds, may be no histogram at all. That is that rule's error and nothing else's.
func TestMalformedHistograms(t *testing.T) {
	for _, tc := range []struct {
		bounds []float64
		counts []uint64
		bad    bool
	}{
		{nil, nil, true},
		{testBounds, nil, true},
		{testBounds, []uint64{9, 9}, true},
		{[]float64{1}, []uint64{9, 9, 9, 9}, true},
		{nil, []uint64{9}, false}, // one bucket of everything: no quantile, and no mistake
	} {
		cfg := windowed(Quantile, 0.5, time.Minute)
		cfg.Groups[0].Rules = append(cfg.Groups[0].Rules, Rule{Alert: "G", Metric: "gauge", Warn: Above(1)})
		sc := newScene(t, cfg)
		point := metricdata.HistogramDataPoint[float64]{Bounds: tc.bounds, BucketCounts: tc.counts, Count: 9, Sum: 9}
		m := metricdata.Metrics{Name: "m", Data: metricdata.Histogram[float64]{
			Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.HistogramDataPoint[float64]{point},
		}}
		sc.at(0)
		err := sc.try(10, m, named("gauge", gauge(values{"": 2})))
		if bad := err != nil && strings.Contains(err.Error(), "buckets for"); bad != tc.bad || !bad && err != nil {
			t.Errorf("%d counts for %d bounds: error %v", len(tc.counts), len(tc.bounds), err)
		}
		if a := sc.p.Alerts(); len(a) != 1 || a[0].Rule != "G" {
			t.Errorf("%d counts for %d bounds: got %+v, want the other rule's alert", len(tc.counts), len(tc.bounds), a)
		}
	}
}

// The SDK records, a ManualReader collects, and the sorted values themselves are the judge.
func TestExponentialAgainstExactQuantiles(t *testing.T) {
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithView(sdk.NewView(
		sdk.Instrument{Name: "m"}, sdk.Stream{Aggregation: sdk.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}},
	)))
	h, err := provider.Meter("test").Float64Histogram("m")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Groups: []Group{{Name: "g", Every: 10 * time.Second}}}
	quantiles := []float64{0.01, 0.25, 0.5, 0.9, 0.99, 1}
	names := []string{"q01", "q25", "q50", "q90", "q99", "q100"}
	for i, q := range quantiles {
		cfg.Groups[0].Rules = append(cfg.Groups[0].Rules, Rule{
			Alert: names[i], Metric: "m", Value: Value{Aggregation: Quantile, Arg: q, Over: time.Minute}, Warn: always,
		})
	}
	cfg.Groups[0].Rules = append(cfg.Groups[0].Rules, Rule{
		Alert: "above", Metric: "m", Value: Value{Aggregation: FractionAbove, Arg: 0.6, Over: time.Minute}, Warn: always,
	})
	sc := newScene(t, cfg)
	random := rand.New(rand.NewPCG(1, 2))
	var window [][]float64
	var rm metricdata.ResourceMetrics
	for i := range 30 {
		// The range of values grows and moves, so that the SDK lowers the scale and the layout widens.
		var values []float64
		for range 1 + random.IntN(50) {
			v := math.Exp(random.NormFloat64()*(0.1+float64(i)/10)) * 0.5
			switch random.IntN(20) {
			case 0:
				v = 0
			case 1:
				v = -v
			}
			values = append(values, v)
			h.Record(context.Background(), v, metric.WithAttributes())
		}
		if err := reader.Collect(t.Context(), &rm); err != nil {
			t.Fatal(err)
		}
		if err := sc.p.Evaluate(t.Context(), start.Add(time.Duration(i)*10*time.Second), &rm); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			continue // the first snapshot is the beginning
		}
		window = append(window, values)
		window = window[max(0, len(window)-6):]
		sorted := slices.Sorted(slices.Values(slices.Concat(window...)))
		scale := sc.p.engine.rules[0].order[0].parts[0].hist.exp.scale
		factor := math.Exp2(math.Exp2(-float64(scale)))
		got := map[string]float64{}
		for _, a := range sc.p.Alerts() {
			got[a.Rule] = a.Value
		}
		for k, q := range quantiles {
			// The value at the rank lies in the same bucket, whose bounds are one factor apart. A rank that is exactly
			// between two values may go to either: Prometheus counts from the nearer end.
			rank := q * float64(len(sorted))
			exact := sorted[max(0, int(math.Ceil(rank-1e-9))-1)]
			next := sorted[min(len(sorted)-1, int(rank+1e-9))]
			low, high := min(exact/factor, exact*factor), max(next/factor, next*factor)
			if g := got[names[k]]; g < low-1e-12 || g > high+1e-12 {
				t.Errorf("round %d, scale %d: quantile(%g) = %v, want %v within a factor of %v", i, scale, q, g, exact, factor)
			}
		}
		// Only the values in the bucket of 0.6 itself can be counted on the wrong side.
		over, unsure := 0.0, 0.0
		for _, v := range sorted {
			if v > 0.6 {
				over++
			}
			if v >= 0.6/factor && v <= 0.6*factor {
				unsure++
			}
		}
		if n := float64(len(sorted)); math.Abs(got["above"]*n-over) > unsure+1e-9 {
			t.Errorf("round %d: %v of %v are above 0.6, want %v give or take %v", i, got["above"]*n, n, over, unsure)
		}
	}
}

// Prometheus gives 1.4142… (the geometric middle) for the median of one native bucket from 1 to 2. From the median on
// it counts from the upper end.
func TestExponentialInterpolation(t *testing.T) {
	l := &expLayout{scale: 0, positive: expSpan{0, 1}, negative: expSpan{0, 1}}
	counts := []uint64{2, 0, 2}
	for q, want := range map[float64]float64{0.25: -math.Sqrt2, 0.5: 1, 0.75: math.Sqrt2, 1: 2} {
		if got := quantile(q, l, counts, 4); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile(%g) = %v, want %v", q, got, want)
		}
	}
}

// The golden rule of Views: with the threshold on a bound, whether a quantile is above it is exact.
func TestViewsMakeThresholdsExact(t *testing.T) {
	cfg := Config{Groups: []Group{{Name: "g", Every: 10 * time.Second, Rules: []Rule{
		{Alert: "A", Metric: "lat", Value: Value{Aggregation: Quantile, Arg: 0.9, Over: time.Minute}, Warn: Above(0.3).WithClear(0.28), Crit: Above(0.31)},
		{Alert: "B", Metric: "lat", Value: Value{Aggregation: FractionAbove, Arg: 0.33, Over: time.Minute}, Warn: Above(0.5)},
		{Alert: "C", Metric: "size", Value: Value{Aggregation: Quantile, Arg: 0.9, Over: time.Minute}, Warn: Above(123456)},
		{Alert: "G", Metric: "items", Value: Value{Aggregation: Quantile, Arg: 0.9, Over: time.Minute}, Warn: Above(123456)},
		{Alert: "D", Metric: "own", Value: Value{Aggregation: Quantile, Arg: 0.9, Over: time.Minute}, Warn: Above(7)},
		{Alert: "E", Metric: "gauge", Warn: Above(7)},
		{Alert: "F", Metric: "rate", Value: Value{Aggregation: Rate, Over: time.Minute}, Warn: Above(7)},
	}}}, Bounds: map[string][]float64{"own": {1, 2, 3}}}
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithView(Views(cfg)...))
	meter := provider.Meter("test")
	for _, in := range []struct{ name, unit string }{{"lat", "s"}, {"size", "By"}, {"items", "{item}"}, {"own", "s"}, {"rate", "s"}} {
		h, err := meter.Float64Histogram(in.name, metric.WithUnit(in.unit), metric.WithExplicitBucketBoundaries(1, 2))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []float64{0.305, 0.305} {
			h.Record(t.Context(), v)
		}
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	// Every observation is between warn and crit. By the bounds the instrument has without the view, 0.25 and 0.5,
	// the quantile would be taken for 0.475.
	sc := newScene(t, cfg)
	sc.at(0)
	if err := sc.p.Evaluate(t.Context(), start.Add(10*time.Second), &rm); err != nil {
		t.Fatal(err)
	}
	if got := sc.status(); got.State != StateFiring || got.Alerts[0].Severity != "warn" {
		t.Errorf("got %+v, want a warning", got.Alerts)
	}
	bounds := map[string][]float64{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		bounds[m.Name] = m.Data.(metricdata.Histogram[float64]).DataPoints[0].Bounds
	}
	for _, v := range []float64{0.005, 0.25, 0.28, 0.3, 0.31, 0.33, 0.5, 10, 3600} {
		if !slices.Contains(bounds["lat"], v) {
			t.Errorf("bounds of lat %v lack %g", bounds["lat"], v)
		}
	}
	if got, want := bounds["own"], []float64{1, 2, 3, 7}; !slices.Equal(got, want) {
		t.Errorf("bounds of own: got %v, want %v", got, want)
	}
	for _, v := range []float64{0, 100, 10000, 123456, 1e8} {
		if !slices.Contains(bounds["size"], v) {
			t.Errorf("bounds of size %v lack %g", bounds["size"], v)
		}
	}
	if got, want := bounds["items"], append(slices.Clone(sdkBounds), 123456); !slices.Equal(got, want) {
		t.Errorf("bounds of items: got %v, want the SDK's and the threshold %v", got, want)
	}
	if got, want := bounds["rate"], []float64{1, 2}; !slices.Equal(got, want) {
		t.Errorf("bounds of a histogram no quantile reads: got %v, want its own %v", got, want)
	}
}

// A quantile says between which bounds it is. Those of one observation are known.
func TestQuantileTellsHowExactItIs(t *testing.T) {
	for _, tc := range []struct {
		name      string
		obs       []float64
		low, high float64
	}{
		{"first bucket", []float64{0.05}, 0, 0.1},
		{"in the middle", []float64{0.3}, 0.25, 0.5},
		{"above the last bound", []float64{7}, 1, math.Inf(1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sc := newScene(t, oneRule(Rule{
				Metric: "m", Value: Value{Aggregation: Quantile, Arg: 0.99, Over: time.Minute}, Warn: always,
				Annotations: map[string]string{"a": "{{ .Low }} to {{ .High }}"},
			}))
			sc.at(0, histogram(observations{"": nil}))
			sc.at(10, histogram(observations{"": tc.obs}))
			alerts := sc.p.Alerts()
			if len(alerts) != 1 {
				t.Fatalf("%d alerts, want 1", len(alerts))
			}
			a := alerts[0]
			if a.Low != tc.low || a.High != tc.high {
				t.Errorf("between %v and %v, want %v and %v", a.Low, a.High, tc.low, tc.high)
			}
			if want := fmt.Sprintf("%v to %v", tc.low, tc.high); a.Annotations["a"] != want {
				t.Errorf("annotation: got %q, want %q", a.Annotations["a"], want)
			}
			if got, want := sc.changes[0].Reason, fmt.Sprintf("(between %s and %s) above", rounded(tc.low), rounded(tc.high)); !strings.Contains(got, want) {
				t.Errorf("reason %q, want %q in it", got, want)
			}
			if truth := tc.obs[0]; truth < a.Low || truth > a.High {
				t.Errorf("the observation %v is not between %v and %v", truth, a.Low, a.High)
			}
		})
	}
	sc := newScene(t, oneRule(Rule{Metric: "m", Value: Value{Aggregation: Mean, Over: time.Minute}, Warn: always}))
	sc.at(0, histogram(observations{"": nil}))
	sc.at(10, histogram(observations{"": {0.3}}))
	if a := sc.p.Alerts()[0]; a.Low != 0 || a.High != 0 {
		t.Errorf("a mean is between %v and %v, want nothing of the kind", a.Low, a.High)
	}
}

// Who reads the alerts, and with them how exact a quantile is, meets no window that is being rebuilt.
func TestAlertsAreReadWhileWindowsChange(t *testing.T) {
	sc := newScene(t, windowed(Quantile, 0.5, time.Minute))
	point := metricdata.ExponentialHistogramDataPoint[float64]{Scale: 3}
	data := metricdata.Metrics{Name: "m", Data: metricdata.ExponentialHistogram[float64]{
		Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{point},
	}}
	p := &data.Data.(metricdata.ExponentialHistogram[float64]).DataPoints[0]
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			for _, a := range sc.p.Alerts() {
				if !(a.Low <= a.Value && a.Value <= a.High) {
					t.Errorf("%v is not between %v and %v", a.Value, a.Low, a.High)
				}
			}
		}
	}()
	for i := range 200 {
		p.Count++
		p.PositiveBucket.Counts = append(p.PositiveBucket.Counts, 1) // one more bucket each time
		sc.at(float64(10*i), data)
	}
	<-done
}

// exponentialPoint makes an exponential histogram of one series, with positive buckets only.
func exponentialPoint(scale, offset int32, counts ...uint64) metricdata.Metrics {
	p := metricdata.ExponentialHistogramDataPoint[float64]{
		Scale: scale, PositiveBucket: metricdata.ExponentialBucket{Offset: offset, Counts: counts},
	}
	for _, n := range counts {
		p.Count += n
	}
	return metricdata.Metrics{Name: "m", Data: metricdata.ExponentialHistogram[float64]{
		Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{p},
	}}
}

// A series whose total went on growing over a restart is told by a bucket that lost something.
func TestExponentialReset(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after metricdata.Metrics
		want  float64 // observations since the first snapshot
	}{
		{"grown", exponentialPoint(0, 0, 3, 1, 2), 3},
		{"grown at a coarser scale", exponentialPoint(-1, 0, 4, 2), 3},
		{"a bucket lost one", exponentialPoint(0, 0, 2, 7), 9},
		{"buckets moved away", exponentialPoint(0, 5, 9), 9},
		{"two that are one now lost one", exponentialPoint(-1, 0, 2, 9), 11},
		{"a finer scale", exponentialPoint(1, 0, 3, 9), 12},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sc := newScene(t, windowed(Quantile, 0.5, time.Minute))
			sc.at(0, exponentialPoint(0, 0, 3))
			sc.at(10, tc.after)
			if got := sc.p.engine.rules[0].order[0].read; got.count != tc.want || math.IsNaN(got.value) {
				t.Errorf("%v observations, quantile %v; want %v observations", got.count, got.value, tc.want)
			}
		})
	}
}
