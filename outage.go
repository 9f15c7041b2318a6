package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelnet/agent/internal/guard"
	"github.com/otelnet/agent/spool"
)

// The signals, as otelnet.signal has them.
const (
	signalMetrics = "metrics"
	signalTraces  = "traces"
)

// outage watches one signal's exports: it counts them, and writes one line when they begin to fail and one when they
// work again, however many fail in between.
type outage struct {
	signal string // signalMetrics or signalTraces
	logger func() *slog.Logger
	spool  *spooled // what keeps the exports meanwhile; nil without one
	ok     atomic.Int64
	failed atomic.Int64
	mute   atomic.Bool // of an agent that did not come to start: nothing is to be exported

	mu    sync.Mutex
	err   error     // of the last export; nil if it succeeded
	since time.Time // when the present outage began
	lost  int       // failed exports of the present outage
}

func (o *outage) record(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var queued *spool.QueuedError
	kept := errors.As(err, &queued)
	if kept && queued.Cause == nil {
		// The receiver answers, and is given what waited before. That neither begins an outage nor ends one.
		o.ok.Add(1)
		return
	}
	was := o.err
	o.err = err
	switch {
	case err != nil && was == nil:
		o.since, o.lost = time.Now(), 1
		if kept {
			o.logger().Warn("otelnet: export fails, keeping exports on disk", hinted(queued.Cause, "signal", o.signal)...)
			break
		}
		o.logger().Warn("otelnet: export fails, going on without", hinted(err, "signal", o.signal)...)
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

// flush waits until what was exported has arrived, and says why if it has not.
func (o *outage) flush(ctx context.Context) error {
	err := o.last()
	if o.spool != nil && (err == nil || isKept(err)) {
		return o.spool.Flush(ctx)
	}
	return err
}

// undelivered is the last export's error after the exporter has been shut down, when nothing comes after it. What a spool kept is not lost.
func (o *outage) undelivered() error {
	if err := o.last(); !isKept(err) {
		return err
	}
	return nil
}

func isKept(err error) bool {
	var queued *spool.QueuedError
	return errors.As(err, &queued)
}

// metricExporter hands exports on and reports their errors to the outage instead of the reader, which would write a
// line to OpenTelemetry's global error handler at every interval. The SDK calls it in goroutines of its own, where a panic of the
// service's exporter would end the service.
type metricExporter struct {
	sdkmetric.Exporter
	outage *outage
}

func (e metricExporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if !e.outage.mute.Load() {
		rm = mergeScopes(rm)
		e.outage.record(guard.Call("the exporter", func() error {
			err := e.Exporter.Export(ctx, rm)
			if isInvalidText(err) {
				err = e.Exporter.Export(ctx, withValidText(rm))
			}
			return err
		}))
	}
	return nil
}

func (e metricExporter) ForceFlush(ctx context.Context) error {
	return guard.Call("the exporter", func() error { return e.Exporter.ForceFlush(ctx) })
}

func (e metricExporter) Shutdown(ctx context.Context) error {
	return guard.Call("the exporter", func() error { return e.Exporter.Shutdown(ctx) })
}

// spanExporter does the same for spans.
type spanExporter struct {
	sdktrace.SpanExporter
	outage *outage
}

func (e spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if !e.outage.mute.Load() {
		e.outage.record(guard.Call("the exporter", func() error {
			err := e.SpanExporter.ExportSpans(ctx, spans)
			if isInvalidText(err) {
				err = e.SpanExporter.ExportSpans(ctx, withValidSpans(spans))
			}
			return err
		}))
	}
	return nil
}

func (e spanExporter) Shutdown(ctx context.Context) error {
	return guard.Call("the exporter", func() error { return e.SpanExporter.Shutdown(ctx) })
}
