package history

import (
	"math"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// ingest stores the points of one metric as the samples of slot.
func (s *Store) ingest(slot uint64, scope string, m *metricdata.Metrics) {
	key := metricKey{scope: scope, name: m.Name}
	switch data := m.Data.(type) {
	case metricdata.Gauge[int64]:
		key.isInt = true
		numbers(s, slot, key, m.Unit, data.DataPoints, false)
	case metricdata.Gauge[float64]:
		numbers(s, slot, key, m.Unit, data.DataPoints, false)
	case metricdata.Sum[int64]:
		key.isInt, key.kind = true, sumKind(data.IsMonotonic)
		numbers(s, slot, key, m.Unit, data.DataPoints, data.Temporality == metricdata.DeltaTemporality)
	case metricdata.Sum[float64]:
		key.kind = sumKind(data.IsMonotonic)
		numbers(s, slot, key, m.Unit, data.DataPoints, data.Temporality == metricdata.DeltaTemporality)
	case metricdata.Histogram[int64]:
		key.kind = Histogram
		histograms(s, slot, key, m.Unit, data.DataPoints, data.Temporality == metricdata.DeltaTemporality)
	case metricdata.Histogram[float64]:
		key.kind = Histogram
		histograms(s, slot, key, m.Unit, data.DataPoints, data.Temporality == metricdata.DeltaTemporality)
	default:
		s.stats.Unsupported++
	}
}

func sumKind(monotonic bool) Kind {
	if monotonic {
		return Counter
	}
	return UpDown
}

func numbers[N int64 | float64](s *Store, slot uint64, key metricKey, unit string, points []metricdata.DataPoint[N], delta bool) {
	if len(points) == 0 {
		return
	}
	m := s.metric(key, unit)
	sm := sample{isInt: key.isInt}
	for i := range points {
		p := &points[i]
		sr := s.seriesFor(m, slot, &p.Attributes, nil)
		if sr == nil {
			continue
		}
		value := p.Value
		if delta {
			value += fromBits[N](sr.running.bits)
			sr.running.bits = toBits(value)
		}
		sm.bits = toBits(value)
		s.bytes += sr.add(key.kind, slot, &sm)
	}
}

func histograms[N int64 | float64](s *Store, slot uint64, key metricKey, unit string, points []metricdata.HistogramDataPoint[N], delta bool) {
	if len(points) == 0 {
		return
	}
	m := s.metric(key, unit)
	for i := range points {
		p := &points[i]
		if len(p.BucketCounts) != len(p.Bounds)+1 {
			s.stats.Unsupported++ // a histogram without buckets has no percentiles to give
			continue
		}
		sr := s.seriesFor(m, slot, &p.Attributes, p.Bounds)
		if sr == nil {
			continue
		}
		sm := sample{bits: math.Float64bits(float64(p.Sum)), buckets: p.BucketCounts}
		if delta {
			run := &sr.running
			if run.buckets == nil {
				run.buckets = make([]uint64, len(p.BucketCounts))
			}
			for b, n := range p.BucketCounts {
				run.buckets[b] += n
			}
			run.bits = math.Float64bits(math.Float64frombits(run.bits) + float64(p.Sum))
			sm = *run
		}
		s.bytes += sr.add(key.kind, slot, &sm)
	}
}

func (s *Store) metric(key metricKey, unit string) *metric {
	m := s.metrics[key]
	if m == nil {
		m = &metric{key: key, unit: unit, byAttr: make(map[attribute.Distinct]*series)}
		s.metrics[key] = m
		s.order = append(s.order, m)
	}
	return m
}

// seriesFor returns the series of attrs, made if there is room for it, nil if not.
func (s *Store) seriesFor(m *metric, slot uint64, attrs *attribute.Set, bounds []float64) *series {
	if sr := m.find(attrs, bounds); sr != nil {
		return sr
	}
	if s.series >= s.cfg.MaxSeries || s.bytes >= s.cfg.MaxBytes && len(s.blocks) == 1 {
		s.stats.DroppedSamples++
		return nil
	}
	sr := &series{
		attrs:  *attrs,
		bounds: slices.Clone(bounds),
		first:  slot,
		// Nothing was before the first snapshot, and a series that had to wait for room did not begin now.
		fromZero: slot > 0 && s.stats.DroppedSamples == 0,
	}
	m.byAttr[attrs.Equivalent()] = sr
	m.all = append(m.all, sr)
	s.series++
	s.bytes += sr.overhead()
	return sr
}

func toBits[N int64 | float64](v N) uint64 {
	switch v := any(v).(type) {
	case int64:
		return uint64(v)
	case float64:
		return math.Float64bits(v)
	}
	return 0
}

func fromBits[N int64 | float64](b uint64) (v N) {
	switch p := any(&v).(type) {
	case *int64:
		*p = int64(b)
	case *float64:
		*p = math.Float64frombits(b)
	}
	return v
}
