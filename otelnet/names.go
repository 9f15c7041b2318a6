package otelnet

import (
	"slices"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// MetricNames returns the names of all metrics that this package may record, sorted; on which platform and with which
// options is in the package comment. It lets a rule about one that was not recorded yet be told from a misspelt one.
func MetricNames() []string {
	var names []string
	_, _ = newInstruments(namesProvider{names: &names}) // its instruments are no-ops and never fail
	slices.Sort(names)
	return slices.Compact(names)
}

// namesProvider gives a meter that writes down what it is asked for.
type namesProvider struct {
	noop.MeterProvider
	names *[]string
}

func (p namesProvider) Meter(string, ...metric.MeterOption) metric.Meter {
	return namesMeter{names: p.names}
}

type namesMeter struct {
	noop.Meter
	names *[]string
}

func (m namesMeter) note(name string) { *m.names = append(*m.names, name) }

func (m namesMeter) Int64Counter(name string, opts ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	m.note(name)
	return m.Meter.Int64Counter(name, opts...)
}

func (m namesMeter) Float64Counter(name string, opts ...metric.Float64CounterOption) (metric.Float64Counter, error) {
	m.note(name)
	return m.Meter.Float64Counter(name, opts...)
}

func (m namesMeter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	m.note(name)
	return m.Meter.Float64Histogram(name, opts...)
}

func (m namesMeter) Int64Histogram(name string, opts ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	m.note(name)
	return m.Meter.Int64Histogram(name, opts...)
}

func (m namesMeter) Int64UpDownCounter(name string, opts ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	m.note(name)
	return m.Meter.Int64UpDownCounter(name, opts...)
}

func (m namesMeter) Int64ObservableCounter(name string, opts ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	m.note(name)
	return m.Meter.Int64ObservableCounter(name, opts...)
}

func (m namesMeter) Float64ObservableCounter(name string, opts ...metric.Float64ObservableCounterOption) (metric.Float64ObservableCounter, error) {
	m.note(name)
	return m.Meter.Float64ObservableCounter(name, opts...)
}

func (m namesMeter) Int64ObservableUpDownCounter(
	name string, opts ...metric.Int64ObservableUpDownCounterOption,
) (metric.Int64ObservableUpDownCounter, error) {
	m.note(name)
	return m.Meter.Int64ObservableUpDownCounter(name, opts...)
}

func (m namesMeter) Int64ObservableGauge(name string, opts ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	m.note(name)
	return m.Meter.Int64ObservableGauge(name, opts...)
}
