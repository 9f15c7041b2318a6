package report_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/otelnet/agent/report"
)

// noon is where the test's ranges end.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// memory is a source whose series are written down.
type memory struct {
	scope  report.Scope
	series map[string][]report.Series
	fails  error
}

func (m *memory) Describe(context.Context, time.Time, time.Time) (*report.Scope, error) {
	return &m.scope, m.fails
}

func (m *memory) Read(_ context.Context, metric report.Metric, _ []string, _, _ time.Time, add func(*report.Series)) error {
	for i := range m.series[metric.Name] {
		add(&m.series[metric.Name][i])
	}
	return nil
}

// every gives the times from back before noon to noon, a step apart.
func every(back, step time.Duration) []int64 {
	var t []int64
	for at := noon.Add(-back); !at.After(noon); at = at.Add(step) {
		t = append(t, at.UnixMilli())
	}
	return t
}

func newMemory(times []int64) *memory {
	return &memory{
		scope:  report.Scope{Service: "checkout", Source: "memory", Times: times, GapAfter: 12 * time.Second},
		series: make(map[string][]report.Series),
	}
}

// gauge adds a gauge whose value is a function of the hours before noon, negative.
func (m *memory) gauge(name, unit string, value func(hours float64) float64) *memory {
	m.scope.Metrics = append(m.scope.Metrics, report.Metric{Name: name, Unit: unit})
	s := report.Series{Times: m.scope.Times}
	for _, t := range s.Times {
		s.Values = append(s.Values, value(hours(t)))
	}
	m.series[name] = append(m.series[name], s)
	return m
}

// counter adds a counter that rises by a function of the time at each sample but the first.
func (m *memory) counter(name, unit string, rises func(hours float64) float64) *memory {
	m.scope.Metrics = append(m.scope.Metrics, report.Metric{Name: name, Unit: unit, Kind: report.Counter})
	s := report.Series{Begin: m.scope.Times[0], Times: m.scope.Times[1:]}
	for _, t := range s.Times {
		s.Values = append(s.Values, rises(hours(t)))
	}
	m.series[name] = append(m.series[name], s)
	return m
}

func hours(t int64) float64 { return float64(t-noon.UnixMilli()) / 3.6e6 }

func build(t *testing.T, src report.Source, opt report.Options) *report.Report {
	t.Helper()
	if opt.Until.IsZero() {
		opt.Until = noon
	}
	r, err := report.Build(t.Context(), src, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func row(t *testing.T, r *report.Report, metric, part string, stat report.Stat) report.Row {
	t.Helper()
	for _, row := range r.Rows {
		if row.Metric == metric && row.Part == part && row.Stat == stat {
			return row
		}
	}
	t.Fatalf("no row %s %q %s", metric, part, stat)
	return report.Row{}
}

func near(t *testing.T, what string, got report.Number, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(want) && !got.Known() {
		return
	}
	if !(math.Abs(float64(got)-want) <= tolerance) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
