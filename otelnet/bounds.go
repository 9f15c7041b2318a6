package otelnet

import (
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// BucketBounds returns the bucket bounds that the histograms of this package ask for, by metric name. A View replaces
// an instrument's bounds and cannot read them, so whoever makes one to add a bound starts from these. The map and its
// slices are the caller's.
func BucketBounds() map[string][]float64 {
	m := boundsMeter{bounds: map[string][]float64{}}
	_, _ = newInstruments(boundsProvider{meter: m}) // its instruments are no-ops and never fail
	return m.bounds
}

// boundsProvider gives a meter that writes down what its histograms are asked to have.
type boundsProvider struct {
	noop.MeterProvider
	meter boundsMeter
}

func (p boundsProvider) Meter(string, ...metric.MeterOption) metric.Meter { return p.meter }

type boundsMeter struct {
	noop.Meter
	bounds map[string][]float64
}

func (m boundsMeter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	m.note(name, metric.NewFloat64HistogramConfig(opts...).ExplicitBucketBoundaries())
	return noop.Float64Histogram{}, nil
}

func (m boundsMeter) Int64Histogram(name string, opts ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	m.note(name, metric.NewInt64HistogramConfig(opts...).ExplicitBucketBoundaries())
	return noop.Int64Histogram{}, nil
}

func (m boundsMeter) note(name string, bounds []float64) {
	m.bounds[name] = append([]float64(nil), bounds...)
}
