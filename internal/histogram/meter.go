package histogram

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// meter is the SDK's Meter but for its histograms of seconds.
type meter struct {
	metric.Meter
	cfg   *Config
	scope instrumentation.Scope

	mu    sync.Mutex
	made  map[string]*Histogram // by name in lower case, as the SDK has it
	order []*Histogram
}

// Float64Histogram makes a [Histogram], or the SDK's instrument where that is asked for what a Histogram cannot do.
func (m *meter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	cfg := metric.NewFloat64HistogramConfig(opts...)
	stream, ok := m.stream(sdkmetric.Instrument{
		Name:        name,
		Description: cfg.Description(),
		Kind:        sdkmetric.InstrumentKindHistogram,
		Unit:        cfg.Unit(),
		Scope:       m.scope,
	}, cfg.ExplicitBucketBoundaries())
	if !ok {
		return m.Meter.Float64Histogram(name, opts...)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	key := strings.ToLower(stream.Name)
	h, ok := m.made[key]
	if !ok {
		h = newHistogram(m.cfg, stream, time.Now())
		m.made[key] = h
		m.order = append(m.order, h)
	}
	if h.description != stream.Description || h.unit != stream.Unit {
		return m.Meter.Float64Histogram(name, opts...) // which tells of the conflict
	}
	return h, nil
}

// stream is what the views and the reader make of the instrument. It is false if that is not for us.
func (m *meter) stream(inst sdkmetric.Instrument, advice []float64) (s sdkmetric.Stream, ok bool) {
	s = sdkmetric.Stream{Name: inst.Name, Description: inst.Description, Unit: inst.Unit}
	matches := 0
	for _, view := range m.cfg.Views {
		if seen, matched := view(inst); matched {
			s = seen
			matches++
		}
	}
	if matches > 1 || s.AttributeFilter != nil || s.ExemplarReservoirProviderSelector != nil {
		return s, false
	}
	if s.Aggregation == nil {
		s.Aggregation = m.readers(inst.Kind, advice)
	} else if _, ok := s.Aggregation.(sdkmetric.AggregationDefault); ok {
		s.Aggregation = sdkmetric.DefaultAggregationSelector(inst.Kind)
	}
	explicit, ok := s.Aggregation.(sdkmetric.AggregationExplicitBucketHistogram)
	if !ok || len(explicit.Boundaries) == 0 || !ascending(explicit.Boundaries) {
		return s, false
	}
	return s, true
}

// readers is the aggregation of a stream that no view chose one for.
func (m *meter) readers(kind sdkmetric.InstrumentKind, advice []float64) sdkmetric.Aggregation {
	var chosen sdkmetric.Aggregation
	if m.cfg.Aggregation != nil {
		chosen = m.cfg.Aggregation(kind)
	}
	switch chosen.(type) {
	case nil, sdkmetric.AggregationDefault:
		chosen = sdkmetric.DefaultAggregationSelector(kind)
	}
	if explicit, ok := chosen.(sdkmetric.AggregationExplicitBucketHistogram); ok && len(advice) > 0 {
		explicit.Boundaries = advice
		return explicit
	}
	return chosen
}

// ascending reports whether the SDK takes these bounds; it has an error for others.
func ascending(bounds []float64) bool {
	for i := 1; i < len(bounds); i++ {
		if !(bounds[i-1] < bounds[i]) {
			return false
		}
	}
	return true
}

// snapshot returns the instruments that have recorded anything.
func (m *meter) snapshot(now time.Time) []metricdata.Metrics {
	m.mu.Lock()
	made := m.order
	m.mu.Unlock()
	all := make([]metricdata.Metrics, 0, len(made))
	for _, h := range made {
		if data := h.snapshot(now); len(data.DataPoints) > 0 {
			all = append(all, metricdata.Metrics{Name: h.name, Description: h.description, Unit: h.unit, Data: data})
		}
	}
	return slices.Clip(all)
}
