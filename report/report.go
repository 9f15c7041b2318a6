package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Number is a float64 that is NaN where there is no such number. JSON has null for it.
type Number float64

// Known reports whether n is a number.
func (n Number) Known() bool { return !math.IsNaN(float64(n)) && !math.IsInf(float64(n), 0) }

// MarshalJSON writes null for what is not known.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Known() {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		*n = unknown
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

var unknown = Number(math.NaN())

// Report is what [Build] found. Its JSON form is the answer of /report?format=json; times are RFC 3339, durations seconds.
type Report struct {
	Service   string    `json:"service"`             // "" if the source does not know
	Version   string    `json:"version,omitempty"`   // of the service
	Instances []string  `json:"instances,omitempty"` // of the service, in the range
	Source    string    `json:"source"`              // what was asked, for a person
	Generated time.Time `json:"generated"`

	From     time.Time `json:"from"`     // the range is (From, Until]
	Until    time.Time `json:"until"`    //
	Point    Seconds   `json:"point"`    // length of a point
	Window   Seconds   `json:"window"`   // length of a window, a whole part of a point
	Interval Seconds   `json:"interval"` // the usual distance of samples

	Coverage Coverage `json:"coverage"` // of the range
	Previous Coverage `json:"previous"` // of the equal range before; changes are given if it is at least half covered

	Level    Level      `json:"level"`
	Verdict  string     `json:"verdict"`           // one sentence
	Missing  []string   `json:"missing"`           // what the report lacks, a sentence each; empty if it is whole
	Rows     []Row      `json:"rows"`              // those of Summary first
	Quiet    []string   `json:"quiet,omitempty"`   // counters and histograms to which nothing was added in either range
	Alerts   []Alert    `json:"alerts"`            // that were pending or firing in the range, oldest first
	Rules    bool       `json:"rules"`             // whether the service has any rule, so that no alert means that all was well
	Worst    []Minute   `json:"worst"`             // the worst stretches, the worst first
	WorstLen Seconds    `json:"worstLength"`       // how long each of Worst is: a minute, a point in ranges of more than a day
	Routes   []Route    `json:"routes,omitempty"`  // of HTTP requests, those with the most trouble first
	Trends   []Forecast `json:"forecasts"`         // where the numbers support one
	Partial  bool       `json:"partial,omitempty"` // less than nine tenths of the range is covered, or the source could not give all
}

// Level is what the verdict comes to.
type Level string

// The levels.
const (
	Good   Level = "good"   // nothing of what follows
	Notice Level = "notice" // something changed or grows, or the report is partial
	Bad    Level = "bad"    // an alert fired
)

// Seconds is a duration whose JSON is a number of seconds.
type Seconds float64

// Duration returns s as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Coverage tells how much of a range there are samples of.
type Coverage struct {
	Share   Number  `json:"share"`          // 0 to 1
	Covered Seconds `json:"covered"`        // Share of the range in seconds
	Gaps    []Gap   `json:"gaps,omitempty"` // stretches of the range without samples, oldest first
}

// Gap is a stretch without samples, or the moment between two processes.
type Gap struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// Stat says what of a metric a [Row] is about.
type Stat string

// The stats.
const (
	Value Stat = "value" // of a gauge: its series added up
	Rate  Stat = "rate"  // of a counter or a histogram's count: increase in a second
	Mean  Stat = "mean"  // of a histogram: sum divided by count
	P50   Stat = "p50"
	P95   Stat = "p95"
	P99   Stat = "p99"
	Share Stat = "share" // of a histogram of requests: failed ones by all
)

// Row is one line of the table.
type Row struct {
	Metric  string `json:"metric"`         // the metric's name, as OpenTelemetry has it where that is known
	Part    string `json:"part,omitempty"` // which of its series, such as "receive"; "" for all
	Stat    Stat   `json:"stat"`
	Label   string `json:"label"`             // the row's name for a person
	Unit    string `json:"unit"`              // UCUM, of all numbers in the row; of slopes, in an hour
	Summary bool   `json:"summary,omitempty"` // one of the rows that stand first

	// Avg is over the whole range: of a gauge weighted by time, of a rate the increase divided by the time, of a share or a mean the
	// quotient of both increases, of a percentile that of all buckets added up. Min and Max are the smallest and greatest sample
	// of a gauge, and window of everything else.
	Avg Number `json:"avg"`
	Min Number `json:"min"`
	Max Number `json:"max"`
	// The same of the range before. Not known if less than half of that is covered.
	PrevAvg Number `json:"previousAvg"`
	PrevMin Number `json:"previousMin"`
	PrevMax Number `json:"previousMax"`
	// The change against the range before, as a share of it: 0.1 is a tenth more. Not known without the number before, or when
	// that was 0.
	ChangeAvg Number `json:"changeAvg"`
	ChangeMin Number `json:"changeMin"`
	ChangeMax Number `json:"changeMax"`
	// Slopes by least squares over the points' averages, minima and maxima, in units an hour.
	SlopeAvg Number `json:"slopeAvg"`
	SlopeMin Number `json:"slopeMin"`
	SlopeMax Number `json:"slopeMax"`
	// Step is the greatest change from one point's average to the next one's, with its sign, and StepAt where they meet.
	Step   Number    `json:"step"`
	StepAt time.Time `json:"stepAt,omitzero"`

	// Points are the columns of the sparkline, one number for each point, not known where less than half of it is covered.
	Points Points `json:"points"`
}

// Points are columns of the same length.
type Points struct {
	Avg []Number `json:"avg"`
	Min []Number `json:"min"`
	Max []Number `json:"max"`
}

// Alert is a stretch of an alert rule's not being inactive, as otelnet.alert.state tells.
type Alert struct {
	Name     string            `json:"name"`
	Severity string            `json:"severity,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`   // the rule's own
	Since    time.Time         `json:"since"`              // when it went pending, or the range's start
	Fired    time.Time         `json:"fired,omitzero"`     // zero if it never did
	Ended    time.Time         `json:"ended,omitzero"`     // zero if it lasts to the end of the range
	Firing   Seconds           `json:"firing"`             // how long it fired within the range
	Why      string            `json:"why,omitempty"`      // why it fired, if the source knows
	Captures []Link            `json:"captures,omitempty"` // evidence taken while it fired
}

// Link is a text that leads somewhere. URL is a path on the agent's page, or an address with http or https.
type Link struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// Minute is one of the worst stretches: those with the most requests that failed or took longer than the range's p99.
type Minute struct {
	From       time.Time `json:"from"`
	Requests   Number    `json:"requests"`
	Failed     Number    `json:"failed"`
	Slow       Number    `json:"slow"` // longer than the p99 of the range, failed or not
	P50        Number    `json:"p50"`  // s
	P99        Number    `json:"p99"`  // s
	Alerts     []string  `json:"alerts,omitempty"`
	FailedPart Number    `json:"failedShare"`
}

// Route is what a route of the service answered in the range.
type Route struct {
	Route          string `json:"route"`
	Method         string `json:"method"`
	Requests       Number `json:"requests"` // a second
	Failed         Number `json:"failed"`
	FailedPart     Number `json:"failedShare"`
	PrevFailedPart Number `json:"previousFailedShare"`
	Slow           Number `json:"slow"` // longer than the p99 of all routes in the range
	P50            Number `json:"p50"`  // s
	P99            Number `json:"p99"`  // s
	PrevP99        Number `json:"previousP99"`
}

// Forecast is a straight line through a gauge's points that fits well enough to be drawn on. docs/report.md has the conditions.
type Forecast struct {
	Metric string `json:"metric"`
	Label  string `json:"label"`
	Unit   string `json:"unit"`
	Slope  Number `json:"slope"` // units in an hour
	Fit    Number `json:"fit"`   // R², 0 to 1
	// At is one range after Until. There the metric is expected between Low and High, with a probability of 95 %.
	At   time.Time `json:"at"`
	Low  Number    `json:"low"`
	High Number    `json:"high"`
	// Limit is what the metric grows towards, as LimitMetric says; the rest is not known without. It is reached between Soonest
	// and Latest, counted from Until.
	LimitMetric string  `json:"limitMetric,omitempty"`
	Limit       Number  `json:"limit"`
	Soonest     Seconds `json:"soonest,omitempty"`
	Latest      Seconds `json:"latest,omitempty"`
	Text        string  `json:"text"` // all of it in a sentence
}

// Check tells whether r, read from JSON, has what the formats rely on.
func (r *Report) Check() error {
	length := r.Until.Sub(r.From)
	if length <= 0 || r.Point <= 0 {
		return errors.New("not a report: it has no range")
	}
	n := int(length.Seconds()/float64(r.Point) + 0.5)
	for i := range r.Rows {
		p := &r.Rows[i].Points
		if len(p.Avg) != n || len(p.Min) != n || len(p.Max) != n {
			return fmt.Errorf("not a report: row %d has %d, %d and %d points, want %d", i+1, len(p.Avg), len(p.Min), len(p.Max), n)
		}
	}
	return nil
}
