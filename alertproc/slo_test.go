package alertproc

import (
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The factors of the Site Reliability Workbook for 30 days, table 5-8.
func TestBurnFactors(t *testing.T) {
	for i, want := range []float64{14.4, 6, 3, 1} {
		if got := burnPairs[i].factor(DefaultPeriod); math.Abs(got-want) > 1e-12 {
			t.Errorf("factor %d: got %v, want %v", i, got, want)
		}
	}
}

func TestBurnRingsAreSmall(t *testing.T) {
	size := uintptr(0)
	for _, r := range newBurnRings() {
		size += uintptr(len(r.slots)) * unsafe.Sizeof(burnSlot{})
	}
	if size > 8<<10 {
		t.Errorf("an instance takes %d bytes, want at most 8 kB", size)
	}
}

// exactBurn is the burn rate by the definition, from all there was.
func exactBurn(history []burnSlot, window time.Duration, objective float64) float64 {
	now := history[len(history)-1]
	after := sort.Search(len(history), func(i int) bool { return history[i].at > now.at-int64(window) })
	base := history[max(0, after-1)]
	known := min(1, float64(now.at-base.at)/float64(window))
	if now.total == base.total {
		return 0
	}
	return (now.bad - base.bad) / (now.total - base.total) / (1 - objective/100) * known
}

// Four days of a service that fails now and then: what the rings say is what the whole history says, but for the steps
// in which a window begins between two slots.
func TestBurnAgainstTheWholeHistory(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	rings := newBurnRings()
	var history []burnSlot
	var now burnSlot
	share, differ, told, steps := 0.0, 0, 0, 0
	for at := time.Duration(0); at < 4*24*time.Hour; at += 10 * time.Second {
		if r.IntN(1000) == 0 {
			share = []float64{0, 0, 0.0005, 0.002, 0.005, 0.02, 0.3}[r.IntN(7)]
		}
		now.at = int64(at)
		now.total += 100
		now.bad += math.Round(100 * share * r.Float64() * 2)
		history = append(history, now)
		if at > 0 && at%time.Minute == 0 {
			steps++
			for _, p := range burnPairs {
				got := min(rings.burn(p.short, now, 99.9, 0), rings.burn(p.long, now, 99.9, 0)) > p.factor(DefaultPeriod)
				want := min(exactBurn(history, p.short, 99.9), exactBurn(history, p.long, 99.9)) > p.factor(DefaultPeriod)
				if got != want {
					differ++
				}
				if want {
					told++
				}
			}
		}
		rings.note(now)
	}
	if told < steps/10 {
		t.Errorf("only %d of %d decisions are to alert, want a tenth at least", told, 4*steps)
	}
	if differ > 4*steps/200 {
		t.Errorf("%d of %d decisions differ, want at most one in 200", differ, 4*steps)
	}
}

func burnRule() Rule {
	return Rule{
		Alert: "availability", Burn: &Burn{Objective: 99.9},
		Ratio: &Ratio{Bad: Selector{Metric: "bad"}, Total: Selector{Metric: "total"}, MinTotal: 100},
	}
}

func requests(bad, total float64) []metricdata.Metrics {
	return []metricdata.Metrics{named("bad", counter(values{"": bad})), named("total", counter(values{"": total}))}
}

// A tenth of the requests fails. That is a burn rate of 100: it loses 2 % of 30 days' budget in 8.64 minutes.
func TestBurnPages(t *testing.T) {
	p := newProcess(t, burnRule())
	second := 0.0
	bad, total := 0.0, 0.0
	step := func(failing bool) {
		p.at(second, requests(bad, total)...)
		second += 10
		total += 1000
		if failing {
			bad += 100
		}
	}
	for range 6 * 120 {
		step(false)
	}
	p.want("-")
	begin := second
	for p.letter() != "c" {
		step(true)
		if second > begin+3600 {
			t.Fatal("an hour at a burn rate of 100 did not page")
		}
	}
	if after := second - begin; math.Abs(after-518.4) > 30 {
		t.Errorf("paged after %.0fs, want about 518", after)
	}
	a := p.p.Alerts()[0]
	if a.Threshold < 14.3 || a.Threshold > 14.5 || a.Value <= a.Threshold {
		t.Errorf("value %v, threshold %v; want a value beyond 14.4", a.Value, a.Threshold)
	}
	if got := p.changes[len(p.changes)-1].Reason; !strings.Contains(got, "times the error budget above 14.4") {
		t.Errorf("reason: %q", got)
	}

	// A restart forgets nothing of it. The counters begin at zero again.
	p.restart()
	p.want("c")
	bad, total = 0, 0
	step(true)
	p.want("c")
	for range 5 {
		step(true)
	}
	p.want("c")
	for range 6 * 6 {
		step(false)
	}
	if got := p.letter(); got == "c" {
		t.Error("six minutes without an error still page; the short window should have ended it")
	}
}

// The first minute of a process is no hour: half of the requests failing for 10 s is not told, but two minutes of it are.
func TestBurnAfterTheStart(t *testing.T) {
	s := newScene(t, oneRule(burnRule()))
	s.at(0, requests(0, 0)...)
	s.at(10, requests(500, 1000)...)
	s.wantIdle()
	for i := 2.0; i <= 12; i++ {
		s.at(10*i, requests(500*i, 1000*i)...)
	}
	if got := s.letter(); got != "c" {
		t.Errorf("after two minutes at a burn rate of 500: got %s, want c", got)
	}
}

func TestBurnNeedsTraffic(t *testing.T) {
	s := newScene(t, oneRule(burnRule()))
	for i := range 100 {
		s.at(float64(10*i), requests(float64(i)/2, float64(i))...)
		s.wantIdle()
	}
}

func TestAbsent(t *testing.T) {
	s := newScene(t, oneRule(Rule{Metric: "m", Where: map[string]string{"a": "1"}, Absent: 20 * time.Second}))
	var got []string
	for i, m := range [][]metricdata.Metrics{
		{counter(values{"a=2": 1})}, nil, {gauge(values{"a=1": 7})}, nil, {gauge(values{"a=1": 7})}, nil, nil, nil, {gauge(values{"a=1": 7})},
	} {
		s.at(float64(10*i), m...)
		got = append(got, s.letter())
	}
	if want := "- - - - - - - c -"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
	if r := s.changes[len(s.changes)-1].Reason; r != "recovered: the metric is there" {
		t.Errorf("reason: %q", r)
	}
	if q := s.status().Query; q != `absent(m{a="1"}, 20s)` {
		t.Errorf("query: %q", q)
	}
}
