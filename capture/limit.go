package capture

import (
	"fmt"
	"math"
	"time"
)

// worse is by how much a value must lie beyond the worst that was captured to be captured again in the cool-down.
const worse = 0.2

// limiter decides whether an alert is captured. It is not safe for concurrent use.
type limiter struct {
	coolDown time.Duration
	perHour  int

	rules map[string]mark // by name; those whose cool-down is over are forgotten
	begun []time.Time     // captures of alerts in the last hour
}

// mark is the last capture that answered for a rule, and how bad things were.
type mark struct {
	at       time.Time
	id       string
	severity string
	value    float64 // the worst, turned so that greater is worse
}

func newLimiter(coolDown time.Duration, perHour int) *limiter {
	return &limiter{coolDown: coolDown, perHour: perHour, rules: map[string]mark{}}
}

// refuse says why a request is not to be captured now, and which capture answers it instead; "" if it is to be.
func (l *limiter) refuse(r *Request, now time.Time) (why, id string) {
	l.forget(now)
	if m, cooling := l.rules[r.Alert]; cooling && !m.exceeded(r) {
		return fmt.Sprintf("%s was captured %s ago, and once in %s is enough unless it gets clearly worse",
			r.Alert, now.Sub(m.at).Round(time.Second), l.coolDown), m.id
	}
	if len(l.begun) >= l.perHour {
		id := ""
		var newest time.Time
		for _, m := range l.rules {
			if m.at.After(newest) {
				newest, id = m.at, m.id
			}
		}
		return fmt.Sprintf("%d captures for alerts were made in the last hour, which is the most", len(l.begun)), id
	}
	return "", ""
}

// took notes that the capture id answers r. fresh says that it was made for it.
func (l *limiter) took(r *Request, id string, now time.Time, fresh bool) {
	next := mark{now, id, r.Severity, r.level()}
	if m, ok := l.rules[r.Alert]; ok && now.Sub(m.at) < l.coolDown {
		next.value = math.Max(next.value, m.value)
		if m.severity == "crit" {
			next.severity = "crit"
		}
	}
	l.rules[r.Alert] = next
	if fresh {
		l.begun = append(l.begun, now)
	}
}

// recall takes in what an earlier process captured. Moments are put on the clock that a change of the time of day does not move.
func (l *limiter) recall(m *Manifest, now time.Time) {
	recently := func(at time.Time) (time.Time, bool) {
		age := now.Sub(at)
		return now.Add(-age), age >= 0 && age < time.Hour
	}
	if at, ok := recently(m.At); ok && m.Reason == Alert {
		l.took(&Request{Alert: m.Alert, Severity: m.Severity, Value: m.Value, Threshold: m.Threshold}, m.ID, at, true)
	}
	for _, a := range m.Attached {
		if at, ok := recently(a.At); ok && a.Reason == Alert && a.Why == whyJoined {
			l.took(&Request{Alert: a.Alert, Severity: a.Severity, Value: a.Value, Threshold: a.Threshold}, m.ID, at, false)
		}
	}
}

func (l *limiter) forget(now time.Time) {
	for name, m := range l.rules {
		if now.Sub(m.at) >= l.coolDown {
			delete(l.rules, name)
		}
	}
	for len(l.begun) > 0 && now.Sub(l.begun[0]) >= time.Hour {
		l.begun = l.begun[1:]
	}
}

// exceeded says whether r is a higher high-water mark: crit after warn, or a value that is clearly further out.
func (m mark) exceeded(r *Request) bool {
	if r.Severity == "crit" && m.severity != "crit" {
		return true
	}
	return r.level() > m.value+worse*math.Abs(m.value)
}

// level is how bad the value is: the value itself for a bound from above, its negative for one from below.
func (r *Request) level() float64 {
	if r.Value < r.Threshold {
		return -r.Value
	}
	return r.Value
}
