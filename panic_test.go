package agent

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// brokenMetrics and brokenSpans are exporters of the service's with a bug.
type brokenMetrics struct{ *recorder }

func (brokenMetrics) Export(context.Context, *metricdata.ResourceMetrics) error { panic("no metrics") }

func (brokenMetrics) Shutdown(context.Context) error { panic("no end of metrics") }

type brokenSpans struct{}

func (brokenSpans) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { panic("no spans") }
func (brokenSpans) Shutdown(context.Context) error                             { panic("no end of spans") }

// The SDK calls exporters in goroutines of its own, where a panic would end the service.
func TestExportersThatPanic(t *testing.T) {
	clearEnv(t)
	var log bytes.Buffer
	a, err := Start(t.Context(), WithoutGlobals(), WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		WithMetricExporter(brokenMetrics{new(recorder)}), WithSpanExporter(brokenSpans{}))
	if err != nil {
		t.Fatal(err)
	}
	_, span := a.TracerProvider().Tracer("test").Start(t.Context(), "work")
	span.End()
	err = a.ForceFlush(t.Context())
	for _, want := range []string{"the exporter panicked: no metrics", "the exporter panicked: no spans"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ForceFlush: %v, want it to say %q", err, want)
		}
	}
	err = a.Shutdown(t.Context())
	for _, want := range []string{"shut down metrics: the exporter panicked: no end of metrics", "shut down traces: the exporter panicked: no end of spans"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Shutdown: %v, want it to say %q", err, want)
		}
	}
	if n := strings.Count(log.String(), "export fails"); n != 2 {
		t.Errorf("%d lines tell of the two outages:\n%s", n, log.String())
	}
}

// A part of the metrics that cannot be had does not take the others with it.
func TestProducersThatPanic(t *testing.T) {
	all := producer{producing(func() []metricdata.ScopeMetrics { panic("a bug") }), producing(func() []metricdata.ScopeMetrics {
		return make([]metricdata.ScopeMetrics, 1)
	})}
	scopes, err := all.Produce(t.Context())
	if len(scopes) != 1 || err == nil || err.Error() != "agent: collect panicked: a bug" {
		t.Errorf("%d scopes, error %v", len(scopes), err)
	}
}

type producing func() []metricdata.ScopeMetrics

var _ sdkmetric.Producer = producing(nil)

func (p producing) Produce(context.Context) ([]metricdata.ScopeMetrics, error) { return p(), nil }
