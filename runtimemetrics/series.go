package runtimemetrics

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// series is one point: where its value is, and what it is reported to.
type series struct {
	set   attribute.Set
	plus  int   // where the source finds its value
	minus []int // the same, for what is subtracted

	// At most one of the two is set: by Start, not by the producer.
	i       metric.Int64Observable
	f       metric.Float64Observable
	options []metric.ObserveOption
}

// source reads all its values at once and then gives those of each series, false where there is none now. An instrument
// with float set asks for the second, any other for the first. A source has no lock.
type source interface {
	read()
	integer(*series) (int64, bool)
	float(*series) (float64, bool)
}

// observe reports every series that has a value.
func observe(o metric.Observer, from source, all []series) {
	from.read()
	for i := range all {
		s := &all[i]
		if s.f != nil {
			if v, ok := from.float(s); ok {
				o.ObserveFloat64(s.f, v, s.options...)
			}
		} else if v, ok := from.integer(s); ok {
			o.ObserveInt64(s.i, v, s.options...)
		}
	}
}

// createSeries makes the instruments of list that have at least one point in index, which tells where each key's value
// will be found.
func createSeries(meter metric.Meter, list []instrument, index map[string]int) ([]series, []metric.Observable, error) {
	var all []series
	var observables []metric.Observable
	var errs []error
	for _, inst := range list {
		points := inst.available(index)
		if len(points) == 0 {
			continue
		}
		s, err := inst.create(meter)
		if err != nil {
			errs = append(errs, fmt.Errorf("runtimemetrics: create %s: %w", inst.name, err))
			continue
		}
		if inst.float {
			observables = append(observables, s.f)
		} else {
			observables = append(observables, s.i)
		}
		for _, p := range points {
			all = append(all, s.at(p, index))
		}
	}
	return all, observables, errors.Join(errs...)
}

// available returns the points that have all their keys. Leaving out a part of a difference would be a wrong number.
func (inst instrument) available(index map[string]int) []point {
	var points []point
next:
	for _, p := range inst.points {
		for _, k := range append([]string{p.key}, p.minus...) {
			if _, ok := index[k]; !ok {
				continue next
			}
		}
		points = append(points, p)
	}
	return points
}

func (inst instrument) create(m metric.Meter) (s series, err error) {
	unit, description := metric.WithUnit(inst.unit), metric.WithDescription(inst.description)
	switch {
	case inst.float && inst.kind == counter:
		s.f, err = m.Float64ObservableCounter(inst.name, unit, description)
	case inst.float:
		s.f, err = m.Float64ObservableUpDownCounter(inst.name, unit, description)
	case inst.kind == counter:
		s.i, err = m.Int64ObservableCounter(inst.name, unit, description)
	case inst.kind == upDownCounter:
		s.i, err = m.Int64ObservableUpDownCounter(inst.name, unit, description)
	default:
		s.i, err = m.Int64ObservableGauge(inst.name, unit, description)
	}
	return s, err
}

func (s series) at(p point, index map[string]int) series {
	s.plus = index[p.key]
	s.minus = nil
	for _, m := range p.minus {
		s.minus = append(s.minus, index[m])
	}
	s.set, s.options = attribute.NewSet(p.attr...), nil
	if len(p.attr) > 0 {
		s.options = []metric.ObserveOption{metric.WithAttributeSet(s.set)}
	}
	return s
}
