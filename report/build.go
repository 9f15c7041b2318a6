package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Options say what to report. The zero Options mean the last hour.
type Options struct {
	// Range is how long a time to report; 0 means an hour, allowed are a minute to 31 days. It is rounded up to whole points, of
	// which it has at most 96.
	Range time.Duration
	// Until is where the range ends; zero means now.
	Until time.Time
	// Metrics are the names of those to read, as OpenTelemetry or as the source has them; none means all.
	Metrics []string
	// About tells more of an alert that fired between two times: why, and what evidence was taken. May be nil.
	About func(alert *Alert, from, until time.Time)
}

const (
	defaultRange = time.Hour
	leastRange   = time.Minute
	mostRange    = 31 * 24 * time.Hour
	// lookBack is how far before the range a sample is looked for that the range's first increases begin with.
	lookBack = 5 * time.Minute

	comparable = 0.5 // coverage of the range before from which changes are given
	wholeRange = 0.9 // coverage from which a report is not partial
)

// CheckRange tells whether length can be reported.
func CheckRange(length time.Duration) error {
	if length < leastRange || length > mostRange {
		return fmt.Errorf("range %s: want 1m to 744h", length)
	}
	return nil
}

// AllAttributes as the only name in the by of [Source.Read] means that no series may be merged.
const AllAttributes = "*"

// Build reads src and works the report out. Without a single sample in the range the error wraps [ErrNoSamples]; a metric of
// opt.Metrics that the source does not have is an error too. A source that fails halfway fails the report.
func Build(ctx context.Context, src Source, opt Options) (*Report, error) {
	now := time.Now()
	if opt.Range == 0 {
		opt.Range = defaultRange
	}
	if err := CheckRange(opt.Range); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if opt.Until.IsZero() {
		opt.Until = now
	}
	if opt.Until.After(now.Add(time.Minute)) { // clocks differ
		return nil, fmt.Errorf("report: the range ends at %s, which is still to come", opt.Until.UTC().Format(time.RFC3339))
	}
	until := opt.Until.Truncate(time.Second)
	g := newGrid(until, opt.Range)
	b := &builder{src: src, opt: opt, grid: g, last: make(map[string]float64)}
	b.from = time.UnixMilli(g.from).Add(-lookBack)
	b.until = until
	scope, err := src.Describe(ctx, b.from, until)
	if err != nil {
		return nil, err
	}
	b.scope = scope
	b.cover = newCover(g, scope)
	if err := b.check(); err != nil {
		return nil, err
	}
	b.report = &Report{
		Service: scope.Service, Version: scope.Version, Instances: scope.Instances, Source: scope.Source, Generated: now.UTC().Truncate(time.Millisecond),
		From: time.UnixMilli(g.start()).UTC(), Until: until.UTC(),
		Point: Seconds(float64(g.pointLength()) / 1000), Window: Seconds(float64(g.window) / 1000), Interval: Seconds(usual(scope.Times)),
		Coverage: b.cover.coverage(g.half, g.n), Previous: b.cover.coverage(0, g.half),
		Missing: []string{}, Alerts: []Alert{}, Worst: []Minute{}, Trends: []Forecast{},
	}
	b.previous = b.report.Previous.Share >= comparable
	metrics, err := b.chosen()
	if err != nil {
		return nil, err
	}
	for _, m := range metrics {
		if err := b.read(ctx, m); err != nil {
			return nil, err
		}
	}
	b.finish()
	return b.report, nil
}

// builder is a report under way.
type builder struct {
	src         Source
	opt         Options
	grid        grid
	from, until time.Time // what is asked of the source
	scope       *Scope
	cover       *cover
	previous    bool // the range before can be compared with
	report      *Report
	last        map[string]float64 // last values of gauges, for limits
	requests    *requests
}

// check refuses a range without samples.
func (b *builder) check() error {
	n := b.cover.sum(b.grid.half, b.grid.n)
	if n > 0 {
		return nil
	}
	text := fmt.Sprintf("%s: %%w between %s and %s", b.scope.Source, clock(b.grid.start()), clock(b.grid.end()))
	if t := b.scope.Times; len(t) > 1 {
		return fmt.Errorf(text+"; those found are of %s to %s", ErrNoSamples, clock(t[0]), clock(t[len(t)-1]))
	} else if len(t) == 1 {
		return fmt.Errorf(text+" to compare; the only one is of %s", ErrNoSamples, clock(t[0]))
	}
	return fmt.Errorf(text, ErrNoSamples)
}

func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// chosen are the metrics to read.
func (b *builder) chosen() ([]Metric, error) {
	if len(b.opt.Metrics) == 0 {
		return b.scope.Metrics, nil
	}
	var out []Metric
	var errs []error
	for _, name := range b.opt.Metrics {
		i := slices.IndexFunc(b.scope.Metrics, func(m Metric) bool { return m.Name == name || m.ID == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("%s: has no metric %q between %s and %s", b.scope.Source, name, clock(b.grid.from), clock(b.grid.end())))
			continue
		}
		out = append(out, b.scope.Metrics[i])
	}
	return out, errors.Join(errs...)
}

// read reads one metric and adds its rows.
func (b *builder) read(ctx context.Context, m Metric) error {
	switch {
	case m.Name == alertState:
		return b.readAlerts(ctx, m)
	case m.Name == requestDuration && m.Kind == Histogram:
		return b.readRequests(ctx, m)
	case m.Kind == Gauge:
		return b.readLevels(ctx, m)
	}
	k := knownOr(m)
	all, parts := newTally(b.cover), newParts(func() *tally { return newTally(b.cover) })
	err := b.each(ctx, m, k.by(), func(s *Series) {
		all.add(s)
		if k.split != "" {
			parts.of(s.Attributes[k.split]).add(s)
		}
	})
	if err != nil {
		return err
	}
	b.quietOr(m, all, func() {
		if !k.onlyParts {
			b.tallyRows(m, "", all)
		}
		for _, name := range parts.names() {
			if part := parts.of(name); name != "" {
				b.tallyRows(m, name, part)
			}
		}
	})
	return nil
}

// each reads m and passes the series that are of its kind on.
func (b *builder) each(ctx context.Context, m Metric, by []string, add func(*Series)) error {
	return b.src.Read(ctx, m, by, b.from, b.until, add)
}

// quietOr adds rows, or the metric to those to which nothing was added.
func (b *builder) quietOr(m Metric, all *tally, rows func()) {
	if all.mixed {
		b.lack("%s has series with different bucket bounds: its percentiles are those of the first ones", m.Name)
	}
	if !all.touched {
		return // not in these ranges
	}
	if all.whole(false).count == 0 && all.whole(true).count == 0 {
		b.report.Quiet = append(b.report.Quiet, m.Name)
		return
	}
	rows()
}

// lack notes what the report is without, and makes it partial.
func (b *builder) lack(format string, args ...any) {
	b.report.Missing = append(b.report.Missing, fmt.Sprintf(format, args...))
	b.report.Partial = true
}

func (b *builder) tallyRows(m Metric, part string, t *tally) {
	b.row(m, part, Rate, perSecond(countUnit(m)), t.rate())
	if m.Kind != Histogram || part != "" {
		return
	}
	b.row(m, part, Mean, m.Unit, t.mean())
	if t.buckets == nil {
		return
	}
	b.row(m, part, P50, m.Unit, t.percentile(0.50))
	b.row(m, part, P95, m.Unit, t.percentile(0.95))
	b.row(m, part, P99, m.Unit, t.percentile(0.99))
}

// countUnit is the unit of what a counter or a histogram counts.
func countUnit(m Metric) string {
	if m.Kind == Histogram {
		return ""
	}
	return m.Unit
}

func (b *builder) readLevels(ctx context.Context, m Metric) error {
	k := knownOr(m)
	all, parts := newLevel(b.cover), newParts(func() *level { return newLevel(b.cover) })
	err := b.each(ctx, m, k.by(), func(s *Series) {
		all.add(s)
		if k.split != "" {
			parts.of(s.Attributes[k.split]).add(s)
		}
	})
	if err != nil {
		return err
	}
	if !all.finish() {
		return nil // only before the ranges
	}
	b.last[m.Name] = all.last
	if !k.onlyParts {
		b.row(m, "", Value, m.Unit, all.reading())
	}
	for _, name := range parts.names() {
		if part := parts.of(name); name != "" && part.finish() {
			b.row(m, name, Value, m.Unit, part.reading())
		}
	}
	return nil
}

// row adds a row.
func (b *builder) row(m Metric, part string, stat Stat, unit string, r *reading) {
	row := Row{Metric: m.Name, Part: part, Stat: stat, Unit: unit, Label: label(m.Name, part, stat)}
	r.fill(&row, b.previous)
	b.report.Rows = append(b.report.Rows, row)
}

func label(metric, part string, stat Stat) string {
	text := metric
	if part != "" {
		text += " " + part
	}
	switch stat {
	case Value, Rate:
		return text
	}
	return text + " " + string(stat)
}

// knownOr returns what the catalog has of m, or what m says itself.
func knownOr(m Metric) known {
	if k := catalogByName[m.Name]; k != nil {
		return *k
	}
	return known{name: m.Name, unit: m.Unit, kind: m.Kind}
}

// by are the attributes to read it by.
func (k known) by() []string {
	if k.split == "" {
		return nil
	}
	return []string{k.split}
}

// partsOf keeps one thing for each value of an attribute, in order of appearance.
type partsOf[T any] struct {
	make  func() T
	byKey map[string]T
	order []string
}

func newParts[T any](make func() T) *partsOf[T] {
	return &partsOf[T]{make: make, byKey: map[string]T{}}
}

func (p *partsOf[T]) of(name string) T {
	v, ok := p.byKey[name]
	if !ok {
		v = p.make()
		p.byKey[name] = v
		p.order = append(p.order, name)
	}
	return v
}

// names are sorted, so that sources which list series in another order give the same rows.
func (p *partsOf[T]) names() []string { return slices.Sorted(slices.Values(p.order)) }

// usual is the median distance of times, in seconds.
func usual(times []int64) float64 {
	if len(times) < 2 {
		return 0
	}
	d := make([]int64, len(times)-1)
	for i := range d {
		d[i] = times[i+1] - times[i]
	}
	slices.Sort(d)
	return float64(d[len(d)/2]) / 1000
}

// finish puts the rows in order and works out what is drawn from all of them.
func (b *builder) finish() {
	r := b.report
	arrange(r.Rows)
	slices.Sort(r.Quiet)
	b.worst()
	b.trends()
	b.sayWhatLacks()
	r.Level, r.Verdict = verdict(r)
}

func (b *builder) trends() {
	hours := float64(b.grid.pointLength()) / 3.6e6
	for i := range b.report.Rows {
		row := &b.report.Rows[i]
		if row.Stat != Value || row.Part != "" {
			continue
		}
		name, limit := limitFor(row.Metric, b.last)
		if f, ok := forecast(row, hours, b.until, name, limit); ok {
			b.report.Trends = append(b.report.Trends, f)
		}
	}
	slices.SortStableFunc(b.report.Trends, func(x, y Forecast) int { // limits first, the nearest before others
		switch {
		case (x.LimitMetric != "") != (y.LimitMetric != ""):
			if x.LimitMetric != "" {
				return -1
			}
			return 1
		case x.Soonest != y.Soonest:
			if x.Soonest < y.Soonest {
				return -1
			}
			return 1
		}
		return 0
	})
}

func (b *builder) sayWhatLacks() {
	r := b.report
	length := float64(b.grid.end()-b.grid.start()) / 1000
	if len(b.scope.Notes) > 0 {
		r.Partial = true
		r.Missing = append(r.Missing, b.scope.Notes...)
	}
	if r.Coverage.Share < wholeRange {
		r.Partial = true
		r.Missing = append([]string{fmt.Sprintf("samples cover %s of %s (%.0f %%); none %s",
			humanSeconds(float64(r.Coverage.Covered)), humanSeconds(length), 100*float64(r.Coverage.Share), r.list(r.Coverage.Gaps))}, r.Missing...)
	}
	if len(b.opt.Metrics) == 0 && b.requests == nil {
		r.Missing = append(r.Missing, requestDuration+" is not there: no requests, error rate, latency and worst minutes")
	}
	if !b.previous {
		r.Missing = append(r.Missing, fmt.Sprintf("samples cover %.0f %% of the %s before: changes against it are n/a",
			100*float64(r.Previous.Share), humanSeconds(length)))
	}
}

// list names the first gaps.
func (r *Report) list(gaps []Gap) string {
	text := ""
	for i, g := range gaps {
		if i == 3 {
			return fmt.Sprintf("%s and in %d more gaps", text, len(gaps)-3)
		}
		if i > 0 {
			text += ", "
		}
		text += "from " + r.moment(g.From) + " to " + r.moment(g.Until)
	}
	return text
}
