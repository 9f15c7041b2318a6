package capture

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/internal/guard"
	"github.com/otelnet/agent/internal/version"
)

// ScopeName is the instrumentation scope of this package's metrics.
const ScopeName = "github.com/otelnet/agent/capture"

// The instruments. The package comment lists them.
const (
	metricCaptures    = "otelnet.agent.captures"
	metricCaptureSize = "otelnet.agent.capture.size"

	attrReason  = attribute.Key("otelnet.capture.reason")
	attrOutcome = attribute.Key("otelnet.outcome")
)

// What becomes of a request.
const (
	outcomeCaptured   = "captured"
	outcomeIncomplete = "incomplete" // some of it failed
	outcomeAttached   = "attached"   // to another capture
	outcomeRefused    = "refused"    // for the sake of a limit, and there is no other
)

func outcomeOf(attached bool) string {
	if attached {
		return outcomeAttached
	}
	return outcomeRefused
}

type meters struct {
	captures     metric.Int64Counter
	registration metric.Registration
}

func newMeters(mp metric.MeterProvider, size func() int64) (*meters, error) {
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	meter := mp.Meter(ScopeName, metric.WithInstrumentationVersion(version.Module()))
	captures, err := meter.Int64Counter(metricCaptures,
		metric.WithUnit("{capture}"), metric.WithDescription("Requests for a capture of evidence, by what became of them."))
	if err != nil {
		return nil, fmt.Errorf("capture: %s: %w", metricCaptures, err)
	}
	stored, err := meter.Int64ObservableGauge(metricCaptureSize,
		metric.WithUnit("By"), metric.WithDescription("What the captures that are kept take up on disk."))
	if err != nil {
		return nil, fmt.Errorf("capture: %s: %w", metricCaptureSize, err)
	}
	registration, err := meter.RegisterCallback(guard.Callback("capture: collect", func(_ context.Context, obs metric.Observer) error {
		obs.ObserveInt64(stored, size())
		return nil
	}), stored)
	if err != nil {
		return nil, fmt.Errorf("capture: %s: %w", metricCaptureSize, err)
	}
	return &meters{captures, registration}, nil
}

func (m *meters) count(reason Reason, outcome string) {
	m.captures.Add(context.Background(), 1,
		metric.WithAttributes(attrReason.String(string(reason)), attrOutcome.String(outcome)))
}

func (m *meters) close() error { return m.registration.Unregister() }
