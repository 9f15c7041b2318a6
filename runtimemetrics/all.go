package runtimemetrics

import (
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// sourced is what the producer gives of one source.
type sourced struct {
	source
	families []family
}

// family is an instrument with those of its points that the source has.
type family struct {
	instrument
	series []series
}

func families(list []instrument, index map[string]int) []family {
	var all []family
	for _, inst := range list {
		f := family{instrument: inst}
		for _, p := range inst.available(index) {
			f.series = append(f.series, series{}.at(p, index))
		}
		if len(f.series) > 0 {
			all = append(all, f)
		}
	}
	return all
}

// appendAll appends the metrics that have a value now. Their points share two pieces of memory.
func appendAll(out []metricdata.Metrics, all []sourced, now time.Time) []metricdata.Metrics {
	if len(all) == 0 {
		return out
	}
	var metrics, ints, floats int
	for _, from := range all {
		metrics += len(from.families)
		for i := range from.families {
			if f := &from.families[i]; f.float {
				floats += len(f.series)
			} else {
				ints += len(f.series)
			}
		}
	}
	out = append(make([]metricdata.Metrics, 0, len(out)+metrics), out...)
	p := memory{make([]metricdata.DataPoint[int64], 0, ints), make([]metricdata.DataPoint[float64], 0, floats)}
	for _, from := range all {
		for i := range from.families {
			f := &from.families[i]
			if data := p.read(from.source, f, now); data != nil {
				out = append(out, metricdata.Metrics{Name: f.name, Description: f.description, Unit: f.unit, Data: data})
			}
		}
	}
	return out
}

// memory is room for all points of one call.
type memory struct {
	ints   []metricdata.DataPoint[int64]
	floats []metricdata.DataPoint[float64]
}

// read returns nil if no series of f has a value.
func (m *memory) read(from source, f *family, now time.Time) metricdata.Aggregation {
	if f.float {
		first := len(m.floats)
		for i := range f.series {
			if v, ok := from.float(&f.series[i]); ok {
				m.floats = append(m.floats, pointAt(&f.series[i], now, v))
			}
		}
		return aggregation(f.kind, m.floats[first:len(m.floats):len(m.floats)])
	}
	first := len(m.ints)
	for i := range f.series {
		if v, ok := from.integer(&f.series[i]); ok {
			m.ints = append(m.ints, pointAt(&f.series[i], now, v))
		}
	}
	return aggregation(f.kind, m.ints[first:len(m.ints):len(m.ints)])
}

func pointAt[N int64 | float64](s *series, now time.Time, v N) metricdata.DataPoint[N] {
	return metricdata.DataPoint[N]{Attributes: s.set, StartTime: processStart, Time: now, Value: v}
}

func aggregation[N int64 | float64](k kind, points []metricdata.DataPoint[N]) metricdata.Aggregation {
	switch {
	case len(points) == 0:
		return nil
	case k == gauge:
		return metricdata.Gauge[N]{DataPoints: points}
	default:
		return metricdata.Sum[N]{DataPoints: points, Temporality: metricdata.CumulativeTemporality, IsMonotonic: k == counter}
	}
}
