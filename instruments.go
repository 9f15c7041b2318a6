package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/internal/guard"
	"github.com/otelnet/agent/internal/version"
)

// ScopeName is the instrumentation scope of the agent's metrics about itself.
const ScopeName = "github.com/otelnet/agent"

// Names, units and attribute of what the agent records about itself.
const (
	metricTickDuration   = "otelnet.agent.tick.duration"
	metricExports        = "otelnet.agent.exports"
	metricExportFailures = "otelnet.agent.export.failures"
	metricSpoolRequests  = "otelnet.agent.spool.requests"
	metricSpoolSize      = "otelnet.agent.spool.size"
	metricSpoolSent      = "otelnet.agent.spool.sent"
	metricSpoolDropped   = "otelnet.agent.spool.dropped"
	metricSpoolRejected  = "otelnet.agent.spool.rejected"

	attrSignal = attribute.Key("otelnet.signal") // metrics or traces
	attrReason = attribute.Key("otelnet.reason") // why the spool dropped a request: size, age, refused, corrupt, disk
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
	meter := mp.Meter(ScopeName, metric.WithInstrumentationVersion(version.Module()))
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
	_, err = meter.RegisterCallback(guard.Callback("agent: collect", func(_ context.Context, obs metric.Observer) error {
		for _, o := range outages {
			signal := metric.WithAttributes(attrSignal.String(o.signal))
			failed := o.failed.Load()
			obs.ObserveInt64(failures, failed, signal)
			obs.ObserveInt64(exports, o.ok.Load()+failed, signal)
		}
		return nil
	}), exports, failures)
	if err != nil {
		return nil, fmt.Errorf("agent: %s: %w", metricExports, err)
	}
	if err := newSpoolInstruments(meter, outages); err != nil {
		return nil, err
	}
	return &instruments{tickDuration: tick}, nil
}

// newSpoolInstruments creates those of the spools, if there are any.
func newSpoolInstruments(meter metric.Meter, outages []*outage) error {
	outages = slices.DeleteFunc(slices.Clone(outages), func(o *outage) bool { return o.spool == nil })
	if len(outages) == 0 {
		return nil
	}
	requests, err1 := meter.Int64ObservableUpDownCounter(metricSpoolRequests,
		metric.WithUnit("{request}"), metric.WithDescription("Requests that wait on disk to be sent."))
	size, err2 := meter.Int64ObservableUpDownCounter(metricSpoolSize,
		metric.WithUnit("By"), metric.WithDescription("Size of the spool's files."))
	sent, err3 := meter.Int64ObservableCounter(metricSpoolSent,
		metric.WithUnit("{request}"), metric.WithDescription("Requests that the receiver took, whether they had to wait or not."))
	dropped, err4 := meter.Int64ObservableCounter(metricSpoolDropped,
		metric.WithUnit("{request}"), metric.WithDescription("Requests that are lost, by reason."))
	rejected, err5 := meter.Int64ObservableCounter(metricSpoolRejected,
		metric.WithUnit("{item}"), metric.WithDescription("Points or spans that the receiver left out of requests that it took."))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	_, err := meter.RegisterCallback(guard.Callback("agent: collect", func(_ context.Context, obs metric.Observer) error {
		for _, o := range outages {
			st, signal := o.spool.Stats(), attrSignal.String(o.signal)
			with := metric.WithAttributes(signal)
			obs.ObserveInt64(requests, st.Requests, with)
			obs.ObserveInt64(size, st.Size, with)
			obs.ObserveInt64(sent, st.Sent, with)
			obs.ObserveInt64(rejected, st.Rejected, with)
			for reason, n := range st.Dropped {
				obs.ObserveInt64(dropped, n, metric.WithAttributes(signal, attrReason.String(string(reason))))
			}
		}
		return nil
	}), requests, size, sent, dropped, rejected)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}

func (i *instruments) ticked(took time.Duration) {
	i.tickDuration.Record(context.Background(), took.Seconds())
}
