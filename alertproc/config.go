package alertproc

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The values that stand in for zero ones.
const (
	DefaultInterval     = 5 * time.Second  // a group's interval
	DefaultResend       = time.Minute      // how often a firing alert is sent again to an Alertmanager
	DefaultTimeout      = 10 * time.Second // one delivery attempt of a notifier
	DefaultMaxInstances = 1000             // label sets of one rule
)

// Config says which rules are evaluated and who is told. Load and LoadFile make one from YAML; it can as well be
// written in Go. New and Reload check it and keep a copy of what they need; do not change the maps and slices inside
// it afterwards.
type Config struct {
	Groups []Group  // evaluated in this order; none is allowed
	Notify []Notify // told of alerts; none is allowed

	// What follows does not come from YAML. New reads it; Reload keeps what New was given.

	// MeterProvider makes otelnet.alert.state and the otelnet.agent.* counters. Nil means otel.GetMeterProvider().
	MeterProvider metric.MeterProvider
	// Logger is where the log notifier writes. Nil means slog.Default(). Nothing else in this package logs.
	Logger *slog.Logger
	// HTTPClient carries the webhook and Alertmanager notifiers. Nil means a client of the package's own on
	// http.DefaultTransport. Its Timeout is respected beside the notifier's own.
	HTTPClient *http.Client
	// LoggerProvider, if given, gets a log record for each change of an alert: event name otelnet.alert, severity ERROR for
	// crit, WARN for warn and INFO else. Nil means none.
	LoggerProvider log.LoggerProvider
	// ExternalURL is where a person can look at this process, such as its admin page; it is put into notifications.
	// Empty leaves it out.
	ExternalURL string
	// MaxInstances is the greatest number of label sets kept for one rule. Further ones are counted in
	// RuleStatus.Skipped and not evaluated. 0 means DefaultMaxInstances.
	MaxInstances int
	// StateFile is where alerts are kept over a restart: pending, firing, kept and lately resolved ones. It is written
	// after each change and by Shutdown, and read by New. Its directory must exist. Each process needs its own. Empty
	// means that alerts begin anew with the process.
	StateFile string
	// Evidence, if given, is called when an alert of a rule with Capture begins to fire, or goes from warn to crit, before
	// anybody is told. It has the evidence recorded and returns at once with where it will be: from then on that is in
	// Alert.Evidence, and in the annotation "capture" unless the rule has one of that name. The zero Evidence means that
	// there is none. It runs inside Evaluate, with no lock held that the Processor's other methods take, and must not
	// call Evaluate or Reload. A panic counts as none.
	Evidence func(Transition) Evidence
	// Known names metrics that exist though nothing may have been recorded yet. A rule on another one that is in no
	// snapshot is warned of through otel.Handle: at once if the name looks misspelt, else after a minute.
	Known []string
	// Bounds holds the bucket bounds that instruments ask for themselves, by instrument name. Views reads it.
	Bounds map[string][]float64

	positions *positions // lines of the file it was loaded from; nil when written in Go
}

// Group is a list of rules that are evaluated together.
type Group struct {
	Name  string
	File  string        // where it was loaded from; "" for rules given in Go
	Every time.Duration // between evaluations; 0 means DefaultInterval
	Rules []Rule
}

// Rule is one condition to watch. Exactly one of Metric, Ratio and Func says what is measured.
type Rule struct {
	Alert string // its name, unique in the Config; becomes the label "alertname"

	Metric string            // instrument name
	Where  map[string]string // which series: attribute to pattern, see Selector; nil means all
	By     []string          // attributes that tell alert instances apart; nil means one instance over all series
	Value  Value             // how one number is made from the series; the zero Value is the last value

	Ratio *Ratio // bad/total over a window, in place of Metric

	// Func computes the values itself, in place of Metric. It runs inside Evaluate, so it must be quick, and must not
	// call Evaluate or Reload. Every returned sample is an alert instance. An error, or a panic, pauses the rule.
	// It must not keep or change the snapshot.
	Func func(ctx context.Context, rm *metricdata.ResourceMetrics) ([]Sample, error)

	// Burn makes the ratio an objective: the alert is told by how fast the error budget goes, in place of Warn and Crit.
	Burn *Burn

	// Absent, in place of thresholds and NoData, is how long no series of Metric may be there before the alert fires,
	// as crit. 0 means that this is no such rule.
	Absent time.Duration

	// MaxInstances is the greatest number of label sets kept for this rule, 0 means Config.MaxInstances.
	MaxInstances int

	// MinCount is the least number of observations in the window (of a counter: the increase; of a gauge: the points
	// collected) for the value to be judged at all. With fewer the condition does not hold. 0 means any.
	MinCount float64

	Warn, Crit *Threshold // at least one, without Burn and Absent; with both, Crit lies beyond Warn

	Match         Match         // how many of the last evaluations it must hold at, in place of For; the zero Match means the last one
	For           time.Duration // how long the condition holds before the alert fires; 0 means at once
	KeepFiringFor time.Duration // how long a firing alert goes on after the condition ended; 0 means not at all

	NoData NoData        // what happens to an instance whose series is gone; "" means NoDataKeep
	After  time.Duration // how long it must be gone before NoDataResolve or NoDataFire act

	Labels      map[string]string // added to the alert; values may be templates
	Annotations map[string]string // texts for people; templates

	// Capture lists the evidence to record when the alert fires: trace, cpu, heap, goroutine, mutex, goroutineleak. It is
	// handed to Config.Evidence in Alert.Capture; this package records nothing itself.
	Capture []string
}

// Match asks for a condition that holds at N of the last Of evaluations, for values that cross a bound and come back
// too often to stay beyond it for long. The alert is pending from the first of them, fires at the N-th, and ends when
// fewer than N of the last are left. Of is at most 64.
type Match struct{ N, Of int }

// Sample is one value computed by a Rule's Func.
type Sample struct {
	Labels map[string]string // tells instances apart; nil is a label set too
	Value  float64           // NaN means: there is no data
}

// Selector picks series of one instrument.
type Selector struct {
	Metric string // instrument name
	// Where maps an attribute to what its value must be: a text for equality, "a|b" for one of several, "?*" for any
	// that is not empty, "" for absent or empty. Numbers and booleans are compared as text.
	Where map[string]string
}

// Ratio is the share of Bad in Total: the increase of both over a window for counters and histograms (of which the
// observations are counted), the present sums for gauges and up-down counters.
type Ratio struct {
	Bad, Total Selector
	Over       time.Duration // the window
	MinTotal   float64       // the least total in the window to be judged; 0 means any above 0
}

// Burn is an objective with its error budget, told by the four pairs of windows of the Site Reliability Workbook: crit
// when 2 % of the period's budget went within 1 h or 5 % within 6 h, warn when 10 % went within 1 day or 3 days, as long
// as it still goes that fast in a twelfth of that time. The rule's Ratio has no Over; its MinTotal is for each
// window. An alert's Value is the burn rate, 1 being what spends the budget in exactly the period.
type Burn struct {
	Objective float64       // in percent of the total, such as 99.9
	Period    time.Duration // what the budget is for; 0 means DefaultPeriod
}

// Aggregation is how a window of a series becomes one number.
type Aggregation string

// The aggregations.
const (
	Last          Aggregation = "last"           // the present value; gauges and up-down counters
	Rate          Aggregation = "rate"           // per second; counters, and observations of histograms
	Increase      Aggregation = "increase"       // the same, not divided by time
	Mean          Aggregation = "mean"           // of gauges over time; of a histogram's observations
	Min           Aggregation = "min"            // of the collected values; gauges and up-down counters
	Max           Aggregation = "max"            // likewise
	Quantile      Aggregation = "quantile"       // of a histogram's observations
	FractionAbove Aggregation = "fraction_above" // share of a histogram's observations above Arg
)

// Value says how a series becomes one number.
type Value struct {
	Aggregation Aggregation   // "" means Last
	Arg         float64       // Quantile: q in 0..1; FractionAbove: the bound, in the metric's unit; unused otherwise
	Over        time.Duration // the window; unused by Last
}

// Threshold is a bound in the metric's unit. Exactly one of Above and Below is set.
type Threshold struct {
	Above *float64 // crossed by values strictly above
	Below *float64 // crossed by values strictly below
	// Clear is the hysteresis: a firing alert goes on until the value is back at Clear or beyond. It lies on the good
	// side of the bound. Nil means the bound itself.
	Clear *float64
}

// Above returns a Threshold that is crossed by values strictly above v.
func Above(v float64) *Threshold { return &Threshold{Above: &v} }

// Below returns a Threshold that is crossed by values strictly below v.
func Below(v float64) *Threshold { return &Threshold{Below: &v} }

// WithClear returns a copy of t with the hysteresis bound v.
func (t Threshold) WithClear(v float64) *Threshold {
	t.Clear = &v
	return &t
}

// NoData says what to do with an alert instance whose series is no longer collected, or is NaN.
type NoData string

// The choices. Whatever is chosen, nothing happens to an instance that was never seen, except with NoDataFire.
const (
	NoDataKeep    NoData = "keep"    // its state stays, its clocks stand still
	NoDataResolve NoData = "resolve" // as if the condition ended; what Prometheus does
	NoDataFire    NoData = "fire"    // it fires, also when the metric was never seen
)

// Notify is one place to tell. Exactly one field beside Delay is set.
type Notify struct {
	Log          *LogNotify
	Webhook      *WebhookNotify
	Alertmanager *AlertmanagerNotify
	Notifier     Notifier // Go code

	// Delay holds back what is told here. Nil tells everything at once. A Notifier with one hears nothing of pending.
	Delay *Delay
}

// LogNotify writes one record for each alert that fires, changes its severity or resolves, to Config.Logger.
type LogNotify struct{}

// WebhookNotify posts JSON as Alertmanager's webhook receiver does (version "4") when an alert fires, changes its
// severity or resolves.
type WebhookNotify struct {
	URL     string            // http or https; credentials in it are used and never shown
	Timeout time.Duration     // of one attempt; 0 means DefaultTimeout
	Headers map[string]string // added to each request, such as Authorization
	// Secret signs the body: the header X-Otelnet-Signature is "sha256=" and the HMAC-SHA256 of the body with it, in
	// hexadecimal. Empty means no signature.
	Secret string
}

// AlertmanagerNotify posts alerts to an Alertmanager's API v2 and repeats those that are firing.
type AlertmanagerNotify struct {
	URL      string        // its base, to which api/v2/alerts is added; credentials in it are used and never shown
	Timeout  time.Duration // of one attempt; 0 means DefaultTimeout
	Resend   time.Duration // between repetitions; 0 means DefaultResend
	KeepDots bool          // send http.route as it is; false sends http_route, since Alertmanager 0.25 refuses dots
}

// Notifier is told of alerts by code of the user's.
type Notifier interface {
	// Notify is called with the changes of one evaluation, also to and from pending, in their order. Calls come from
	// one goroutine that belongs to this notifier, so it may be slow; ctx ends after DefaultTimeout. After an error
	// it is called again with the same changes a few times. A panic counts as an error.
	Notify(ctx context.Context, changes []Transition) error
}

// NotifierFunc is a function used as Notifier.
type NotifierFunc func(ctx context.Context, changes []Transition) error

// Notify calls f.
func (f NotifierFunc) Notify(ctx context.Context, changes []Transition) error { return f(ctx, changes) }
