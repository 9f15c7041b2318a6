package report_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/report"
)

var nan = math.NaN()

// Samples lie 5 s apart at first and 1 s apart later. What a gauge was for most of the time counts most, whatever the number of
// its samples: it is 100 for 9 of 10 minutes, sampled 108 times, and 0 in the last, sampled 60 times.
func TestUnevenSamplesWeighByTime(t *testing.T) {
	var times []int64
	for s := -1200; s < -60; s += 5 {
		times = append(times, noon.UnixMilli()+int64(s)*1000)
	}
	for s := -60; s <= 0; s++ {
		times = append(times, noon.UnixMilli()+int64(s)*1000)
	}
	src := newMemory(times).gauge("g", "", func(h float64) float64 {
		if h*60 < -1 {
			return 100
		}
		return 0
	})
	r := build(t, src, report.Options{Range: 10 * time.Minute})
	g := row(t, r, "g", "", report.Value)
	// The fall from 100 to 0 is a straight line over the 5 s between two samples: half of it is worth 2.5 s.
	near(t, "avg", g.Avg, 100*(600-60-2.5)/600, 1e-9)
	near(t, "min", g.Min, 0, 0)
	near(t, "max", g.Max, 100, 0)
	near(t, "previous avg", g.PrevAvg, 100, 1e-9)
	near(t, "change of avg", g.ChangeAvg, -62.5/600, 1e-9)
	near(t, "step", g.Step, -100*7.5/10, 1e-9) // the point before ends 2.5 s within the fall: 75 % lie between both averages' rests
	if want := noon.Add(-time.Minute); !g.StepAt.Equal(want) {
		t.Errorf("step at %s, want %s", g.StepAt, want)
	}
}

// A gauge that stands still is on average what it is, to the last digit, at whatever moments it was looked at.
func TestStillGaugesAverageToThemselves(t *testing.T) {
	var times []int64
	for at := noon.UnixMilli() - 1_200_000; at <= noon.UnixMilli(); at += 973 + at%61 {
		times = append(times, at)
	}
	src := newMemory(times)
	values := map[string]float64{"files": 20000, "bytes": 1<<53 - 1, "share": 0.1, "nothing": 0, "below": -7.3}
	for name, v := range values {
		src.gauge(name, "", func(float64) float64 { return v })
	}
	r := build(t, src, report.Options{Range: 10 * time.Minute})
	for name, v := range values {
		g := row(t, r, name, "", report.Value)
		if want := report.Number(v); g.Avg != want || g.Min != want || g.Max != want || g.PrevAvg != want || g.Step != 0 || g.SlopeAvg != 0 {
			t.Errorf("%s: average %v, before %v, from %v to %v, step %v, slope %v; want %v throughout", name, float64(g.Avg), float64(g.PrevAvg),
				float64(g.Min), float64(g.Max), float64(g.Step), float64(g.SlopeAvg), v)
		}
		for i, p := range g.Points.Avg {
			if p != report.Number(v) {
				t.Errorf("%s: point %d is %v, want %v", name, i, float64(p), v)
			}
		}
	}
}

// A line through a gauge, a rate and their extremes has one slope, in units an hour.
func TestSlopesAreAnHours(t *testing.T) {
	src := newMemory(every(2*time.Hour, 5*time.Second)).
		gauge("g", "By", func(h float64) float64 { return 1000 + 12*h }).
		counter("c", "{x}", func(h float64) float64 { return 5 * (10 + 2*(h-2.5/3600)) }) // 5 s of a rate of 10 at noon
	r := build(t, src, report.Options{Range: time.Hour})
	g, c := row(t, r, "g", "", report.Value), row(t, r, "c", "", report.Rate)
	near(t, "gauge slope of avg", g.SlopeAvg, 12, 1e-6)
	near(t, "gauge slope of min", g.SlopeMin, 12, 0.01)
	near(t, "gauge slope of max", g.SlopeMax, 12, 0.01)
	near(t, "gauge avg", g.Avg, 994, 1e-9)
	near(t, "gauge min", g.Min, 988, 0.02)
	near(t, "gauge max", g.Max, 1000, 0)
	near(t, "rate avg", c.Avg, 9, 1e-9)
	near(t, "rate before", c.PrevAvg, 7, 1e-9)
	near(t, "rate slope of avg", c.SlopeAvg, 2, 1e-6)
	near(t, "rate slope of max", c.SlopeMax, 2, 1e-6)
	near(t, "rate max", c.Max, 10-2*5./3600, 1e-6) // the last window of 10 s
	near(t, "change of max", c.ChangeMax, (10-2*5./3600)/(8-2*5./3600)-1, 1e-9)
	if c.Unit != "{x}/s" || r.Point != 60 || r.Window != 10 {
		t.Errorf("unit %q, point %v, window %v", c.Unit, r.Point, r.Window)
	}
}

// Five minutes without samples are no zero, no low minimum and no step; a counter's increase over them counts in the average, since
// it is known, and in nothing else.
func TestGapsAreNoNumbers(t *testing.T) {
	var times []int64
	for s := -3600; s <= 0; s += 5 {
		if s <= -1500 || s >= -1200 {
			times = append(times, noon.UnixMilli()+int64(s)*1000)
		}
	}
	src := newMemory(times).gauge("g", "", func(float64) float64 { return 7 })
	src.counter("c", "", func(h float64) float64 {
		if math.Abs(h*3600+1200) < 1 { // the sample that ends the gap
			return 30000
		}
		return 50
	})
	r := build(t, src, report.Options{Range: 30 * time.Minute})
	near(t, "coverage", r.Coverage.Share, 25./30, 1e-9)
	if len(r.Coverage.Gaps) != 1 || !r.Coverage.Gaps[0].From.Equal(noon.Add(-25*time.Minute)) || !r.Coverage.Gaps[0].Until.Equal(noon.Add(-20*time.Minute)) {
		t.Errorf("gaps: %v", r.Coverage.Gaps)
	}
	if !r.Partial || !strings.Contains(r.Missing[0], "samples cover 25 min of 30 min (83 %); none from 11:35:00 to 11:40:00") {
		t.Errorf("partial %v, missing %q", r.Partial, r.Missing)
	}
	g, c := row(t, r, "g", "", report.Value), row(t, r, "c", "", report.Rate)
	near(t, "gauge avg", g.Avg, 7, 1e-9)
	near(t, "gauge step", g.Step, 0, 1e-9)
	near(t, "rate avg", c.Avg, (300*50+30000)/1800., 1e-9)
	near(t, "rate max", c.Max, 10, 1e-9)
	near(t, "rate step", c.Step, 0, 1e-9)
	for i := range 60 { // points of 30 s
		near(t, "point of gauge", g.Points.Avg[i], map[bool]float64{true: nan, false: 7}[i >= 10 && i < 20], 1e-9)
		near(t, "point of rate", c.Points.Avg[i], map[bool]float64{true: nan, false: 10}[i >= 10 && i < 20], 1e-9)
	}
}

// With less than half of the range before, there is nothing to compare with, and the report says so.
func TestPreviousRangeNeedsHalfCoverage(t *testing.T) {
	for _, tc := range []struct {
		back time.Duration
		want float64
	}{{28 * time.Minute, nan}, {31 * time.Minute, 0}} {
		src := newMemory(every(tc.back, time.Second)).gauge("g", "", func(float64) float64 { return 3 })
		r := build(t, src, report.Options{Range: 20 * time.Minute})
		near(t, "change after "+tc.back.String(), row(t, r, "g", "", report.Value).ChangeAvg, tc.want, 1e-9)
		if said := strings.Contains(strings.Join(r.Missing, "\n"), "samples cover 40 % of the 20 min before: changes against it are n/a"); said != math.IsNaN(tc.want) {
			t.Errorf("after %s: %q", tc.back, r.Missing)
		}
		if r.Partial {
			t.Error("the range itself is whole")
		}
	}
}

// Two processes of one service: gauges are added up at each moment, and a process that ends takes its part with it.
func TestProcessesAddUp(t *testing.T) {
	a, b := every(20*time.Minute, 5*time.Second), []int64{}
	for _, at := range a {
		if hours(at) < -5./60 {
			b = append(b, at+2000) // sampled at other moments
		}
	}
	src := newMemory(a)
	src.scope.Metrics = []report.Metric{{Name: "g"}}
	for i, times := range [][]int64{a, b} {
		s := report.Series{Process: i, Times: times}
		for range times {
			s.Values = append(s.Values, float64(10*(i+1)))
		}
		src.series["g"] = append(src.series["g"], s)
	}
	r := build(t, src, report.Options{Range: 10 * time.Minute})
	g := row(t, r, "g", "", report.Value)
	near(t, "max", g.Max, 30, 1e-9)
	near(t, "min", g.Min, 10, 1e-9)
	near(t, "first point", g.Points.Avg[0], 30, 1e-9)
	near(t, "last point", g.Points.Avg[len(g.Points.Avg)-1], 10, 1e-9)
}

// A sample that lasts longer than a window is spread over the windows it covers: a rate sampled each minute is the same in each 10 s
// of it.
func TestLongIncreasesAreSpread(t *testing.T) {
	src := newMemory(every(2*time.Hour+time.Minute, time.Minute)).counter("c", "", func(float64) float64 { return 120 })
	src.scope.GapAfter = 150 * time.Second
	c := row(t, build(t, src, report.Options{Range: time.Hour, Until: noon}), "c", "", report.Rate)
	near(t, "avg", c.Avg, 2, 1e-9)
	near(t, "min", c.Min, 2, 1e-9)
	near(t, "max", c.Max, 2, 1e-9)
}

func TestBadWishesAreRefused(t *testing.T) {
	whole := newMemory(every(time.Hour, 5*time.Second)).gauge("g", "", func(float64) float64 { return 1 })
	failing := newMemory(nil)
	failing.fails = errors.New("memory: gone")
	for _, tc := range []struct {
		name string
		src  *memory
		opt  report.Options
		want string
	}{
		{"short", whole, report.Options{Range: time.Second}, "report: range 1s: want 1m to 744h"},
		{"long", whole, report.Options{Range: 1000 * time.Hour}, "report: range 1000h0m0s: want 1m to 744h"},
		{"future", whole, report.Options{Until: time.Now().Add(time.Hour)}, "which is still to come"},
		{"earlier", whole, report.Options{Until: noon.Add(-6 * time.Hour), Range: time.Hour}, "memory: no samples between 2026-11-21T05:00:00Z and 2026-11-21T06:00:00Z; those found are of 2026-11-21T11:00:00Z to 2026-11-21T12:00:00Z"},
		{"empty", newMemory(nil), report.Options{}, "memory: no samples between "},
		{"one sample", newMemory(every(0, time.Second)), report.Options{}, "memory: no samples between 2026-11-21T11:00:00Z and 2026-11-21T12:00:00Z to compare; the only one is of 2026-11-21T12:00:00Z"},
		{"missing", whole, report.Options{Metrics: []string{"g", "x"}}, `memory: has no metric "x" between`},
		{"failing", failing, report.Options{}, "memory: gone"},
	} {
		if tc.opt.Until.IsZero() {
			tc.opt.Until = noon
		}
		r, err := report.Build(t.Context(), tc.src, tc.opt)
		if err == nil || r != nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, %v, want an error with %q", tc.name, r, err, tc.want)
		}
		if none := strings.HasPrefix(tc.want, "memory: no samples"); none != errors.Is(err, report.ErrNoSamples) {
			t.Errorf("%s: errors.Is(%v, ErrNoSamples) is not %v", tc.name, err, none)
		}
	}
}
