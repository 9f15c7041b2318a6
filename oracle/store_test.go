package oracle

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// store is a storage that keeps all in slices. Samples come in the order of their times.
type store struct {
	series []*storedSeries
	byName map[string]*storedSeries
}

type storedSeries struct {
	labels  labels.Labels
	samples []chunks.Sample
	present bool // by the last scrape
	scraped bool // and not written by a rule
}

type point struct {
	t int64
	v float64
}

func (p point) ST() int64                     { return 0 }
func (p point) T() int64                      { return p.t }
func (p point) F() float64                    { return p.v }
func (p point) H() *histogram.Histogram       { return nil }
func (p point) FH() *histogram.FloatHistogram { return nil }
func (p point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample           { return p }

func newStore() *store { return &store{byName: map[string]*storedSeries{}} }

func (s *store) add(l labels.Labels, at time.Time, v float64) *storedSeries {
	key := l.String()
	one := s.byName[key]
	if one == nil {
		one = &storedSeries{labels: l}
		s.byName[key] = one
		s.series = append(s.series, one)
	}
	one.samples = append(one.samples, point{timestamp.FromTime(at), v})
	return one
}

// scraped is a sample as a scrape brings it.
type scraped struct {
	labels labels.Labels
	value  float64
	// born is set for what counts from zero. A new one then gets a zero at the time of the scrape before, as
	// Prometheus itself puts there when it is told when a counter was created.
	born bool
}

// scrape stores samples, and marks those of the last scrape stale that are not among them.
func (s *store) scrape(at, before time.Time, samples []scraped) {
	for _, one := range s.series {
		one.present = false
	}
	for _, sample := range samples {
		if _, known := s.byName[sample.labels.String()]; !known && sample.born && !before.IsZero() {
			s.add(sample.labels, before, 0)
		}
		one := s.add(sample.labels, at, sample.value)
		one.present, one.scraped = true, true
	}
	for _, one := range s.series {
		last := one.samples[len(one.samples)-1]
		if one.scraped && !one.present && !value.IsStaleNaN(last.F()) {
			one.samples = append(one.samples, point{timestamp.FromTime(at), math.Float64frombits(value.StaleNaN)})
		}
	}
}

// Querier is part of storage.Queryable.
func (s *store) Querier(from, to int64) (storage.Querier, error) { return &querier{s, from, to}, nil }

type querier struct {
	s        *store
	from, to int64
}

func (q *querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, one := range q.s.series {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.labels.Get(m.Name)) }) {
			found = append(found, storage.NewListSeries(one.labels, one.samples))
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &seriesSet{found, -1}
}

func (q *querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q *querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q *querier) Close() error { return nil }

type seriesSet struct {
	series []storage.Series
	at     int
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.at] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// AppenderV2 takes the ALERTS series that the rules write.
func (s *store) AppenderV2(context.Context) storage.AppenderV2 { return appender{s} }

type appender struct{ s *store }

func (a appender) Append(_ storage.SeriesRef, l labels.Labels, _, t int64, v float64, _ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	a.s.add(l, timestamp.Time(t), v)
	return 1, nil
}

func (appender) Commit() error   { return nil }
func (appender) Rollback() error { return nil }
