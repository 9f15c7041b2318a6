package capture

import (
	"strings"
	"testing"
	"time"
)

// The limits are held against a list of requests, as they would come in a bad hour.
func TestLimiter(t *testing.T) {
	begin := time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC)
	l := newLimiter(10*time.Minute, 4)
	for i, tt := range []struct {
		minute    float64
		alert     string
		severity  string
		value     float64
		threshold float64
		refused   string // a part of why; "" if it is captured
		answers   string // the alert whose capture answers instead
	}{
		{0, "A", "warn", 2, 1, "", ""},
		{1, "A", "warn", 2, 1, "A was captured 1m0s ago, and once in 10m0s", "A"},
		{2, "A", "warn", 2.3, 1, "once in 10m0s", "A"},               // a little worse
		{3, "A", "warn", 2.5, 1, "", ""},                             // clearly worse
		{4, "A", "crit", 2.5, 2.4, "", ""},                           // crit after warn
		{5, "A", "crit", 2.6, 2.4, "once in 10m0s", "A"},             // no worse than that
		{6, "A", "warn", 2.9, 1, "once in 10m0s", "A"},               // warn after crit
		{14.1, "B", "warn", 0.5, 1, "", ""},                          // the fourth; its bound is from below
		{14.2, "B", "warn", 0.45, 1, "once in 10m0s", "B"},           // a little lower
		{14.3, "B", "warn", 0.1, 1, "4 captures for alerts", "B"},    // much lower, but enough is enough
		{20, "C", "crit", 9, 1, "4 captures for alerts", "B"},        // the newest answers
		{59.9, "C", "crit", 9, 1, "4 captures for alerts", ""},       // nothing is new enough to answer
		{60, "C", "crit", 9, 1, "", ""},                              // the first is an hour old
		{60.1, "D", "crit", 9, 1, "4 captures for alerts were", "C"}, // and only that one
		{69.99, "C", "crit", 9, 1, "once in 10m0s", "C"},             // still cooling
		{70, "C", "crit", 9, 1, "", ""},                              // not any more; those of minutes 3 and 4 are past too
		{71, "D", "warn", 0, 0, "", ""},                              // zero is a value
		{72, "D", "warn", 0, 0, "once in 10m0s is enough", "D"},      // likewise
		{73, "D", "warn", 1, 0, "4 captures for alerts were", "D"},   // anything is worse than zero, but it is full again
		{74.2, "D", "warn", 1, 0, "", ""},                            // B's is an hour old
		{133.5, "E", "warn", 1, 0, "", ""},                           // an hour later all is forgotten
		{133.6, "A", "warn", 2, 1, "", ""},                           // A's high-water mark too
	} {
		now := begin.Add(time.Duration(tt.minute * float64(time.Minute)))
		r := &Request{Alert: tt.alert, Severity: tt.severity, Value: tt.value, Threshold: tt.threshold}
		why, id := l.refuse(r, now)
		if (why == "") != (tt.refused == "") || !strings.Contains(why, tt.refused) || id != tt.answers {
			t.Errorf("%d, minute %v, %s %s %v: got %q, answered by %q; want %q by %q",
				i, tt.minute, tt.alert, tt.severity, tt.value, why, id, tt.refused, tt.answers)
		}
		if why == "" {
			l.took(r, tt.alert, now, true)
		}
	}
	if len(l.rules) > 5 || len(l.begun) > 4 {
		t.Errorf("it remembers %d rules and %d captures; want no more than it needs", len(l.rules), len(l.begun))
	}
}

// A new process goes on with the limits of the one before: for the alert that a capture was made for, and for one that was attached to it
// while it was made. What was bad before the cool-down is no mark.
func TestLimitsGoOnOverARestart(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d).Round(0) }
	l := newLimiter(10*time.Minute, 4)
	for _, m := range []Manifest{
		{ID: "old", At: ago(40 * time.Minute), Reason: Alert, Alert: "A", Severity: "crit", Value: 100, Threshold: 1},
		{ID: "new", At: ago(5 * time.Minute), Reason: Alert, Alert: "A", Severity: "warn", Value: 2, Threshold: 1, Attached: []Attachment{
			{At: ago(5 * time.Minute), Reason: Alert, Alert: "B", Severity: "warn", Value: 2, Threshold: 1, Why: whyJoined},
			{At: ago(4 * time.Minute), Reason: Alert, Alert: "C", Severity: "warn", Value: 2, Threshold: 1, Why: "A was captured"},
			{At: ago(4 * time.Minute), Reason: Manual, Why: whyJoined},
		}},
		{ID: "future", At: ago(-time.Hour), Reason: Alert, Alert: "D", Severity: "warn", Value: 2, Threshold: 1},
	} {
		l.recall(&m, now)
	}
	l.forget(now)
	for _, tt := range []struct {
		alert string
		value float64
		want  string // the capture that answers instead, "" for one of its own
	}{
		{"A", 2, "new"}, {"A", 3, ""}, {"B", 2, "new"}, {"B", 3, ""}, {"C", 2, ""}, {"D", 2, ""},
	} {
		_, id := l.refuse(&Request{Alert: tt.alert, Severity: "warn", Value: tt.value, Threshold: 1}, now)
		if id != tt.want {
			t.Errorf("%s at %v: answered by %q, want %q", tt.alert, tt.value, id, tt.want)
		}
	}
	if len(l.begun) != 2 {
		t.Errorf("%d captures count for the hour, want 2", len(l.begun))
	}
}

func TestPlainName(t *testing.T) {
	for in, want := range map[string]string{
		"HighLatency": "HighLatency", "../../etc": "______etc", "ü x": "__x", "": "",
		strings.Repeat("a", 60): strings.Repeat("a", 40),
	} {
		if got := plainName(in); got != want {
			t.Errorf("plainName(%q): got %q, want %q", in, got, want)
		}
		r := &Request{Alert: in}
		if id := newID(r, time.Now()); !idForm.MatchString(id) {
			t.Errorf("%q is not recognised as a capture's id", id)
		}
	}
}

// The names of captures that begin within one second are told apart by chance, which must not give one name twice.
func TestEachCaptureHasItsOwnName(t *testing.T) {
	c := start(t, quick(t))
	now := time.Now()
	seen := map[string]bool{}
	c.mu.Lock()
	for range 2000 { // of 65,536 names: some thirty pairs, if nobody looked
		id := c.freshID(&Request{}, now)
		if seen[id] {
			t.Errorf("%s is given twice", id)
		}
		seen[id] = true
		c.list = append(c.list, &Manifest{ID: id, State: StateDone, At: now})
	}
	c.list = nil
	c.mu.Unlock()
}
