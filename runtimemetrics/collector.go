package runtimemetrics

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/metrics"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// ErrStarted is returned by Start when a Collector already reports to the same meter provider: the SDK would add the
// two, and every value would be twice what it is.
var ErrStarted = errors.New("runtimemetrics: already started on this meter provider")

// Collector reports the runtime at each collect until it is stopped. Its methods are safe for concurrent use.
type Collector struct {
	provider     metric.MeterProvider
	registration metric.Registration

	mu      sync.Mutex // several readers may collect at once
	samples []metrics.Sample
	series  []series

	stopOnce sync.Once
	stopErr  error
}

// series is one point ready to be observed: exactly one of i and f is set.
type series struct {
	i       metric.Int64Observable
	f       metric.Float64Observable
	options []metric.ObserveOption
	plus    int   // index in samples
	minus   []int // the same, for what is subtracted
}

// Start registers the metrics listed in the package comment, except the producer's. Errors are those of the meter
// provider, joined, and ErrStarted; on any error nothing stays registered. The Collector must be stopped by its owner.
func Start(opts ...Option) (*Collector, error) {
	return start(newConfig(opts), metrics.All())
}

// start reports only what available has, which tests use to play another Go version.
func start(cfg config, available []metrics.Description) (*Collector, error) {
	if !claim(cfg.provider) {
		return nil, ErrStarted
	}
	c := &Collector{provider: cfg.provider}
	if err := c.register(cfg, available); err != nil {
		release(cfg.provider)
		return nil, err
	}
	return c, nil
}

// Stop unregisters the callback: later collects have no points of this Collector. It waits for a collect that is under
// way. Further calls return what the first one did.
func (c *Collector) Stop() error {
	c.stopOnce.Do(func() {
		if err := c.registration.Unregister(); err != nil {
			c.stopErr = fmt.Errorf("runtimemetrics: unregister: %w", err)
		}
		release(c.provider)
	})
	return c.stopErr
}

func (c *Collector) register(cfg config, available []metrics.Description) error {
	meter := cfg.provider.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	list := instruments()
	if cfg.details {
		list = withDetails(list, available)
	}
	index := c.index(list, available)

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
		if inst.seconds {
			observables = append(observables, s.f)
		} else {
			observables = append(observables, s.i)
		}
		for _, p := range points {
			c.series = append(c.series, s.at(p, index))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	registration, err := meter.RegisterCallback(c.observe, observables...)
	if err != nil {
		return fmt.Errorf("runtimemetrics: register callback: %w", err)
	}
	c.registration = registration
	return nil
}

// index makes one sample for each available key that list needs, and returns where it is.
func (c *Collector) index(list []instrument, available []metrics.Description) map[string]int {
	has := make(map[string]bool, len(available))
	for _, d := range available {
		has[d.Name] = d.Kind == metrics.KindUint64 || d.Kind == metrics.KindFloat64
	}
	index := make(map[string]int)
	add := func(key string) {
		if _, done := index[key]; !done && has[key] {
			index[key] = len(c.samples)
			c.samples = append(c.samples, metrics.Sample{Name: key})
		}
	}
	for _, inst := range list {
		for _, p := range inst.points {
			add(p.key)
			for _, m := range p.minus {
				add(m)
			}
		}
	}
	return index
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
	case inst.seconds:
		s.f, err = m.Float64ObservableCounter(inst.name, unit, description)
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
	s.options = nil
	if len(p.attr) > 0 {
		s.options = []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(p.attr...))}
	}
	return s
}

// observe is the callback of every collect.
func (c *Collector) observe(_ context.Context, o metric.Observer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	metrics.Read(c.samples)
	for i := range c.series {
		s := &c.series[i]
		if s.f != nil {
			if v := c.samples[s.plus].Value; v.Kind() == metrics.KindFloat64 {
				o.ObserveFloat64(s.f, v.Float64(), s.options...)
			}
			continue
		}
		if v, ok := c.integer(s); ok {
			o.ObserveInt64(s.i, v, s.options...)
		}
	}
	return nil
}

// noLimit and above mean that nothing is set. The runtime says math.MaxInt64 for no memory limit, math.MaxUint64 for a
// collector that is off, and then derives a heap goal from the former that is a little below it.
const noLimit = 1 << 62

// integer says false if there is no value to report.
func (c *Collector) integer(s *series) (int64, bool) {
	v := c.samples[s.plus].Value
	if v.Kind() != metrics.KindUint64 || v.Uint64() >= noLimit {
		return 0, false
	}
	sum := int64(v.Uint64())
	for _, m := range s.minus {
		sum -= int64(c.samples[m].Value.Uint64())
	}
	return sum, true
}

var (
	startedMu sync.Mutex
	started   = map[metric.MeterProvider]bool{}
)

// claim says false if p has a Collector already. Only pointers have an identity to tell: two noop providers are equal
// values, and starting on both is no mistake.
func claim(p metric.MeterProvider) bool {
	if reflect.TypeOf(p).Kind() != reflect.Pointer {
		return true
	}
	startedMu.Lock()
	defer startedMu.Unlock()
	if started[p] {
		return false
	}
	started[p] = true
	return true
}

func release(p metric.MeterProvider) {
	if reflect.TypeOf(p).Kind() != reflect.Pointer {
		return
	}
	startedMu.Lock()
	defer startedMu.Unlock()
	delete(started, p)
}
