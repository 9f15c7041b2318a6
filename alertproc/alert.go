package alertproc

import (
	"cmp"
	"time"
)

// State is where an alert instance stands, with Prometheus' meaning of the words.
type State int

// The states in the order an alert goes through them. Their numbers are the values of the otelnet.alert.state metric.
const (
	StateInactive State = iota // the condition does not hold
	StatePending               // it holds, but not yet for the rule's `for`
	StateFiring                // it has held long enough, or is kept firing
)

// String returns the lower-case word Prometheus' API uses: "inactive", "pending" or "firing".
func (s State) String() string {
	switch s {
	case StatePending:
		return "pending"
	case StateFiring:
		return "firing"
	default:
		return "inactive"
	}
}

// Alert is one instance of a rule: one label set. It is a copy; changing it changes nothing in the Processor.
type Alert struct {
	Group       string            // the rule's group
	Rule        string            // the rule's name, also the label "alertname"
	Labels      map[string]string // series labels, then the rule's, then alertname and severity
	Annotations map[string]string // the rule's annotations, templates expanded
	State       State
	Severity    string  // "warn" or "crit": the level whose threshold is crossed; also the label "severity"
	Value       float64 // the value last computed, in the metric's unit; NaN is never stored
	Threshold   float64 // the bound that Value was compared with
	// Low and High tell how exact the Value of a quantile is: the true one lies between them, the bounds of the
	// histogram's bucket. High is +Inf in the last one. Both are 0 for other values, which are exact.
	Low, High  float64   `json:"-"`
	ActiveAt   time.Time // when the condition began to hold
	FiredAt    time.Time // when it went to firing; zero while pending
	ResolvedAt time.Time // when it resolved; zero while active
	Capture    []string  // the evidence the rule asks for: trace, cpu, heap, goroutine, mutex, goroutineleak; shared, do not change
	Evidence   Evidence  // what was recorded when it last began to fire or got worse; zero for nothing
}

// Evidence says where the evidence of an alert is. It is made while the alert is told, so it may not be whole yet.
type Evidence struct {
	ID  string `json:"id,omitempty"`  // of the capture; "" if there is none
	URL string `json:"url,omitempty"` // where a person can look at it; "" if there is no such place
}

// String returns the URL, or the ID where there is none.
func (e Evidence) String() string { return cmp.Or(e.URL, e.ID) }

// Transition is one change of an alert's state.
type Transition struct {
	At       time.Time // the evaluation's time, not the wall clock
	From, To State
	// FromSeverity is the severity before, if both From and To are firing: the alert went from warn to crit or back.
	FromSeverity string
	Reason       string // why, for a person: "value 0.31 above 0.1 for 10s", "recovered: value 0.02"
	Alert        Alert  // as it is after the change
}

// RuleStatus is a rule as it stands after the last evaluation.
type RuleStatus struct {
	Name           string
	Query          string // the rule in one line: `quantile(0.99, http.server.request.duration, 1m) > 0.25`
	For            time.Duration
	KeepFiringFor  time.Duration
	Labels         map[string]string
	Annotations    map[string]string
	State          State         // the highest of its alerts
	Health         string        // "ok", "err", or "unknown" before the first evaluation and while the metric has not been seen
	LastError      string        // also while the health is "unknown", if the metric is
	Unknown        []string      // metrics of the rule that no snapshot has held yet; they may still come
	LastEvaluation time.Time     // zero before the first
	EvaluationTime time.Duration // how long that took
	Alerts         []Alert       // pending and firing ones
	Skipped        int           // label sets not evaluated, for lack of room; counted up to the limit
}

// GroupStatus is a group of rules that is evaluated together.
type GroupStatus struct {
	Name     string
	File     string // where it was loaded from; "" for rules given in Go
	Interval time.Duration
	Rules    []RuleStatus
}
