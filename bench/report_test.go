package main

import (
	"slices"
	"strings"
	"testing"
)

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		q    float64
		all  []float64
		want float64
	}{
		{0.5, []float64{3}, 3},
		{0.5, []float64{9, 1, 5}, 5},
		{0.5, []float64{4, 1, 3, 2}, 2.5},
		{0.25, []float64{1, 2, 3, 4, 5}, 2},
		{1, []float64{1, 2}, 2},
	} {
		if got := quantile(tt.q, tt.all); got != tt.want {
			t.Errorf("quantile(%v, %v): got %v, want %v", tt.q, tt.all, got, tt.want)
		}
	}
}

// Rounds in which the machine was half as fast must not change a ratio, as bare was measured in them too.
func TestLine(t *testing.T) {
	res := results{
		bare:      {{cpuTime: 100, allocs: 1}, {cpuTime: 200, allocs: 1}, {cpuTime: 110, allocs: 1}},
		ours:      {{cpuTime: 125, allocs: 3, took: 5e6}, {cpuTime: 250, allocs: 3, took: 5e6}, {cpuTime: 137.5, allocs: 3, took: 5e6}},
		conntrack: {{cpuTime: 50, allocs: 0}, {cpuTime: 100, allocs: 0}, {cpuTime: 55, allocs: 0}},
	}
	g := group{subjects: []string{bare, ours, oursCalls, conntrack}}
	s := scenario{subjects: []string{bare, ours, conntrack}}
	for _, tt := range []struct {
		row  row
		want []string
	}{
		{
			row{label: "cost", of: cpuTime, show: costRatio, goals: goals{ours: 1.05}},
			[]string{"cost", "110 ns", "1.250", "", "0.500", "±0.0%", "≤ 1.050: not met"},
		},
		{
			row{label: "rate", of: cpuTime, show: throughput, goals: goals{ours: 0.75}},
			[]string{"rate", "110 ns", "0.800", "", "2.000", "±0.0%", "≥ 0.750: met"},
		},
		{
			row{label: "least", of: cpuTime, show: extraNanoseconds, best: true, goals: goals{ours: 25}},
			[]string{"least", "100 ns", "+25.0 ns", "", "-50.0 ns", "", "≤ +25.0 ns: met"},
		},
		{
			row{label: "count", of: allocs, show: extraCount, goals: goals{ours: 1}},
			[]string{"count", "1", "+2", "", "-1", "", "≤ +1: not met"},
		},
		{
			row{label: "by itself", of: took, show: absoluteMicroseconds, goals: goals{ours: 8e6}},
			[]string{"by itself", "", "5.00 ms", "", "", "", "≤ 8.00 ms: met"},
		},
	} {
		if got := line(g, s, tt.row, res); !slices.Equal(got, tt.want) {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

func TestGoalWithinTheSpread(t *testing.T) {
	r := row{show: throughput, goals: goals{ours: 0.98}}
	for _, tt := range []struct {
		n    number
		want string
	}{
		{number{0.99, 0.985, 1}, "≥ 0.980: met"},
		{number{0.99, 0.97, 1}, "≥ 0.980: met, within the spread"},
		{number{0.975, 0.97, 0.99}, "≥ 0.980: not met, within the spread"},
		{number{0.9, 0.89, 0.91}, "≥ 0.980: not met"},
	} {
		if got := r.goal(ours, tt.n); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.n, got, tt.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for x, want := range map[float64]string{2.345: "2.35 ns", 45.67: "45.7 ns", 999: "999 ns", 1234: "1.23 µs", 12.34e6: "12.3 ms", 1234e6: "1,234 ms"} {
		if got := duration(x); got != want {
			t.Errorf("%v ns: got %q, want %q", x, got, want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	r := newReport(quick)
	r.add(group{title: "G", subjects: []string{bare}}, scenario{subjects: []string{bare}, rows: []row{{label: "row", of: cpuTime}}},
		results{bare: {{cpuTime: 5}}})
	if got := r.markdown(); !strings.Contains(got, "| row | 5.00 ns |") {
		t.Errorf("the row is not in\n%s", got)
	}
}
