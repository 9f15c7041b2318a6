package runtimemetrics

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/metrics"
	"sync"

	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// ErrStarted is returned by Start when a Collector already reports to the same meter provider: the SDK would add the
// two, and every value would be twice what it is.
var ErrStarted = errors.New("runtimemetrics: already started on this meter provider")

// Collector reports the runtime, the process and its container at each collect until it is stopped. Its methods are safe
// for concurrent use.
type Collector struct {
	provider      metric.MeterProvider
	runtime       *runtimeReader
	system        *systemReader
	registrations []metric.Registration

	stopOnce sync.Once
	stopErr  error
}

// Start registers the metrics listed in the package comment, except the producer's. Errors are those of the meter
// provider, joined, and ErrStarted; on any error nothing stays registered or open. The Collector must be stopped by its
// owner.
func Start(opts ...Option) (*Collector, error) {
	return start(newConfig(opts), metrics.All())
}

// start reports only what available has, which tests use to play another Go version.
func start(cfg config, available []metrics.Description) (*Collector, error) {
	if !claim(cfg.provider) {
		return nil, ErrStarted
	}
	c := &Collector{provider: cfg.provider, system: newSystemReader(cfg.root)}
	if err := c.register(cfg, available); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Stop unregisters the callbacks and closes the files below /proc: later collects have no points of this Collector. It
// waits for a collect that is under way. Further calls return what the first one did.
func (c *Collector) Stop() error {
	c.stopOnce.Do(func() {
		var errs []error
		for _, r := range c.registrations {
			if err := r.Unregister(); err != nil {
				errs = append(errs, fmt.Errorf("runtimemetrics: unregister: %w", err))
			}
		}
		c.stopErr = errors.Join(errs...)
		c.system.close()
		release(c.provider)
	})
	return c.stopErr
}

func (c *Collector) register(cfg config, available []metrics.Description) error {
	meter := cfg.provider.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	list := runtimeInstruments()
	if cfg.details {
		list = withDetails(list, available)
	}
	c.runtime = newRuntimeReader(list, available)
	var runtimeObs, systemObs []metric.Observable
	var runtimeErr, systemErr error
	c.runtime.series, runtimeObs, runtimeErr = createSeries(meter, list, c.runtime.index)
	c.system.series, systemObs, systemErr = createSeries(meter, systemInstruments(), systemIndex())
	if err := errors.Join(runtimeErr, systemErr); err != nil {
		return err
	}
	// Two callbacks, because they cost differently: one asks the runtime, the other makes system calls.
	for _, r := range []struct {
		observe     metric.Callback
		observables []metric.Observable
	}{
		{c.runtime.observe, runtimeObs},
		{c.system.observe, systemObs},
	} {
		registration, err := meter.RegisterCallback(r.observe, r.observables...)
		if err != nil {
			return fmt.Errorf("runtimemetrics: register callback: %w", err)
		}
		c.registrations = append(c.registrations, registration)
	}
	return nil
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
