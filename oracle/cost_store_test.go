package oracle

import (
	"context"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// quickStore is the storage of a benchmark, quicker than any that Prometheus has: samples lie ready in slices, and what
// a query asks for is found by two values of a map. So what is measured is the engine.
type quickStore struct{ by map[quickKey][]*quickSeries }

// quickKey has the labels that each query names.
type quickKey struct{ name, route string }

type quickSeries struct {
	labels labels.Labels
	points []point
}

func (s *quickStore) Querier(from, to int64) (storage.Querier, error) {
	return &quickQuerier{s, from, to}, nil
}

type quickQuerier struct {
	s        *quickStore
	from, to int64
}

func (q *quickQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var key quickKey
	for _, m := range matchers {
		if m.Name == labels.MetricName {
			key.name = m.Value
		} else {
			key.route = m.Value
		}
	}
	return &quickSet{series: q.s.by[key], at: -1}
}

func (q *quickQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q *quickQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q *quickQuerier) Close() error { return nil }

type quickSet struct {
	series []*quickSeries
	at     int
}

func (s *quickSet) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *quickSet) At() storage.Series                { return s.series[s.at] }
func (s *quickSet) Err() error                        { return nil }
func (s *quickSet) Warnings() annotations.Annotations { return nil }

func (s *quickSeries) Labels() labels.Labels { return s.labels }

func (s *quickSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return storage.NewListSeriesIterator(s)
}

// Get and Len make it storage.Samples.
func (s *quickSeries) Get(i int) chunks.Sample { return &s.points[i] }
func (s *quickSeries) Len() int                { return len(s.points) }

// quickAppender takes the ALERTS of the few rules that fire, and forgets them.
type quickAppender struct{}

func (quickAppender) AppenderV2(context.Context) storage.AppenderV2 { return quickAppender{} }

func (quickAppender) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 1, nil
}

func (quickAppender) Commit() error   { return nil }
func (quickAppender) Rollback() error { return nil }
