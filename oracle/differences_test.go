package oracle

import (
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/alertproc"
)

// TestDifferences shows each difference that is wanted: what Prometheus does, and what alertproc does. Each is in the
// list of docs/alerting.md with its reason. "w" is firing, "p" pending, "-" inactive, "E" an error of the rule.
func TestDifferences(t *testing.T) {
	const s = time.Second
	last := spec{aggregation: alertproc.Last, bound: 10}
	with := func(change func(*spec)) spec {
		r := last
		change(&r)
		return r
	}
	byK := with(func(r *spec) { r.by = []string{"k"} })
	for _, tc := range []struct {
		name                string
		scenario            scenario
		prometheus, otelnet string
	}{
		{
			"an error lets the clock of a pending alert stand still",
			scenario{rule: with(func(r *spec) { r.hold = 20 * s }), steps: gaugeSteps("20 e e 20 20 5")},
			"p pE pE w w -", "p pE pE p w -",
		},
		{
			"an error lets the clock of a kept alert stand still",
			scenario{rule: with(func(r *spec) { r.keep = 20 * s }), steps: gaugeSteps("20 5 e e 5 5")},
			"w w wE wE - -", "w w wE wE w -",
		},
		{
			"over the limit the first ones stay",
			scenario{rule: byK, limit: 2, steps: gaugeSteps("a:20,b:20 a:20,b:20,c:20 a:20,b:20")},
			"ww E ww", "ww wwM wwM",
		},
		{
			"of two instances with the same labels one stays",
			scenario{rule: with(func(r *spec) {
				r.by, r.labels = []string{"k"}, map[string]string{"k": "same"}
			}), steps: gaugeSteps("a:20,b:5 a:20,b:20 a:20,b:5")},
			"w wE w", "w wE w",
		},
		{
			"a value in a label is that of when the alert became active",
			scenario{rule: with(func(r *spec) {
				r.hold, r.labels = 20*s, map[string]string{"v": "{{ $value }}"}
			}), steps: gaugeSteps("20 21 22 23 5")},
			"p p p p -", "p p w w -",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.scenario.every, tc.scenario.resend = every, time.Minute
			prometheus, otelnet := tc.scenario.run(t)
			if got := letters(prometheus); got != tc.prometheus {
				t.Errorf("Prometheus: got %q, want %q", got, tc.prometheus)
			}
			if got := letters(otelnet); got != tc.otelnet {
				t.Errorf("otelnet: got %q, want %q", got, tc.otelnet)
			}
		})
	}

	t.Run("an error does not stop the repetitions", func(t *testing.T) {
		sc := scenario{rule: last, every: every, resend: 5 * s, steps: gaugeSteps("20 e e")}
		prometheus, otelnet := sc.run(t)
		if p, o := len(prometheus[2].sent), len(otelnet[2].sent); p != 0 || o != 1 {
			t.Errorf("sent at the second error: Prometheus %d, otelnet %d; want 0 and 1", p, o)
		}
	})
	t.Run("texts given by a reload count at once", func(t *testing.T) {
		texts := with(func(r *spec) { r.annotations = map[string]string{"note": "new"} })
		sc := scenario{rule: last, every: every, resend: time.Minute, steps: gaugeSteps("20 5")}
		sc.steps[1].reload = &texts
		prometheus, otelnet := sc.run(t)
		if p, o := prometheus[1].sent[0], otelnet[1].sent[0]; strings.Contains(p, "new") || !strings.Contains(o, "new") {
			t.Errorf("the resolve says %q in Prometheus and %q here; want the new text here only", p, o)
		}
	})
	t.Run("a new series counts from zero", func(t *testing.T) {
		rule := spec{kind: counter, aggregation: alertproc.Increase, over: 10 * s, bound: 0}
		sc := scenario{rule: rule, every: every, resend: time.Minute, steps: gaugeSteps("_ 1 1")}
		j := newJudge(t, &sc)
		j.unborn = true
		prometheus := j.run(func(st *step) time.Duration { return st.at })
		_, otelnet := sc.run(t)
		if p, o := letters(prometheus), letters(otelnet); p != "- - -" || o != "- w -" {
			t.Errorf("states: Prometheus %q, otelnet %q; want - - - and - w -", p, o)
		}
	})
}

// letters writes one word for each evaluation. M is the alert that instances were left out.
func letters(all []outcome) string {
	words := make([]string, 0, len(all))
	for _, o := range all {
		word := ""
		for _, labels := range sortedKeys(o.alerts) {
			switch {
			case strings.Contains(labels, `"TooManyAlertInstances"`):
				word += "M"
			case o.alerts[labels].state == "firing":
				word += "w"
			default:
				word += "p"
			}
		}
		if o.failed {
			word += "E"
		}
		if word == "" {
			word = "-"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
