package agent

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// ScopeName is the instrumentation scope of the agent's metrics about itself.
const ScopeName = "github.com/otelnet/agent"

// Names, units and attribute of what the agent records about itself.
const (
	metricTickDuration   = "otelnet.agent.tick.duration"
	metricExports        = "otelnet.agent.exports"
	metricExportFailures = "otelnet.agent.export.failures"

	attrSignal = attribute.Key("otelnet.signal") // metrics or traces
)

// tickBounds are for a step that should take microseconds to a few milliseconds.
var tickBounds = []float64{
	.000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5,
}

// instruments are the agent's own.
type instruments struct {
	tickDuration metric.Float64Histogram
}

// newInstruments creates them. The outages are read at every collection.
func newInstruments(mp metric.MeterProvider, outages ...*outage) (*instruments, error) {
	meter := mp.Meter(ScopeName)
	tick, err := meter.Float64Histogram(metricTickDuration,
		metric.WithUnit("s"),
		metric.WithDescription("Time the agent took to collect a snapshot, evaluate the rules on it and keep it."),
		metric.WithExplicitBucketBoundaries(tickBounds...))
	if err != nil {
		return nil, fmt.Errorf("agent: %s: %w", metricTickDuration, err)
	}
	exports, err := meter.Int64ObservableCounter(metricExports,
		metric.WithUnit("{export}"), metric.WithDescription("Export requests made, failed ones included."))
	if err != nil {
		return nil, fmt.Errorf("agent: %s: %w", metricExports, err)
	}
	failures, err := meter.Int64ObservableCounter(metricExportFailures,
		metric.WithUnit("{export}"), metric.WithDescription("Export requests that failed after the exporter's own retries."))
	if err != nil {
		return nil, fmt.Errorf("agent: %s: %w", metricExportFailures, err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, obs metric.Observer) error {
		for _, o := range outages {
			signal := metric.WithAttributes(attrSignal.String(o.signal))
			failed := o.failed.Load()
			obs.ObserveInt64(failures, failed, signal)
			obs.ObserveInt64(exports, o.ok.Load()+failed, signal)
		}
		return nil
	}, exports, failures)
	if err != nil {
		return nil, fmt.Errorf("agent: %s: %w", metricExports, err)
	}
	return &instruments{tickDuration: tick}, nil
}

func (i *instruments) ticked(took time.Duration) {
	i.tickDuration.Record(context.Background(), took.Seconds())
}
