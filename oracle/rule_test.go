package oracle

import (
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"

	"github.com/otelnet/agent/alertproc"
)

// spec is one rule for both sides.
type spec struct {
	kind        metricKind
	aggregation alertproc.Aggregation // "ratio" for a ratio of the series with side=bad to all
	arg         float64
	over        time.Duration
	minCount    float64
	by          []string
	below       bool
	bound       float64
	clear       *float64 // only with one level
	crit        *float64
	hold, keep  time.Duration
	labels      map[string]string
	annotations map[string]string
}

type metricKind int

const (
	gauge metricKind = iota
	upDown
	counter
	deltaCounter
	histogramKind
)

const ratio alertproc.Aggregation = "ratio"

func (s spec) String() string {
	text := fmt.Sprintf("%s for %s keep %s", s.promQL("warn", s.bound), s.hold, s.keep)
	if len(s.labels)+len(s.annotations) > 0 {
		text += fmt.Sprintf(" labels %v annotations %v", s.labels, s.annotations)
	}
	return text
}

// otelnet is the rule as alertproc reads it.
func (s spec) otelnet() alertproc.Rule {
	threshold := alertproc.Above
	if s.below {
		threshold = alertproc.Below
	}
	r := alertproc.Rule{
		Alert: "A", Metric: "m", By: s.by, Warn: threshold(s.bound), For: s.hold, KeepFiringFor: s.keep,
		NoData: alertproc.NoDataResolve, Labels: s.labels, Annotations: s.annotations,
	}
	if s.clear != nil {
		r.Warn = r.Warn.WithClear(*s.clear)
	}
	if s.crit != nil {
		r.Crit = threshold(*s.crit)
	}
	if s.aggregation == ratio {
		r.Metric = ""
		r.Ratio = &alertproc.Ratio{
			Bad: alertproc.Selector{Metric: "m", Where: map[string]string{"side": "bad"}}, Total: alertproc.Selector{Metric: "m"},
			Over: s.over, MinTotal: s.minCount,
		}
		return r
	}
	r.Value = alertproc.Value{Aggregation: s.aggregation, Arg: s.arg, Over: s.over}
	r.MinCount = s.minCount
	return r
}

// promQL is the same condition as a user of Prometheus would write it. "anchored" makes increase count from the sample
// at the beginning of the window and not extrapolate. The part after "and" asks that the series is still there, which
// functions over a range do not ask.
func (s spec) promQL(severity string, bound float64) string {
	by, on := "", "on ()"
	if len(s.by) > 0 {
		by = "by (" + strings.Join(s.by, ", ") + ")"
		on = "on (" + strings.Join(s.by, ", ") + ")"
	}
	compare, nearest := ">", "max"
	if s.below {
		compare, nearest = "<", "min"
	}
	value, also := "", ""
	seconds := strconv.FormatFloat(s.over.Seconds(), 'g', -1, 64)
	window := fmt.Sprintf("[%ss]", seconds)
	increase := func(selector string) string {
		return fmt.Sprintf("sum %s (increase(%s%s anchored))", by, selector, window)
	}
	switch s.aggregation {
	case alertproc.Last:
		value = fmt.Sprintf("%s %s (m)", nearest, by)
		if s.kind == upDown {
			value = fmt.Sprintf("sum %s (m)", by)
		}
	case alertproc.Max, alertproc.Min:
		value = fmt.Sprintf("%s %s (%s_over_time(m%s))", s.aggregation, by, s.aggregation, window)
		also = fmt.Sprintf("max %s (m == m)", by)
	case alertproc.Mean:
		value = fmt.Sprintf("sum %s (sum_over_time(m%s)) / sum %s (count_over_time(m%s))", by, window, by, window)
		also = fmt.Sprintf("max %s (m)", by)
	case alertproc.Increase:
		value, also = increase("m"), fmt.Sprintf("sum %s (m)", by)
	case alertproc.Rate:
		value, also = increase("m")+" / "+seconds, fmt.Sprintf("sum %s (m)", by)
	case ratio:
		value = increase(`m{side="bad"}`) + " / " + increase("m")
		also = fmt.Sprintf("(%s >= %v) and sum %s (m)", increase("m"), s.minCount, by)
	case alertproc.Quantile:
		inner := "by (le)"
		if len(s.by) > 0 {
			inner = "by (le, " + strings.Join(s.by, ", ") + ")"
		}
		value = fmt.Sprintf("histogram_quantile(%v, sum %s (increase(m_bucket%s anchored)))", s.arg, inner, window)
		also = fmt.Sprintf("(%s >= %v) and sum %s (m_count)", increase("m_count"), s.minCount, by)
	}
	expr := fmt.Sprintf("(%s %s %v)", value, compare, bound)
	if s.clear != nil {
		expr = fmt.Sprintf(`(%s or ((%s %s %v) and %s ALERTS{alertname="A", alertstate="firing", severity=%q}))`,
			expr, value, compare, *s.clear, on, severity)
	}
	if also != "" {
		expr += " and " + also
	}
	return expr
}

// prometheus is the rule as Prometheus reads it: one for each level.
func (s spec) prometheus(tb testing.TB) []rules.Rule {
	tb.Helper()
	all := []rules.Rule{s.alertingRule(tb, "warn", s.bound)}
	if s.crit != nil {
		all = append(all, s.alertingRule(tb, "crit", *s.crit))
	}
	return all
}

func (s spec) alertingRule(tb testing.TB, severity string, bound float64) rules.Rule {
	tb.Helper()
	expr, err := promParser.ParseExpr(s.promQL(severity, bound))
	if err != nil {
		tb.Fatalf("%s: %v", s.promQL(severity, bound), err)
	}
	own := map[string]string{"severity": severity}
	maps.Copy(own, s.labels)
	return rules.NewAlertingRule("A", expr, s.hold, s.keep, labels.FromMap(own), labels.FromMap(s.annotations), labels.EmptyLabels(), "", true,
		slog.New(slog.DiscardHandler))
}
