package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// row is a line of the table.
type row struct {
	label string
	of    value
	show  show
	best  bool  // the least of all rounds, in place of the median: for what takes nanoseconds
	goals goals // the numbers to reach
}

// goals are the numbers that subjects of ours are to reach, in what the row shows before it is rounded.
type goals map[string]float64

// show is how a row is written.
type show int

const (
	costRatio            show = iota // the cost divided by that of bare, which is written in full
	throughput                       // bare's cost divided by that of the subject
	extraNanoseconds                 // what is added to bare
	extraDuration                    // likewise, of milliseconds
	extraCount                       // likewise
	extraBytes                       // likewise
	absoluteMicroseconds             // by itself, of nanoseconds measured
	absoluteCount                    // by itself
)

// number is what the subject shows in this row, and its quartiles.
type number struct{ mid, low, high float64 }

// number computes what is shown for a subject that is not the base.
func (r row) number(res results, subject, base string) number {
	var rounds []float64
	switch r.show {
	case costRatio:
		rounds = res.ratios(subject, base, r.of)
	case throughput:
		rounds = res.ratios(base, subject, r.of)
	case extraNanoseconds, extraDuration, extraCount, extraBytes:
		rounds = res.of(subject, r.of)
		of := res.of(base, r.of)
		if r.best {
			d := slices.Min(rounds) - slices.Min(of)
			return number{d, d, d}
		}
		for i := range rounds {
			rounds[i] -= of[i]
		}
	default:
		rounds = res.of(subject, r.of)
	}
	if r.best {
		least := slices.Min(rounds)
		return number{least, least, least}
	}
	return number{median(rounds), quantile(0.25, rounds), quantile(0.75, rounds)}
}

// cell writes the number of a subject that is not the base.
func (r row) cell(n number) string {
	switch r.show {
	case costRatio:
		return ratio(n.mid)
	case throughput:
		return fmt.Sprintf("%.3f", n.mid)
	case extraNanoseconds:
		return signed(n.mid) + " ns"
	case extraDuration:
		return fmt.Sprintf("%+.1f ms", n.mid/1e6)
	case extraCount:
		return signedCount(n.mid)
	case extraBytes:
		return signedCount(n.mid) + " B"
	}
	return r.absolute(n.mid)
}

// base writes what the others of the row are compared with.
func (r row) base(x float64) string {
	switch r.of {
	case cpuTime, wallTime, slowest, took:
		return duration(x)
	case memory:
		return count(x) + " B"
	}
	return count(x)
}

func (r row) absolute(x float64) string {
	if r.show == absoluteMicroseconds {
		return duration(x)
	}
	return r.base(x)
}

// goal says what a subject had to reach and whether it did.
func (r row) goal(subject string, n number) string {
	limit, ok := r.goals[subject]
	if !ok {
		return ""
	}
	sign, met, close := "≤", n.mid <= limit, n.low <= limit && limit < n.high
	if r.show == throughput {
		sign, met, close = "≥", n.mid >= limit, n.low < limit && limit <= n.high
	}
	if r.of == allocs {
		// A round has a few of the runtime's own.
		met, close = math.Round(n.mid) <= limit, false
	}
	verdict := "not met"
	if met {
		verdict = "met"
	}
	if close {
		verdict += ", within the spread"
	}
	return fmt.Sprintf("%s %s: %s", sign, r.cell(number{mid: limit}), verdict)
}

// spread is half of the distance between the quartiles, as a share of the number.
func (n number) spread() float64 { return math.Abs((n.high - n.low) / 2 / n.mid) }

func ratio(x float64) string {
	if x >= 10 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// duration writes nanoseconds with three digits that count.
func duration(ns float64) string {
	for _, unit := range []struct {
		name string
		size float64
	}{{"ms", 1e6}, {"µs", 1e3}} {
		if ns >= unit.size {
			return digits(ns/unit.size) + " " + unit.name
		}
	}
	return digits(ns) + " ns"
}

func digits(x float64) string {
	switch {
	case math.Abs(x) < 10:
		return fmt.Sprintf("%.2f", x)
	case math.Abs(x) < 100:
		return fmt.Sprintf("%.1f", x)
	}
	return thousands(math.Round(x))
}

func signed(x float64) string {
	switch {
	case math.Abs(x) < 0.05:
		return "+0"
	case math.Abs(x) < 100:
		return fmt.Sprintf("%+.1f", x)
	case x < 0:
		return thousands(math.Round(x))
	}
	return "+" + thousands(math.Round(x))
}

func count(x float64) string { return thousands(math.Round(x)) }

func signedCount(x float64) string {
	if x = math.Round(x); x >= 0 {
		return "+" + count(x)
	}
	return count(x)
}

// thousands writes a whole number with commas.
func thousands(x float64) string {
	s := strconv.FormatInt(int64(math.Abs(x)), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if x < 0 {
		s = "-" + s
	}
	return s
}
