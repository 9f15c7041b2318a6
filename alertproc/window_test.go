package alertproc

import (
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func windowed(agg Aggregation, arg float64, over time.Duration) Config {
	return oneRule(Rule{Metric: "m", Value: Value{Aggregation: agg, Arg: arg, Over: over}, Warn: always})
}

func TestCounterWindow(t *testing.T) {
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	sc.at(0, counter(values{"": 1000}))
	sc.wantIdle() // what was counted before the first snapshot has no time
	for i := 1; i <= 5; i++ {
		sc.at(float64(10*i), counter(values{"": 1000 + 7*float64(i)}))
		sc.wantValue(7 * float64(i))
	}
	for i := 6; i <= 20; i++ {
		sc.at(float64(10*i), counter(values{"": 1000 + 7*float64(i)}))
		sc.wantValue(42) // six steps of 10 s make the minute
	}
	for i := 21; i <= 27; i++ {
		sc.at(float64(10*i), counter(values{"": 1140}))
		sc.wantValue(42 - 7*float64(min(i-20, 6)))
	}
}

func TestRateIsPerSecondOfTheTimeCovered(t *testing.T) {
	sc := newScene(t, windowed(Rate, 0, time.Minute))
	sc.at(0, counter(values{"": 5}))
	sc.at(10, counter(values{"": 25}))
	sc.wantValue(2) // 20 in the 10 s that are known
	sc.at(30, counter(values{"": 35}))
	sc.wantValue(1)
	sc.at(300, counter(values{"": 305}))
	sc.wantValue(1) // 270 in the 270 s since the last snapshot: a gap is not taken for a minute
}

// A series that was not in the snapshot before started from 0, and its first value is all increase.
func TestFirstIncrementsCount(t *testing.T) {
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	sc.at(0)
	sc.wantIdle()
	sc.at(10, counter(values{"a=1": 3}))
	sc.wantValue(3)
	sc.at(20, counter(values{"a=1": 3, "a=2": 4}))
	sc.wantValue(7)
	sc.at(70, counter(values{"a=1": 3, "a=2": 4}))
	sc.wantValue(4) // the 3 came at 10 s, just outside the minute
	sc.at(80, counter(values{"a=1": 3, "a=2": 4}))
	sc.wantValue(0)
}

func TestCounterReset(t *testing.T) {
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	sc.at(0, counter(values{"": 100}))
	sc.at(10, counter(values{"": 110}))
	sc.at(20, counter(values{"": 4}))
	sc.wantValue(14)
}

func TestCounterThatComesBack(t *testing.T) {
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	sc.at(0, counter(values{"": 100}))
	sc.at(10)
	sc.at(20, counter(values{"": 130}))
	sc.wantValue(30)
}

// Evaluations that come early or late must not make a window an interval longer or shorter.
func TestWindowWithJitter(t *testing.T) {
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	for i := range 40 {
		jitter := []float64{0, 0.009, -0.007, 0.003, -0.001}[i%5]
		sc.at(float64(10*i)+jitter, counter(values{"": 7 * float64(i)}))
		if i >= 6 {
			sc.wantValue(42)
		}
	}
}

func TestDeltaTemporality(t *testing.T) {
	sc := newScene(t, windowed(Increase, 0, 20*time.Second))
	sc.at(0, deltaCounter(values{"": 50}))
	sc.wantIdle()
	sc.at(10, deltaCounter(values{"": 3}))
	sc.wantValue(3)
	sc.at(20) // absent means 0 here
	sc.wantValue(3)
	sc.at(30, deltaCounter(values{"": 4}))
	sc.wantValue(4)
	sc.at(40)
	sc.at(50)
	sc.wantValue(0)
}

// Missing means 0 also to a rule that a reload has changed, or an alert from before it would never end.
func TestDeltaTemporalityOverAReload(t *testing.T) {
	cfg := windowed(Increase, 0, 20*time.Second)
	cfg.Groups[0].Rules[0].Warn = Above(2)
	sc := newScene(t, cfg)
	sc.at(0)
	sc.at(10, deltaCounter(values{"": 3}))
	sc.wantValue(3)
	cfg.Groups[0].Rules[0].Value.Over = 30 * time.Second
	if err := sc.p.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	sc.at(20)
	sc.wantValue(3) // only the beginning of the new window
	sc.at(30)
	sc.wantIdle()
}

// Label sets that come and go do not use up the rule's instances.
func TestDeltaInstancesAreForgotten(t *testing.T) {
	cfg := windowed(Increase, 0, time.Minute)
	cfg.Groups[0].Rules[0].Warn, cfg.Groups[0].Rules[0].By = Above(2), []string{"a"}
	cfg.MaxInstances = 2
	sc := newScene(t, cfg)
	sc.at(0)
	for i, name := range []string{"a=1", "a=2", "a=3", "a=4", "a=5"} {
		begin := 10 + 3600*float64(i)
		sc.at(begin, deltaCounter(values{name: 3}))
		sc.wantValue(3)
		for at := begin + 10; at < begin+3600; at += 10 {
			sc.at(at)
		}
		sc.wantIdle()
	}
	if n := sc.status().Skipped; n != 0 {
		t.Errorf("%d label sets were not evaluated", n)
	}
}

// With a coarser step a window of a day fits into the ring, at an error below a step's share.
func TestLongWindow(t *testing.T) {
	cfg := windowed(Rate, 0, 24*time.Hour)
	cfg.Groups[0].Every = 30 * time.Second
	sc := newScene(t, cfg)
	for i := range 2 * 2880 {
		sc.at(30*float64(i), counter(values{"": 60 * float64(i)}))
	}
	sc.wantValue(2)
	inst := sc.p.engine.rules[0].order[0]
	if n := len(inst.ring); n > maxSlots+maxSlots/8+3 {
		t.Errorf("the ring has %d slots, want at most %d", n, maxSlots)
	}
	if _, full, ok := inst.rule.slots.base(int64(2*2880-1) * int64(30*time.Second)); !full || !ok {
		t.Error("the ring does not reach back a day")
	}
}

func TestSnapshotsBetweenEvaluationsCount(t *testing.T) {
	cfg := windowed(Max, 0, 20*time.Second)
	sc := newScene(t, cfg)
	sc.at(0, gauge(values{"": 1}))
	sc.at(3, gauge(values{"": 50})) // the group is not due
	sc.wantValue(1)
	sc.at(10, gauge(values{"": 2}))
	sc.wantValue(50)
	sc.at(20, gauge(values{"": 3}))
	sc.wantValue(50)
	sc.at(30, gauge(values{"": 4}))
	sc.wantValue(4)
}

func TestGaugeWindows(t *testing.T) {
	in := []float64{5, 1, 9, 3, 4}
	for agg, want := range map[Aggregation][]float64{
		// Windows of 30 s hold three values: the one at the beginning is outside.
		Min:  {5, 1, 1, 1, 3},
		Max:  {5, 5, 9, 9, 9},
		Mean: {5, 3, 5, 13.0 / 3, 16.0 / 3},
	} {
		t.Run(string(agg), func(t *testing.T) {
			sc := newScene(t, windowed(agg, 0, 30*time.Second))
			for i, v := range in {
				sc.at(float64(10*i), gauge(values{"": v}))
				sc.wantValue(want[i])
			}
		})
	}
}

// Up-down counters add up over series; gauges do not, so the one nearest to the bound speaks.
func TestSeriesOfOneInstance(t *testing.T) {
	two := values{"a=1": 3, "a=2": 8}
	for _, tc := range []struct {
		name   string
		metric metricdata.Metrics
		value  Value
		warn   *Threshold
		want   float64
	}{
		{"up-down counters add up", upDown(two), Value{}, Above(0), 11},
		{"greatest of up-down counters", upDown(two), Value{Aggregation: Max, Over: time.Minute}, Above(0), 11},
		{"last of gauges, above", gauge(two), Value{}, Above(0), 8},
		{"last of gauges, below", gauge(two), Value{}, Below(100), 3},
		{"mean of gauges", gauge(two), Value{Aggregation: Mean, Over: time.Minute}, Above(0), 5.5},
		{"min of gauges", gauge(two), Value{Aggregation: Min, Over: time.Minute}, Above(0), 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sc := newScene(t, oneRule(Rule{Metric: "m", Value: tc.value, Warn: tc.warn}))
			sc.at(0, tc.metric)
			sc.wantValue(tc.want)
		})
	}
}

func TestWhere(t *testing.T) {
	cfg := windowed(Increase, 0, time.Minute)
	cfg.Groups[0].Rules[0].Where = map[string]string{"a": "1|2", "b": "?*", "c": ""}
	sc := newScene(t, cfg)
	sc.at(0)
	sc.at(10, counter(values{"a=1 b=x": 1, "a=2 b=y d=1": 2, "a=3 b=x": 4, "a=1": 8, "a=1 b=": 16, "a=1 b=x c=z": 32}))
	sc.wantValue(3)
}

func TestRatio(t *testing.T) {
	ratio := func(minTotal float64) Config {
		return oneRule(Rule{
			By: []string{"route"}, Warn: Above(0.1),
			Ratio: &Ratio{
				Bad:   Selector{Metric: "m", Where: map[string]string{"error": "?*"}},
				Total: Selector{Metric: "m"}, Over: time.Minute, MinTotal: minTotal,
			},
		})
	}
	ok := func(n int) []float64 { return make([]float64, n) }
	t.Run("histogram", func(t *testing.T) {
		sc := newScene(t, ratio(0))
		sc.at(0)
		sc.at(10, histogram(observations{"route=/a": ok(3), "route=/a error=500": ok(1), "route=/b": ok(9)}))
		sc.wantValue(0.25)
		if got := sc.p.Alerts()[0].Labels["route"]; got != "/a" {
			t.Errorf("got route %q, want /a", got)
		}
		// Errors end, requests go on.
		for i := 2; i < 8; i++ {
			sc.at(float64(10*i), histogram(observations{"route=/a": ok(3 + i), "route=/a error=500": ok(1), "route=/b": ok(9)}))
		}
		sc.wantIdle()
	})
	t.Run("counter", func(t *testing.T) {
		sc := newScene(t, ratio(0))
		sc.at(0)
		sc.at(10, counter(values{"error=x": 1, "": 1}))
		sc.wantValue(0.5)
	})
	t.Run("minimum", func(t *testing.T) {
		sc := newScene(t, ratio(10))
		sc.at(0)
		sc.at(10, counter(values{"error=x": 9}))
		sc.wantIdle()
		sc.at(20, counter(values{"error=x": 10}))
		sc.wantValue(1)
	})
	t.Run("no traffic is not an error", func(t *testing.T) {
		sc := newScene(t, ratio(0))
		sc.at(0)
		sc.at(10, counter(values{"error=x": 1}))
		sc.wantValue(1)
		for i := 2; i < 9; i++ {
			sc.at(float64(10*i), counter(values{"error=x": 1}))
		}
		sc.wantIdle()
		if got := sc.changes[len(sc.changes)-1].Reason; got != "recovered: no observations" {
			t.Errorf("got reason %q", got)
		}
	})
	t.Run("gauges are taken as they are", func(t *testing.T) {
		sc := newScene(t, oneRule(Rule{Warn: Above(0.1), Ratio: &Ratio{
			Bad: Selector{Metric: "length"}, Total: Selector{Metric: "limit"}, Over: time.Minute,
		}}))
		sc.at(0, named("length", gauge(values{"l=a": 20, "l=b": 10})), named("limit", gauge(values{"l=a": 64, "l=b": 56})))
		sc.wantValue(0.25)
	})
}

func TestMinCount(t *testing.T) {
	cfg := windowed(Quantile, 0.5, time.Minute)
	cfg.Groups[0].Rules[0].MinCount = 3
	sc := newScene(t, cfg)
	sc.at(0)
	sc.at(10, histogram(observations{"": {1, 1}}))
	sc.wantIdle()
	sc.at(20, histogram(observations{"": {1, 1, 1}}))
	if got := sc.letter(); got != "w" {
		t.Errorf("with 3 observations the state is %s, want w", got)
	}
	for i := 3; i < 9; i++ {
		sc.at(float64(10*i), histogram(observations{"": {1, 1, 1, 1}}))
	}
	sc.wantIdle()
	if got, want := sc.changes[len(sc.changes)-1].Reason, "recovered: too few observations (2)"; got != want {
		t.Errorf("got reason %q, want %q", got, want)
	}
}

func TestMisfit(t *testing.T) {
	for _, tc := range []struct {
		agg    Aggregation
		metric metricdata.Metrics
		want   string
	}{
		{Quantile, gauge(values{"": 1}), "m is a gauge, and quantile needs a histogram"},
		{Rate, upDown(values{"": 1}), "m is an up-down counter, and rate needs a counter or a histogram"},
		{Max, counter(values{"": 1}), "m is a counter, and max needs a gauge or an up-down counter"},
		{Mean, counter(values{"": 1}), "m is a counter, and mean needs a gauge, an up-down counter or a histogram"},
		{Min, histogram(observations{"": {1}}), "m is a histogram, and min needs"},
		{Increase, metricdata.Metrics{Name: "m", Data: metricdata.Summary{}}, "m is a summary, and increase needs"},
	} {
		t.Run(string(tc.agg), func(t *testing.T) {
			sc := newScene(t, windowed(tc.agg, 0, time.Minute))
			err := sc.try(0, tc.metric)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if got := sc.status(); got.Health != "err" || !strings.Contains(got.LastError, tc.want) {
				t.Errorf("status: got %s, %s", got.Health, got.LastError)
			}
		})
	}
}

// Two scopes may have instruments of one name, as otelnet and otelhttp do. Their series must not be taken for each
// other, which would look like resets.
func TestScopesAreKeptApart(t *testing.T) {
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	for i := range 4 {
		a, b := counter(values{"": 100 + float64(i)}), counter(values{"": 10 + float64(i)})
		rm := snapshot(a)
		rm.ScopeMetrics = append(rm.ScopeMetrics, snapshot(b).ScopeMetrics...)
		rm.ScopeMetrics[1].Scope.Name = "other"
		if i%2 == 1 {
			rm.ScopeMetrics[0], rm.ScopeMetrics[1] = rm.ScopeMetrics[1], rm.ScopeMetrics[0]
		}
		if err := sc.p.Evaluate(t.Context(), start.Add(time.Duration(i)*10*time.Second), rm); err != nil {
			t.Fatal(err)
		}
	}
	sc.wantValue(6)
}

func TestGoneSeriesAreDropped(t *testing.T) {
	cfg := windowed(Increase, 0, time.Minute)
	cfg.Groups[0].Rules[0].By = []string{"a"}
	cfg.Groups[0].Rules[0].Warn = Above(1e9)
	sc := newScene(t, cfg)
	sc.at(0, counter(values{"a=1": 1, "a=2": 1}))
	for i := 1; i < 140; i++ {
		sc.at(float64(10*i), counter(values{"a=1": 1}))
	}
	r := sc.p.engine.rules[0]
	if len(r.order) != 1 || len(sc.p.engine.instruments["m"].streams[0].series) != 1 {
		t.Errorf("after 23 min of absence %d instances are left, want 1", len(r.order))
	}
}

func TestEvaluateRefusesTimeThatStandsStill(t *testing.T) {
	sc := newScene(t, windowed(Increase, 0, time.Minute))
	sc.at(10, counter(values{"": 1}))
	for _, at := range []float64{10, 5} {
		if err := sc.try(at, counter(values{"": 5})); err == nil || !strings.Contains(err.Error(), "is not after the last evaluation") {
			t.Errorf("at %g: got error %v", at, err)
		}
	}
	sc.at(20, counter(values{"": 3}))
	sc.wantValue(2)
}

func TestSlotBase(t *testing.T) {
	s := newSlots(time.Minute, 10*time.Second)
	const second = int64(time.Second)
	for i := range int64(40) {
		now := 10 * i * second
		n, full, ok := s.base(now)
		switch {
		case i == 0 && ok:
			t.Error("a base before the first slot")
		case i > 0 && i < 6 && (n != 0 || full):
			t.Errorf("at %d: got base %d, full %t; want the first slot, not full", i, n, full)
		case i >= 6 && (int64(n) != i-6 || !full):
			t.Errorf("at %d: got base %d, full %t; want %d, full", i, n, full, i-6)
		}
		s.push(now)
	}
	if n, full, _ := s.base(1000 * second); n != 39 || !full {
		t.Errorf("after a gap: got base %d, full %t; want the last slot, 39, full", n, full)
	}
}

func TestQuantileOfPrometheus(t *testing.T) {
	// From promql/promqltest/testdata/histograms.test in Prometheus: buckets as cumulative counts there.
	positive, negative := explicit{0.1, 0.2, 1}, explicit{-0.2, -0.1, 0.3}
	inPositive, inNegative := []uint64{5, 2, 4, 1}, []uint64{1, 1, 0, 1}
	for _, tc := range []struct {
		q, positive, negative float64
	}{
		{-1, math.Inf(-1), math.Inf(-1)},
		{2, math.Inf(1), math.Inf(1)},
		{math.NaN(), math.NaN(), math.NaN()},
		{0, 0, -0.2},
		{1, 1, 0.3},
		{0.2, 0.048, -0.2},
		{0.5, 0.15, -0.15},
		{0.8, 0.72, 0.3},
	} {
		for i, c := range []struct {
			layout explicit
			counts []uint64
			total  uint64
			want   float64
		}{{positive, inPositive, 12, tc.positive}, {negative, inNegative, 3, tc.negative}} {
			got := quantile(tc.q, c.layout, c.counts, c.total)
			if math.Abs(got-c.want) > 1e-12 || math.IsNaN(got) != math.IsNaN(c.want) {
				t.Errorf("quantile(%g) of histogram %d: got %v, want %v", tc.q, i, got, c.want)
			}
		}
	}
	if got := quantile(0, positive, []uint64{0, 1, 0, 0}, 1); !math.IsNaN(got) {
		t.Errorf("q = 0 with an empty first bucket: got %v, want NaN as Prometheus", got)
	}
	if got := quantile(0.5, positive, make([]uint64, 4), 0); !math.IsNaN(got) {
		t.Errorf("no observations: got %v, want NaN", got)
	}
	if got := quantile(0.5, explicit{}, []uint64{5}, 5); !math.IsNaN(got) {
		t.Errorf("no bounds: got %v, want NaN", got)
	}
}

func TestFractionAbove(t *testing.T) {
	layout, counts := explicit{1, 2, 4}, []uint64{10, 20, 60, 10}
	for v, want := range map[float64]float64{
		0: 1, 0.5: 0.95, 1: 0.9, 1.5: 0.8, 2: 0.7, 3: 0.4, 4: 0.1, 5: 0.1, -1: 1,
	} {
		if got := fractionAbove(v, layout, counts, 100); math.Abs(got-want) > 1e-12 {
			t.Errorf("fractionAbove(%g) = %v, want %v", v, got, want)
		}
	}
}
