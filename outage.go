package agent

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// outage watches one signal's exports: it counts them, and writes one line when they begin to fail and one when they
// work again, however many fail in between.
type outage struct {
	signal string // "metrics" or "traces"
	logger func() *slog.Logger
	ok     atomic.Int64
	failed atomic.Int64

	mu    sync.Mutex
	err   error     // of the last export; nil if it succeeded
	since time.Time // when the present outage began
	lost  int       // failed exports of the present outage
}

func (o *outage) record(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.err
	o.err = err
	switch {
	case err != nil && was == nil:
		o.since, o.lost = time.Now(), 1
		o.logger().Warn("otelnet: export fails, going on without", "signal", o.signal, "error", err)
	case err != nil:
		o.lost++
	case was != nil:
		o.logger().Info("otelnet: export works again", "signal", o.signal,
			"outage", time.Since(o.since).Round(time.Millisecond), "failed_exports", o.lost)
	}
	if err != nil {
		o.failed.Add(1)
	} else {
		o.ok.Add(1)
	}
}

// last returns the error of the last export, nil after a success and before the first.
func (o *outage) last() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// metricExporter hands exports on and reports their errors to the outage instead of the reader, which would write a
// line to OpenTelemetry's global error handler at every interval.
type metricExporter struct {
	sdkmetric.Exporter
	outage *outage
}

func (e metricExporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	e.outage.record(e.Exporter.Export(ctx, rm))
	return nil
}

// spanExporter does the same for spans.
type spanExporter struct {
	sdktrace.SpanExporter
	outage *outage
}

func (e spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.outage.record(e.SpanExporter.ExportSpans(ctx, spans))
	return nil
}
