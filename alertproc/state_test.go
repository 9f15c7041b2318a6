package alertproc

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Each scene is a gauge every 10 s and the state it leads to. In the input "_" is a snapshot without the gauge, "nan"
// one with a gauge that is not a number, and "e" a collection that failed. In the output "-" is inactive, "p"
// pending, and a firing alert is shown by "w" for warn and "c" for crit.
func TestStates(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name     string
		rule     Rule
		in, want string
	}{
		{"never", Rule{}, "0 10 0", "- - -"},
		{"for 0 fires at the first evaluation", Rule{}, "20 20 5", "w w -"},
		{"strictly above", Rule{}, "10 10.5", "- w"},
		{"inactive, pending, firing, resolved", Rule{For: 20 * s}, "5 20 20 20 5", "- p p w -"},
		{"pending to inactive", Rule{For: 20 * s}, "20 20 5 20 20 20", "p p - p p w"},
		{"for below the interval waits for the next evaluation", Rule{For: 5 * s}, "20 20", "p w"},
		{"for between two evaluations waits for the second", Rule{For: 25 * s}, "20 20 20 20", "p p p w"},
		{"refire", Rule{}, "20 5 20 5", "w - w -"},
		{"below", Rule{Warn: Below(10)}, "10 9 10", "- w -"},

		{"keep firing ends strictly before its length", Rule{KeepFiringFor: 20 * s}, "20 5 5 5", "w w w -"},
		{"keep firing begins anew", Rule{KeepFiringFor: 20 * s}, "20 5 5 20 5 5 5", "w w w w w w -"},
		{"keep firing does not keep pending", Rule{For: 10 * s, KeepFiringFor: 20 * s}, "20 5 5", "p - -"},
		{"keep firing after for", Rule{For: 10 * s, KeepFiringFor: 10 * s}, "20 20 5 5", "p w w -"},

		{"hysteresis", Rule{Warn: Above(10).WithClear(8)}, "9 11 9 8.5 8 9 11", "- w w w - - w"},
		{"hysteresis is for firing alerts only", Rule{Warn: Above(10).WithClear(8), For: 20 * s}, "11 9 11 11 11 9", "p - p p w w"},
		{"hysteresis below", Rule{Warn: Below(10).WithClear(12)}, "11 9 11 12", "- w w -"},
		{"keep firing after clear", Rule{Warn: Above(10).WithClear(8), KeepFiringFor: 20 * s}, "11 9 8 9 8 8 8", "w w w w w w -"},

		{"match", Rule{Match: Match{2, 3}}, "20 5 20 5 5 20 5 5 5", "p p w - - p p p -"},
		{"match of all", Rule{Match: Match{2, 2}}, "20 5 20 20 5", "p p p w -"},
		{"match fires while below", Rule{Match: Match{1, 2}}, "20 5 5", "w w -"},
		{"match and keep firing", Rule{Match: Match{2, 3}, KeepFiringFor: 20 * s}, "20 20 5 5 5 5 20", "p w w w w - p"},
		{"no data does not count for match", Rule{Match: Match{2, 3}}, "20 _ _ _ 20 5", "p p p p w w"},
		{"no data fires with match", Rule{Match: Match{2, 3}, NoData: NoDataFire}, "5 _ 5 5", "- w w -"},

		{"warn and crit", Rule{Crit: Above(100)}, "20 200 20 5", "w c w -"},
		{"at once crit", Rule{Crit: Above(100)}, "200 5", "c -"},
		{"crit holds on its own", Rule{Crit: Above(100), For: 20 * s}, "20 20 20 200 200 200 20", "p p w w w c w"},
		{"crit keeps on its own", Rule{Crit: Above(100), KeepFiringFor: 20 * s}, "200 20 20 20 5 5 5", "c c c w w w -"},
		{"only crit", Rule{Warn: nil, Crit: Above(100)}, "20 200 5", "- c -"},
		{"crit with its own hysteresis", Rule{Crit: Above(100).WithClear(50)}, "200 60 50 5", "c c w -"},

		{"no data is kept by default", Rule{}, "20 _ _ 20 _ 5", "w w w w w -"},
		{"no data while inactive", Rule{}, "5 _ _", "- - -"},
		{"no data does not count towards for", Rule{For: 20 * s}, "20 _ _ 20 20", "p p p p w"},
		{"no data does not count towards keep firing", Rule{KeepFiringFor: 20 * s}, "20 5 _ _ 5 5", "w w w w w -"},
		{"not a number is no data", Rule{}, "20 nan 20 5", "w w w -"},
		{"not a number first", Rule{}, "nan 20", "- w"},
		{"no data resolves", Rule{NoData: NoDataResolve}, "20 _ 20", "w - w"},
		{"no data resolves a pending alert", Rule{NoData: NoDataResolve, For: 20 * s}, "20 _ 20", "p - p"},
		{"no data resolves later", Rule{NoData: NoDataResolve, After: 20 * s}, "20 _ _ _", "w w w -"},
		{"no data resolves after keep firing", Rule{NoData: NoDataResolve, KeepFiringFor: 10 * s}, "20 _ _", "w w -"},
		{"no data fires", Rule{NoData: NoDataFire, For: time.Minute}, "5 _ 5", "- w -"},
		{"no data fires as the highest level", Rule{NoData: NoDataFire, Crit: Above(100)}, "5 _ 20 5", "- c w -"},
		{"no data fires later", Rule{NoData: NoDataFire, After: 20 * s}, "5 _ _ _ 5", "- - - w -"},
		{"no data fires while pending", Rule{NoData: NoDataFire, For: time.Minute}, "20 _ 20", "p w w"},
		{"never seen fires", Rule{NoData: NoDataFire, After: 20 * s}, "_ _ _ 5", "- - w -"},

		{"an error changes nothing", Rule{}, "20 e 5", "w w -"},
		{"an error does not count towards for", Rule{For: 20 * s}, "20 e e 20 20", "p p p p w"},
		{"an error does not count towards keep firing", Rule{KeepFiringFor: 20 * s}, "20 5 e e 5 5", "w w w w w -"},
		{"an error first", Rule{}, "e 20", "- w"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := tc.rule
			r.Metric = "m"
			if r.Warn == nil && tc.name != "only crit" {
				r.Warn = Above(10)
			}
			sc := newScene(t, oneRule(r))
			var got []string
			for i, in := range strings.Fields(tc.in) {
				sc.step(i, in)
				got = append(got, sc.letter())
			}
			if diff := cmp.Diff(strings.Fields(tc.want), got); diff != "" {
				t.Errorf("states of %q (-want +got):\n%s", tc.in, diff)
			}
		})
	}
}

// step evaluates one word of a scene, 10 s after the last.
func (s *scene) step(i int, word string) {
	s.t.Helper()
	seconds := float64(i) * 10
	switch word {
	case "_":
		s.at(seconds)
	case "e":
		err := s.p.Evaluate(s.t.Context(), start.Add(time.Duration(i)*10*time.Second), nil)
		if err == nil || !strings.Contains(err.Error(), "could not be collected") {
			s.t.Fatalf("Evaluate without a snapshot returned %v", err)
		}
	default:
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		s.at(seconds, gauge(values{"": v}))
	}
}

func (s *scene) letter() string {
	s.t.Helper()
	alerts := s.p.Alerts()
	switch {
	case len(alerts) == 0:
		return "-"
	case len(alerts) > 1:
		s.t.Fatalf("got %d alerts, want at most 1", len(alerts))
	case alerts[0].State == StatePending:
		return "p"
	}
	return alerts[0].Severity[:1]
}

// The whole life of an alert, with every field that others see.
func TestTransitionsTellTheWholeStory(t *testing.T) {
	sc := newScene(t, oneRule(Rule{
		Metric: "m", Where: map[string]string{"zone": "?*"}, By: []string{"zone"},
		Warn: Above(10), Crit: Above(100), For: 10 * time.Second,
		Labels:      map[string]string{"team": "net", "seen": "{{ .Value }}"},
		Annotations: map[string]string{"summary": `{{ .Value }} in {{ .Labels.zone }}, {{ .Severity }}`},
		Capture:     []string{"heap"},
	}))
	for i, v := range []float64{20, 30, 200, 200, 50, 1} {
		sc.at(float64(i)*10, gauge(values{"zone=eu": v, "zone=": 1e9}))
	}
	after := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	// Labels are as they were when the alert became active, whatever the value does later.
	labels := func(severity string) map[string]string {
		return map[string]string{"alertname": "A", "zone": "eu", "team": "net", "seen": "20", "severity": severity}
	}
	alert := func(state State, severity string, value, threshold float64, fired, resolved time.Time) Alert {
		return Alert{
			Group: "g", Rule: "A", Labels: labels(severity), State: state, Severity: severity, Value: value, Threshold: threshold,
			Annotations: map[string]string{"summary": strconv.FormatFloat(value, 'g', -1, 64) + " in eu, " + severity},
			ActiveAt:    after(0), FiredAt: fired, ResolvedAt: resolved, Capture: []string{"heap"},
		}
	}
	never := time.Time{}
	want := []Transition{
		{
			At: after(0), From: StateInactive, To: StatePending, Reason: "value 20 above 10",
			Alert: alert(StatePending, "warn", 20, 10, never, never),
		},
		{
			At: after(10), From: StatePending, To: StateFiring, Reason: "value 30 above 10 for 10s",
			Alert: alert(StateFiring, "warn", 30, 10, after(10), never),
		},
		{
			At: after(30), From: StateFiring, To: StateFiring, FromSeverity: "warn", Reason: "now crit: value 200, threshold 100",
			Alert: alert(StateFiring, "crit", 200, 100, after(10), never),
		},
		{
			At: after(40), From: StateFiring, To: StateFiring, FromSeverity: "crit", Reason: "now warn: value 50, threshold 10",
			Alert: alert(StateFiring, "warn", 50, 10, after(10), never),
		},
		{
			At: after(50), From: StateFiring, To: StateInactive, Reason: "recovered: value 1",
			Alert: alert(StateInactive, "warn", 50, 10, after(10), after(50)),
		},
	}
	if diff := cmp.Diff(want, sc.changes); diff != "" {
		t.Errorf("transitions (-want +got):\n%s", diff)
	}
}

func TestRefireIsANewAlert(t *testing.T) {
	sc := newScene(t, oneRule(Rule{Metric: "m", Warn: Above(10)}))
	for i, word := range strings.Fields("20 20 5 20") {
		sc.step(i, word)
	}
	a := sc.p.Alerts()[0]
	if want := start.Add(30 * time.Second); !a.ActiveAt.Equal(want) || !a.FiredAt.Equal(want) || !a.ResolvedAt.IsZero() {
		t.Errorf("got active %s, fired %s, resolved %s; want %s, %[4]s and none", a.ActiveAt, a.FiredAt, a.ResolvedAt, want)
	}
}

func TestKeptAlertKeepsItsValue(t *testing.T) {
	sc := newScene(t, oneRule(Rule{
		Metric: "m", Warn: Above(10), KeepFiringFor: time.Minute,
		Annotations: map[string]string{"a": "{{ .Value }}"},
	}))
	for i, word := range strings.Fields("20 30 5 4") {
		sc.step(i, word)
	}
	a := sc.p.Alerts()[0]
	if a.Value != 30 || a.Annotations["a"] != "30" {
		t.Errorf("got value %g and text %q, want those of when the condition last held, 30", a.Value, a.Annotations["a"])
	}
}

func TestInstancesAreIndependent(t *testing.T) {
	sc := newScene(t, oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10), For: 10 * time.Second}))
	sc.at(0, gauge(values{"a=1": 20}))
	sc.at(10, gauge(values{"a=1": 20, "a=2": 20}))
	sc.at(20, gauge(values{"a=1": 5, "a=2": 20, "b=1": 20}))
	got := map[string]State{}
	for _, a := range sc.p.Alerts() {
		got[a.Labels["a"]] = a.State
	}
	// The series without the attribute is an instance without the label.
	if diff := cmp.Diff(map[string]State{"2": StateFiring, "": StatePending}, got); diff != "" {
		t.Errorf("states by label a (-want +got):\n%s", diff)
	}
}

func TestLabelPrecedence(t *testing.T) {
	sc := newScene(t, oneRule(Rule{
		Metric: "m", By: []string{"a", "b", "c"}, Warn: Above(10),
		Labels: map[string]string{"a": "of the rule", "b": "", "d": "{{ .Labels.c }}!", "e": "{{ .Nothing }}"},
	}))
	sc.at(0, gauge(values{"a=1 b=2 c=3": 20}))
	got := sc.p.Alerts()[0].Labels
	if !strings.HasPrefix(got["e"], "<error expanding template: ") {
		t.Errorf("label e is %q, want the template's error", got["e"])
	}
	delete(got, "e")
	want := map[string]string{"alertname": "A", "severity": "warn", "a": "of the rule", "c": "3", "d": "3!"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestEqualLabelsAreAnErrorOfTheRule(t *testing.T) {
	sc := newScene(t, oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10), Labels: map[string]string{"a": ""}}))
	err := sc.try(0, gauge(values{"a=1": 20, "a=2": 30}))
	if err == nil || !strings.Contains(err.Error(), `rule "A": two instances have the same labels`) {
		t.Fatalf("got error %v", err)
	}
	if got := sc.status(); got.Health != "err" || len(got.Alerts) != 1 || got.Alerts[0].Value != 20 {
		t.Errorf("got health %s and alerts %+v, want err and the first instance", got.Health, got.Alerts)
	}
	// When one of the two ends, the other takes its place.
	sc.at(10, gauge(values{"a=1": 5, "a=2": 30}))
	if got := sc.status(); got.Health != "ok" || len(got.Alerts) != 1 || got.Alerts[0].Value != 30 {
		t.Errorf("got health %s and alerts %+v, want ok and the second instance", got.Health, got.Alerts)
	}
}

func TestLimitKeepsTheFirstAndCountsTheRest(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10)})
	cfg.MaxInstances = 2
	sc := newScene(t, cfg)
	sc.at(0, gauge(values{"a=1": 20, "a=2": 20}))
	sc.at(10, gauge(values{"a=1": 20, "a=2": 20, "a=3": 20, "a=4 b=1": 20, "a=4 b=2": 20}))
	if got := sc.status(); len(got.Alerts) != 2 || got.Skipped != 2 {
		t.Errorf("got %d alerts and %d skipped, want 2 and 2", len(got.Alerts), got.Skipped)
	}
}

func TestRuleFunc(t *testing.T) {
	var samples []Sample
	var fail error
	sc := newScene(t, oneRule(Rule{
		Warn: Above(10),
		Func: func(_ context.Context, rm *metricdata.ResourceMetrics) ([]Sample, error) {
			if rm == nil {
				t.Error("called without a snapshot")
			}
			if fail != nil && fail.Error() == "panic" {
				panic("boom")
			}
			return samples, fail
		},
	}))
	samples = []Sample{{Labels: map[string]string{"a": "1"}, Value: 20}, {Value: 5}, {Labels: map[string]string{"a": "2"}, Value: math.NaN()}}
	sc.at(0)
	if got := sc.letter(); got != "w" || sc.value() != 20 || sc.p.Alerts()[0].Labels["a"] != "1" {
		t.Fatalf("got alerts %+v", sc.p.Alerts())
	}
	samples[0].Value = 5
	for i, tc := range []struct{ text, want string }{
		{"broken", `rule "A": broken`},
		{"panic", `rule "A": the function panicked: boom`},
	} {
		fail = errors.New(tc.text)
		if err := sc.try(10 + 10*float64(i)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got error %v, want %s", err, tc.want)
		}
		if got := sc.letter(); got != "w" {
			t.Errorf("after an error the state is %s, want w", got)
		}
	}
	fail = nil
	samples = []Sample{{Value: 1}, {Value: 2}}
	if err := sc.try(40); err == nil || !strings.Contains(err.Error(), "two samples with the labels map[]") {
		t.Errorf("got error %v", err)
	}
	samples = []Sample{{Labels: map[string]string{"a": "1"}, Value: 5}}
	sc.at(50)
	sc.wantIdle()
}

func TestNeverSeenGivesWayToWhatIsSeen(t *testing.T) {
	sc := newScene(t, oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10), NoData: NoDataFire}))
	sc.at(0)
	if got := sc.p.Alerts(); len(got) != 1 || got[0].State != StateFiring {
		t.Fatalf("got alerts %+v, want one that fires", got)
	}
	sc.at(10, gauge(values{"a=1": 5}))
	sc.wantIdle()
	sc.at(20)
	if got := sc.p.Alerts(); len(got) != 1 || got[0].Labels["a"] != "1" {
		t.Fatalf("got alerts %+v, want one for a=1", got)
	}
}

func TestHealth(t *testing.T) {
	sc := newScene(t, oneRule(Rule{Metric: "m", Warn: Above(10), For: time.Minute, Labels: map[string]string{"a": "b"}}))
	if got := sc.status(); got.Health != "unknown" || !got.LastEvaluation.IsZero() {
		t.Errorf("before: got %+v", got)
	}
	sc.at(0)
	if got := sc.status(); got.Health != "unknown" || !got.LastEvaluation.Equal(start) {
		t.Errorf("metric never seen: got health %s at %s", got.Health, got.LastEvaluation)
	}
	sc.at(10, gauge(values{"": 20}))
	got := sc.status()
	if got.Health != "ok" || got.State != StatePending || got.Query != "m > 10" || got.For != time.Minute || got.Labels["a"] != "b" {
		t.Errorf("got %+v", got)
	}
	if g := sc.p.Rules()[0]; g.Name != "g" || g.Interval != 10*time.Second || g.File != "" {
		t.Errorf("group: got %q every %s from %q", g.Name, g.Interval, g.File)
	}
}
