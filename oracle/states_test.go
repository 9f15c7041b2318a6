package oracle

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/alertproc"
)

const every = 10 * time.Second

// gaugeSteps makes one step for each word of text: "12" or "a:12,b:3" are values of the gauge, "_" is none, "nan" is
// not a number, "e" is a collection that fails. Words are ten seconds apart; "." is a tick that was missed.
func gaugeSteps(text string) []step {
	var steps []step
	for i, word := range strings.Fields(text) {
		st := step{at: time.Duration(i) * every, points: map[string]float64{}}
		switch word {
		case ".":
			continue
		case "_":
		case "e":
			st.failed = true
		default:
			for _, one := range strings.Split(word, ",") {
				attrs, number, ok := strings.Cut(one, ":")
				if !ok {
					attrs, number = "", one
				} else {
					attrs = "k=" + attrs
				}
				v, err := strconv.ParseFloat(number, 64)
				if err != nil {
					panic(err)
				}
				st.points[attrs] = v
			}
		}
		steps = append(steps, st)
	}
	return steps
}

func repeat(word string, n int) string { return strings.Repeat(word+" ", n) }

// TestStates holds the states of a gauge with the bound 10 to Prometheus' word, the scenarios of its own test suite for
// alert generators among them.
func TestStates(t *testing.T) {
	const s = time.Second
	last := spec{aggregation: alertproc.Last, bound: 10}
	with := func(change func(*spec)) spec {
		r := last
		change(&r)
		return r
	}
	hold := func(d time.Duration) spec { return with(func(r *spec) { r.hold = d }) }
	keep := func(hold, keep time.Duration) spec { return with(func(r *spec) { r.hold, r.keep = hold, keep }) }
	byK := with(func(r *spec) { r.by, r.hold = []string{"k"}, 20*s })
	clear8 := 8.0
	for _, tc := range []struct {
		name  string
		rule  spec
		steps string
	}{
		{"never", hold(20 * s), "1 2 3"},
		{"inactive, pending, firing, resolved", hold(30 * s), "5 20 20 20 20 20 5 5 5"},
		{"pending to inactive", hold(30 * s), "5 20 20 5 5"},
		{"for 0", hold(0), "5 20 20 5"},
		{"for below the interval", hold(3 * s), "5 20 20 20 5"},
		{"for between two evaluations", hold(25 * s), "5 20 20 20 20 20 5"},
		{"exactly at the bound", hold(0), "10 10.000001 10"},
		{"refire while the resolve is repeated", hold(0), "20 20 5 " + repeat("5", 20) + "20 20 5 5"},
		{"refire to pending while the resolve is repeated", hold(30 * s), repeat("20", 5) + repeat("5", 9) + repeat("20", 9) + repeat("5", 12)},
		{"pending again and back while the resolve is repeated", hold(30 * s), repeat("20", 5) + repeat("5", 9) + "20 " + repeat("5", 20)},
		{"refire after the resolve is forgotten", hold(0), "20 " + repeat("5", 95) + "20 20 5"},
		{"data vanishes while pending", hold(30 * s), "20 20 _ _ 20 20 20 20 20"},
		{"data vanishes while firing", hold(20 * s), "20 20 20 20 _ _ _ 20 20 20"},
		{"not a number while firing", hold(0), "20 nan nan 20"},
		{"not a number while pending", hold(20 * s), "20 20 nan 20 20 20"},
		{"missed evaluations", hold(30 * s), "20 . . 20 20 5 . 20 20 . . . 20 5"},
		{"keep firing with for", keep(20*s, 30*s), "20 20 20 20 5 5 5 5 5 5"},
		{"keep firing does not keep pending", keep(20*s, 30*s), "20 20 5 5 20 20 20 5"},
		{"keep firing is reset", keep(20*s, 30*s), "20 20 20 5 5 20 5 5 5 5 5"},
		{"keep firing below the interval", keep(0, 5*s), "20 5 5 5"},
		{"keep firing at a multiple of the interval", keep(0, 20*s), "20 5 5 5 5"},
		{"keep firing after data vanished", keep(0, 30*s), "20 _ _ 20 _ _ _ _ _"},
		{"resends", hold(0), repeat("20", 40) + repeat("5", 40)},
		{"new instances while others are active", byK, "a:20 a:20 a:20,b:20 a:20,b:20 a:5,b:20,c:20 a:5,b:20,c:20 a:20,b:5,c:20 c:20 c:5 c:5"},
		{"an attribute changes", byK, "a:20 a:20 a:20 b:20 b:20 b:20 c:20 a:20 a:20 a:20"},
		{"hysteresis as with ALERTS in a query", with(func(r *spec) { r.clear, r.hold = &clear8, 20*s }), "9 11 9 11 11 11 9 8.5 8 9 11 11 11 8.1 7"},
		{"hysteresis and keep firing", with(func(r *spec) { r.clear, r.keep = &clear8, 30*s }), "9 11 9 8 9 8 8 8 8 8"},
		{"texts and labels", with(func(r *spec) {
			r.by, r.hold = []string{"k"}, 10*s
			r.labels = map[string]string{"team": "x", "copy": "{{ $labels.k }}!", "none": "", "broken": "{{ .Nothing.There }}"}
			r.annotations = map[string]string{"summary": `{{ $labels.k }} is {{ $value }}, {{ printf "%.1f" $value }} in {{ .Labels.k }}`}
		}), "a:20 a:20.25,b:11 a:21,b:12 a:5,b:13 b:5 a:30"},
		{"a label that the series has", with(func(r *spec) {
			r.by, r.labels = []string{"k"}, map[string]string{"k": "other"}
		}), "a:20 a:20 a:5 b:20"},
		{"a label taken away", with(func(r *spec) {
			r.by, r.labels = []string{"k"}, map[string]string{"k": ""}
		}), "a:20 a:20 a:5 b:20"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, resend := range []time.Duration{10 * s, time.Minute, 65 * s} {
				sc := scenario{rule: tc.rule, every: every, resend: resend, steps: gaugeSteps(tc.steps)}
				sc.check(t)
			}
		})
	}
}

// TestReload compares what a reload makes of alerts that are active.
func TestReload(t *testing.T) {
	const s = time.Second
	before := spec{aggregation: alertproc.Last, bound: 10, by: []string{"k"}, hold: 30 * s}
	with := func(change func(*spec)) *spec {
		r := before
		change(&r)
		return &r
	}
	for _, tc := range []struct {
		name  string
		after *spec
	}{
		{"unchanged", with(func(*spec) {})},
		{"hold lowered", with(func(r *spec) { r.hold = 10 * s })},
		{"hold raised", with(func(r *spec) { r.hold = 60 * s })},
		{"bound raised", with(func(r *spec) { r.bound = 25 })},
		{"keep firing given", with(func(r *spec) { r.keep = 20 * s })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for at := 1; at < 9; at++ {
				sc := scenario{rule: before, every: every, resend: 30 * s}
				sc.steps = gaugeSteps("a:20 a:20,b:30 a:20,b:30 a:20,b:30 a:5,b:30 b:30 b:5 b:5 b:30 " + repeat("a:20", 12))
				sc.steps[at].reload = tc.after
				sc.check(t)
			}
		})
	}
}
