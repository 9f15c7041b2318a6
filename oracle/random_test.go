package oracle

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelnet/agent/alertproc"
)

var (
	scenarios = flag.Int("scenarios", 10_000, "how many random scenarios to compare")
	seed      = flag.Uint64("seed", 1, "of the first scenario; the next ones count up, so that one can be run alone")
)

// TestRandom compares scenarios from a generator. A failure names the seed that brings it again.
func TestRandom(t *testing.T) {
	n := *scenarios
	if testing.Short() {
		n = min(n, 500)
	}
	var next, fired atomic.Int64
	t.Run("all", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for !t.Failed() {
					i := next.Add(1) - 1
					if i >= int64(n) {
						return
					}
					g := generator{rand.New(rand.NewPCG(*seed+uint64(i), 0))}
					s, check := g.scenario()
					if !check(t) {
						t.Errorf("with -scenarios=1 -seed=%d", *seed+uint64(i))
					}
					if s.fired {
						fired.Add(1)
					}
				}
			})
		}
	})
	// Scenarios in which nothing happens compare nothing.
	if got := fired.Load(); !t.Failed() && n >= 100 && got < int64(n)/3 {
		t.Errorf("an alert fired in %d of %d scenarios, want a third at least", got, n)
	}
}

type generator struct{ *rand.Rand }

func (g generator) chance(p float64) bool { return g.Float64() < p }

func choose[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// scenario makes a random one with the way in which it is to be compared.
func (g generator) scenario() (*scenario, func(*testing.T) bool) {
	s := &scenario{every: choose(g, 5*time.Second, 10*time.Second, time.Minute)}
	s.resend = choose(g, s.every, 3*s.every, time.Minute, 65*time.Second, 4*time.Minute)
	// What counts is not shown for longer than 15 minutes: a series that was away for that long counts as new.
	r := spec{kind: choose(g, gauge, gauge, upDown, counter, counter, deltaCounter, histogramKind)}
	if r.kind != gauge && r.kind != upDown {
		s.every = min(s.every, 10*time.Second)
	}
	switch r.kind {
	case gauge:
		r.aggregation = choose(g, alertproc.Last, alertproc.Last, alertproc.Max, alertproc.Min, alertproc.Mean)
	case upDown:
		r.aggregation = choose(g, alertproc.Last, alertproc.Last, alertproc.Max, alertproc.Min)
	case counter, deltaCounter:
		r.aggregation = choose(g, alertproc.Rate, alertproc.Increase, ratio)
	default:
		r.aggregation = alertproc.Quantile
		r.arg = choose(g, 0.5, 0.9, 0.99, 1, 0.25)
	}
	if r.aggregation != alertproc.Last {
		r.over = s.every * time.Duration(1+g.IntN(8))
	}
	if r.aggregation == ratio || r.aggregation == alertproc.Quantile {
		r.minCount = choose(g, 0.0, 1, 5)
	}
	if g.chance(0.7) {
		r.by = []string{"k"}
	}
	r.hold = choose(g, 0, 0, s.every/2, s.every, 2*s.every, 3*s.every+s.every/3)
	r.keep = choose(g, 0, 0, s.every/2, s.every, 3*s.every)
	g.bound(&r, s)
	if g.chance(0.15) {
		r.labels = map[string]string{"team": "x", "copy": "{{ $labels.k }}"}
		r.annotations = map[string]string{"summary": "{{ $value }} of {{ $labels.k }}"}
	}
	check := s.check
	paused := r.aggregation == alertproc.Last
	switch {
	case g.chance(0.15) && r.aggregation != ratio:
		crit := r.bound * 2
		if r.below {
			crit = r.bound / 2
		}
		r.crit = &crit
		check = s.checkLevels
	case g.chance(0.15):
		clear := r.bound * 0.7
		if r.below {
			clear = r.bound * 1.4
		}
		r.clear = &clear
	}
	s.rule = r
	g.steps(s)
	if r.crit == nil && g.chance(0.2) {
		g.reloads(s)
	} else if paused && r.crit == nil && r.clear == nil && s.evaluatesAll() && g.chance(0.4) {
		g.pauses(s)
		check = s.checkPaused
	}
	return s, check
}

func (g generator) bound(r *spec, s *scenario) {
	switch r.aggregation {
	case alertproc.Rate:
		r.bound = float64(1+g.IntN(30)) / s.every.Seconds()
	case alertproc.Increase:
		r.bound = float64(1 + g.IntN(60))
	case ratio:
		r.bound = choose(g, 0.1, 0.25, 1.0/3)
	case alertproc.Quantile:
		r.bound = choose(g, 0.2, 0.5, 0.9, 1.7)
	default:
		r.bound = float64(5 + g.IntN(10))
		r.below = g.chance(0.25)
	}
}

// steps fills in what is collected. Values wander around the bound, so that it is crossed again and again.
func (g generator) steps(s *scenario) {
	r := &s.rule
	n := 15 + g.IntN(45)
	names := g.names(r)
	tick := s.every
	window := r.over > 0
	if g.chance(0.2) {
		tick /= 2 // and every other collection is evaluated
	}
	level := map[string]float64{} // a gauge's present value, or what a counter has counted
	pace := map[string]float64{}
	hist := map[string][]uint64{}
	present := map[string]bool{}
	vanish := choose(g, 0, 0, 0.05, 0.15)
	missing := choose(g, 0, 0, 0.1)
	for i := range n {
		st := step{at: time.Duration(i) * tick, points: map[string]float64{}, buckets: map[string][]uint64{}}
		if !window && tick == s.every && i > 0 && g.chance(missing) {
			continue
		}
		// Before the window has been filled once, a rate divides by what it covers. Nothing is counted until then.
		quiet := r.kind != gauge && r.kind != upDown && st.at <= r.over
		for _, name := range names {
			switch {
			case i == 0:
				present[name] = g.chance(0.7)
			case r.kind == deltaCounter:
				// A delta that is missing is a zero.
				present[name] = present[name] || !quiet && g.chance(0.1)
			case present[name]:
				present[name] = !g.chance(vanish)
			default:
				present[name] = !quiet && g.chance(0.25)
			}
			if g.chance(0.2) || i == 0 {
				pace[name] = g.pace(r, s)
			}
			g.advance(r, name, level, pace, hist, present[name], quiet)
			if !present[name] {
				continue
			}
			if r.kind == histogramKind {
				st.buckets[name] = append([]uint64(nil), hist[name]...)
			} else {
				st.points[name] = level[name]
			}
			if r.kind == gauge && r.aggregation != alertproc.Mean && g.chance(0.03) {
				st.points[name] = math.NaN()
			}
		}
		s.steps = append(s.steps, st)
	}
}

// names are the series. Those that alertproc adds up have several to an instance.
func (g generator) names(r *spec) []string {
	single := r.aggregation == alertproc.Mean || r.kind == upDown && r.over > 0
	if single && len(r.by) == 0 {
		return []string{"k=a"}
	}
	var names []string
	for k := range 1 + g.IntN(3) {
		n := 1
		if !single {
			n += g.IntN(2)
		}
		if r.aggregation == ratio {
			n = 2
		}
		for i := range n {
			side := choose(g, "good", "other")
			if i == 0 {
				side = "bad"
			}
			names = append(names, fmt.Sprintf("k=%c i=%d side=%s", 'a'+k, i, side))
		}
	}
	return names
}

func (g generator) pace(r *spec, s *scenario) float64 {
	switch r.aggregation {
	case alertproc.Rate:
		return r.bound * s.every.Seconds() * choose(g, 0, 0.5, 1, 1.5)
	case alertproc.Increase:
		return r.bound * float64(s.every) / float64(r.over) * choose(g, 0, 0.5, 1, 1.5)
	default:
		return r.bound * choose(g, 0.3, 0.8, 1, 1.2, 2.5)
	}
}

func (g generator) advance(r *spec, name string, level, pace map[string]float64, hist map[string][]uint64, present, quiet bool) {
	switch r.kind {
	case gauge, upDown:
		level[name] = math.Round(pace[name]+2*g.NormFloat64()) + 0 // without a minus at zero, which only Prometheus keeps
	case counter, deltaCounter:
		if quiet {
			if level[name] == 0 {
				level[name] = float64(g.IntN(1000))
			}
			return
		}
		if r.kind == counter && g.chance(0.03) {
			level[name] = 0
		}
		if r.aggregation == ratio {
			level[name] += float64(g.IntN(6))
			return
		}
		level[name] += math.Max(0, math.Round(pace[name]+g.NormFloat64()))
	case histogramKind:
		counts := hist[name]
		reset := present && !quiet && g.chance(0.03)
		if counts == nil || reset {
			counts = make([]uint64, len(bounds)+1)
		}
		// What is collected after a restart is all zeros first: else Prometheus does not see it in every bucket.
		if !quiet && !reset {
			counts = append([]uint64(nil), counts...)
			for range g.IntN(8) {
				i := g.IntN(len(counts))
				if pace[name] < r.bound {
					i = g.IntN(3)
				}
				counts[i]++
			}
		}
		hist[name] = counts
	}
}

// reloads puts changed rules into the scenario.
func (g generator) reloads(s *scenario) {
	r := s.rule
	for i := range s.steps {
		if i == 0 || !g.chance(0.06) {
			continue
		}
		r.hold = choose(g, 0, r.hold/2, r.hold)
		r.keep = choose(g, r.keep, 0, 2*s.every)
		r.bound *= choose(g, 1, 1, 1.1, 0.9)
		if r.clear != nil && (r.below && *r.clear < r.bound || !r.below && *r.clear > r.bound) {
			r.bound = s.rule.bound
		}
		next := r
		s.steps[i].reload = &next
	}
}

// evaluatesAll tells whether there is an evaluation at each step. Only then the time from which stretches are cut out has
// the same steps on both sides.
func (s *scenario) evaluatesAll() bool {
	return !slices.ContainsFunc(s.steps, func(st step) bool { return !s.evaluated(&st) })
}

// pauses puts collections that fail, and restarts, into the scenario.
func (g generator) pauses(s *scenario) {
	for i := range s.steps {
		switch {
		case i == 0:
		case g.chance(0.1) && s.evaluated(&s.steps[i]):
			s.steps[i].failed = true
		case g.chance(0.1) && s.evaluated(&s.steps[i]): // intervals are counted from there
			s.steps[i].restart = true
		}
	}
}
