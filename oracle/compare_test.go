package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// run lets both sides go through a scenario on the same clock.
func (s *scenario) run(t *testing.T) (prometheus, otelnet []outcome) {
	prometheus = newJudge(t, s).run(func(st *step) time.Duration { return st.at })
	synctest.Test(t, func(t *testing.T) { otelnet = newSubject(t, s).run() })
	return prometheus, otelnet
}

// check fails the test at the first step at which the two sides differ in anything. It tells whether there was none.
func (s *scenario) check(t *testing.T) bool {
	t.Helper()
	want, got := s.run(t)
	return s.same(t, want, got)
}

func (s *scenario) same(t *testing.T, want, got []outcome) bool {
	t.Helper()
	for i := range want {
		s.fired = s.fired || want[i].fires()
		diff := cmp.Diff(want[i].text(), got[i].text())
		if diff != "" {
			t.Errorf("evaluation %d: (-Prometheus +otelnet)\n%s\nof\n%s", i, diff, s)
			return false
		}
	}
	return true
}

func (o outcome) fires() bool {
	for _, a := range o.alerts {
		if a.state == "firing" {
			return true
		}
	}
	return false
}

// text is the outcome in lines.
func (o outcome) text() []string {
	lines := make([]string, 0, len(o.alerts)+len(o.sent)+1)
	for _, labels := range sortedKeys(o.alerts) {
		lines = append(lines, labels+" "+o.alerts[labels].String())
	}
	for _, m := range o.sent {
		lines = append(lines, "sent "+m)
	}
	if o.failed {
		lines = append(lines, "the rule has an error")
	}
	return lines
}

// checkPaused compares states, values and times of a scenario in which alertproc's clocks stand still while Prometheus'
// run: at steps that fail, and while the process is down. It therefore shows Prometheus a time from which these
// stretches are cut out, and compares at which steps things happened.
func (s *scenario) checkPaused(t *testing.T) bool {
	t.Helper()
	var real, cut stepTimes = stepTimes{}, stepTimes{}
	offsets := map[*step]time.Duration{}
	now, before := time.Duration(0), time.Duration(0)
	for i := range s.steps {
		st := &s.steps[i]
		switch {
		case st.failed:
			offsets[st] = -1
		case st.restart:
			// A millisecond later, so that it can be told from the step before.
			now += time.Millisecond
			offsets[st] = now
		default:
			now += st.at - before
			offsets[st] = now
		}
		before = st.at
		real[start.Add(st.at)] = i
		if offsets[st] >= 0 {
			cut[start.Add(offsets[st])] = i
		}
	}
	want := newJudge(t, s).run(func(st *step) time.Duration { return offsets[st] })
	var got []outcome
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		subject := newSubject(t, s)
		subject.dir = dir
		got = subject.run()
	})
	for i := range want {
		s.fired = s.fired || want[i].fires()
		if diff := cmp.Diff(cut.text(want[i]), real.text(got[i])); diff != "" {
			t.Errorf("evaluation %d: (-Prometheus +otelnet)\n%s\nof\n%s", i, diff, s)
			return false
		}
	}
	return true
}

// stepTimes maps times to the number of the step.
type stepTimes map[time.Time]int

func (m stepTimes) text(o outcome) []string {
	step := func(at time.Time) string {
		if at.IsZero() {
			return "never"
		}
		if n, ok := m[at.UTC()]; ok {
			return fmt.Sprint("step ", n)
		}
		return "at no step: " + at.String()
	}
	var lines []string
	for _, labels := range sortedKeys(o.alerts) {
		a := o.alerts[labels]
		lines = append(lines, fmt.Sprintf("%s %s value %x active %s fired %s", labels, a.state, a.valueBits, step(a.activeAt), step(a.firedAt)))
	}
	return lines
}

// checkLevels compares a rule of two levels with two rules of Prometheus. alertproc has one alert for both: it shows
// crit while that fires, else what warn is if that fires, else whichever is pending; active since the earlier.
func (s *scenario) checkLevels(t *testing.T) bool {
	t.Helper()
	want, got := s.run(t)
	for i := range want {
		want[i] = outcome{alerts: joinLevels(want[i].alerts)}
		got[i] = outcome{alerts: got[i].alerts}
	}
	return s.same(t, want, got)
}

func joinLevels(alerts map[string]alert) map[string]alert {
	joined := map[string]alert{}
	for labels, warn := range alerts {
		if crit := strings.Replace(labels, `severity="warn"`, `severity="crit"`, 1); crit == labels {
			if _, both := alerts[strings.Replace(labels, `severity="crit"`, `severity="warn"`, 1)]; !both {
				joined[labels] = warn
			}
		} else if c, both := alerts[crit]; !both || warn.state == "firing" && c.state == "pending" {
			if both && c.activeAt.Before(warn.activeAt) {
				warn.activeAt = c.activeAt
			}
			// The values agree: both levels hold, or the one that is only kept has the value of when it held.
			joined[labels] = warn
		} else {
			if warn.activeAt.Before(c.activeAt) {
				c.activeAt = warn.activeAt
			}
			if !warn.firedAt.IsZero() && warn.firedAt.Before(c.firedAt) {
				c.firedAt = warn.firedAt
			}
			joined[crit] = c
		}
	}
	return joined
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
