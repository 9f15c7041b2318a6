package alertproc

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A float64 above 2^53 has every second whole number only. Bytes of a week at 100 Gbit/s are more than that.
func TestIncreasesOfHugeTotalsAreExact(t *testing.T) {
	const huge = int64(1) << 60
	sum := func(v int64) metricdata.Metrics {
		return metricdata.Metrics{Name: "m", Data: metricdata.Sum[int64]{
			Temporality: metricdata.CumulativeTemporality, IsMonotonic: true, DataPoints: []metricdata.DataPoint[int64]{{Value: v}},
		}}
	}
	sizes := func(count uint64, sum int64) metricdata.Metrics {
		return metricdata.Metrics{Name: "m", Data: metricdata.Histogram[int64]{
			Temporality: metricdata.CumulativeTemporality,
			DataPoints: []metricdata.HistogramDataPoint[int64]{{
				Bounds: testBounds, BucketCounts: []uint64{0, 0, 0, 0, count}, Count: count, Sum: sum,
			}},
		}}
	}
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	sc.at(0, sum(huge))
	sc.at(10, sum(huge+1))
	sc.wantValue(1)
	sc.at(20, sum(huge+3))
	sc.wantValue(3)
	sc.at(30, sum(5)) // a restart
	sc.wantValue(8)
	sc = newScene(t, windowed(Mean, 0, time.Minute))
	sc.at(0, sizes(1, huge))
	sc.at(10, sizes(3, huge+7))
	sc.wantValue(3.5)
}

// One infinite number must not spoil an instance for as long as the process runs.
func TestInfiniteNumbersAreLeftOut(t *testing.T) {
	inf := math.Inf(1)
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	sc.at(0, counter(values{"a=1": 1, "a=2": 1}))
	sc.at(10, counter(values{"a=1": inf, "a=2": 3}))
	sc.wantValue(2)
	sc.at(20, counter(values{"a=1": 4, "a=2": 3})) // began anew, above what it last was
	sc.wantValue(5)

	sc = newScene(t, windowed(Mean, 0, time.Minute))
	sc.at(0, histogram(observations{"a=1": {}, "a=2": {}}))
	sc.at(10, histogram(observations{"a=1": {inf}, "a=2": {0.5}}))
	sc.wantValue(0.5)
	sc.at(20, histogram(observations{"a=1": {inf, 0.1}, "a=2": {0.5, 1}}))
	sc.wantValue(0.75)

	sc = newScene(t, windowed(Increase, 0, time.Minute))
	sc.at(0, histogram(observations{"": {}}))
	sc.at(10, histogram(observations{"": {inf, 1}}))
	sc.wantValue(2) // what is only counted, counts
}

// A ratio that is not a number is none, and the state file can be written.
func TestRatioOfInfiniteGauges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	cfg := oneRule(Rule{
		Ratio: &Ratio{Bad: Selector{Metric: "bad"}, Total: Selector{Metric: "m"}, Over: time.Minute}, Warn: Above(0.5), Match: Match{2, 3},
	})
	cfg.StateFile = path
	sc := newScene(t, cfg)
	sc.at(0, gauge(values{"": 1}), named("bad", gauge(values{"": 1})))
	sc.at(10, gauge(values{"": math.Inf(1)}), named("bad", gauge(values{"": math.Inf(1)})))
	if a := sc.p.Alerts(); len(a) != 1 || a[0].State != StatePending || a[0].Value != 1 {
		t.Errorf("got %+v, want it pending with the last ratio, 1", a)
	}
	if err := sc.p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if saved, err := readState(path); err != nil || saved == nil || len(saved.Rules) != 1 {
		t.Errorf("the state file has %+v, error %v", saved, err)
	}
}
