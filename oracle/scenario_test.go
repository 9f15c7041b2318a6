package oracle

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// scenario is what both sides go through.
type scenario struct {
	rule  spec
	every time.Duration
	// resend is after how long a firing alert is sent again.
	resend time.Duration
	// limit is the most instances of a rule; 0 means alertproc's default, and none for Prometheus.
	limit int
	steps []step
	fired bool // an alert fired in it; known after it was compared
}

// step is one collection, and an evaluation if it lies on the group's interval.
type step struct {
	at     time.Duration
	failed bool // it could not be collected, and Prometheus' query fails
	reload *spec
	// restart ends the process and begins a new one, with its state file, before this step.
	restart bool
	points  map[string]float64  // by attributes, such as "k=a side=bad"
	buckets map[string][]uint64 // likewise, of a histogram since it was created
}

// bounds are those of every histogram.
var bounds = []float64{0.1, 0.25, 0.5, 1, 2.5}

// evaluated tells whether the groups are due at the step.
func (s *scenario) evaluated(st *step) bool { return st.at%s.every == 0 }

// String is the scenario as a person can follow it.
func (s *scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nevery %s, resend %s\n", s.rule, s.every, s.resend)
	for i := range s.steps {
		st := &s.steps[i]
		fmt.Fprintf(&b, "%3d %6s", i, st.at)
		if st.reload != nil {
			fmt.Fprintf(&b, " reload(%s)", *st.reload)
		}
		if st.restart {
			b.WriteString(" restart")
		}
		if st.failed {
			b.WriteString(" failed")
		}
		for _, k := range slices.Sorted(maps.Keys(st.points)) {
			fmt.Fprintf(&b, " %s:%v", k, st.points[k])
		}
		for _, k := range slices.Sorted(maps.Keys(st.buckets)) {
			fmt.Fprintf(&b, " %s:%v", k, st.buckets[k])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// outcome is what one side says after one evaluation.
type outcome struct {
	alerts map[string]alert // pending and firing ones, by labels
	sent   []string         // sorted
	failed bool             // the rule has an error
}

type alert struct {
	state     string
	activeAt  time.Time
	firedAt   time.Time
	valueBits uint64
}

func (a alert) String() string {
	text := fmt.Sprintf("%s value %v active %s", a.state, math.Float64frombits(a.valueBits), since(a.activeAt))
	if !a.firedAt.IsZero() {
		text += " fired " + since(a.firedAt)
	}
	return text
}

func since(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Sub(start).String()
}

// message is the text by which what is sent is compared.
func message(labels, annotations map[string]string, startsAt, endsAt time.Time) string {
	return fmt.Sprintf("%v %v from %s to %s", plain(labels), plain(annotations), since(startsAt), since(endsAt))
}

// plain cuts the words of a template's error, which each side says its own way.
func plain(texts map[string]string) map[string]string {
	m := map[string]string{}
	for k, v := range texts {
		if strings.HasPrefix(v, "<error expanding template: ") {
			v = "<error expanding template>"
		}
		m[k] = v
	}
	return m
}

// attributes splits "k=a side=bad".
func attributes(text string) map[string]string {
	m := map[string]string{}
	for _, field := range strings.Fields(text) {
		k, v, _ := strings.Cut(field, "=")
		m[k] = v
	}
	return m
}
