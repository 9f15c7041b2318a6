package runtimemetrics

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/metrics"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelnet/agent/internal/guard"
	"github.com/otelnet/agent/internal/version"
)

// ErrStarted is returned by Start when a Collector already reports to the same meter provider: the SDK would add the
// two, and every value would be twice what it is.
var ErrStarted = errors.New("runtimemetrics: already started on this meter provider")

var errHistogramsOnly = errors.New("runtimemetrics: WithProducer: the producer gives histograms only, allowed: one made WithAll and not stopped")

// Collector reports the runtime, the process and its container at each collect until it is stopped. Its methods are safe
// for concurrent use.
type Collector struct {
	provider      metric.MeterProvider
	runtime       *runtimeReader
	system        *systemReader // nil WithoutProcess
	producer      *Producer     // WithProducer, which then has both of the above
	registrations []metric.Registration

	stopOnce sync.Once
	stopErr  error
}

// Start registers the metrics listed in the package comment, except the producer's. Errors are those of the meter
// provider, joined, and ErrStarted; on any error nothing stays registered or open. The Collector must be stopped by its
// owner. One that was started on the global provider before there was any gives way to the Collector of the one that is set, such as the
// agent's: nothing is counted twice.
func Start(opts ...Option) (*Collector, error) {
	return start(newConfig(opts), metrics.All())
}

// start reports only what available has, which tests use to play another Go version.
func start(cfg config, available []metrics.Description) (*Collector, error) {
	if cfg.producer != nil && !cfg.producer.gives() {
		return nil, errHistogramsOnly
	}
	if !claim(cfg.provider) {
		return nil, ErrStarted
	}
	if cfg.producer != nil {
		return &Collector{provider: cfg.provider, producer: cfg.producer}, nil
	}
	c := &Collector{provider: cfg.provider}
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
		if c.system != nil {
			c.system.close()
		}
		if c.producer != nil {
			c.producer.stop()
		}
		release(c.provider)
	})
	return c.stopErr
}

func (c *Collector) register(cfg config, available []metrics.Description) error {
	meter := cfg.provider.Meter(ScopeName, metric.WithInstrumentationVersion(version.Module()), metric.WithSchemaURL(semconv.SchemaURL))
	list := cfg.runtimeInstruments(available)
	c.runtime = newRuntimeReader(list, available)
	var observables []metric.Observable
	var err error
	if c.runtime.series, observables, err = createSeries(meter, list, c.runtime.index); err != nil {
		return err
	}
	if err := c.call(meter, c.runtime.observe, observables); err != nil || cfg.withoutProcess {
		return err
	}
	// A callback of its own, because it costs system calls.
	c.system = newSystemReader(cfg.root)
	if c.system.series, observables, err = createSeries(meter, systemInstruments(), systemIndex()); err != nil {
		return err
	}
	return c.call(meter, c.system.observe, observables)
}

func (c *Collector) call(meter metric.Meter, back metric.Callback, observables []metric.Observable) error {
	r, err := meter.RegisterCallback(guard.Callback("runtimemetrics: collect", func(ctx context.Context, o metric.Observer) error {
		if superseded(c.provider) {
			return nil
		}
		return back(ctx, o)
	}), observables...)
	if err != nil {
		return fmt.Errorf("runtimemetrics: register callback: %w", err)
	}
	c.registrations = append(c.registrations, r)
	return nil
}

// runtimeInstruments lists what c asks for of the runtime.
func (c config) runtimeInstruments(available []metrics.Description) []instrument {
	list := runtimeInstruments()
	if c.details {
		list = withDetails(list, available)
	}
	return list
}

var (
	startedMu sync.Mutex
	started   = map[metric.MeterProvider]bool{}
)

// unsetProvider is what the global provider is before anyone sets one. It then passes everything on to that.
var unsetProvider = otel.GetMeterProvider()

// globalProvider is what the global provider is now. It can be set for the first time once in a process, so tests put theirs here.
var globalProvider = otel.GetMeterProvider

// claim says false if p has a Collector already, or has one through the global provider of before it was set. Only
// pointers have an identity to tell: two noop providers are equal values, and starting on both is no mistake.
func claim(p metric.MeterProvider) bool {
	if reflect.TypeOf(p).Kind() != reflect.Pointer {
		return true
	}
	startedMu.Lock()
	defer startedMu.Unlock()
	if started[p] || started[unsetProvider] && p == otel.GetMeterProvider() {
		return false
	}
	started[p] = true
	return true
}

// superseded reports whether a Collector on p would tell again what another tells: it was started before there was a global provider, and
// the one that was set since has a Collector of its own, as the agent's has.
func superseded(p metric.MeterProvider) bool {
	if p != unsetProvider {
		return false
	}
	set := globalProvider()
	if set == unsetProvider || reflect.TypeOf(set).Kind() != reflect.Pointer {
		return false
	}
	startedMu.Lock()
	defer startedMu.Unlock()
	return started[set]
}

func release(p metric.MeterProvider) {
	if reflect.TypeOf(p).Kind() != reflect.Pointer {
		return
	}
	startedMu.Lock()
	defer startedMu.Unlock()
	delete(started, p)
}
