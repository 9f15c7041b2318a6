package agent

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// tracing tells whether spans were asked for.
func tracing(c config, s settings) bool {
	return c.spanExporter != nil || s.tracesExporter != exporterNone
}

// newTracerProvider builds the tracer provider; the sampler and the batches' limits come from the environment.
func newTracerProvider(
	ctx context.Context, c config, s settings, res *resource.Resource,
) (*sdktrace.TracerProvider, *outage, error) {
	exporter := c.spanExporter
	var kept *spooled
	var err error
	switch {
	case exporter != nil:
	case s.tracesExporter == exporterConsole:
		exporter, err = stdouttrace.New()
	default:
		exporter, kept, err = newOTLPSpans(ctx, c, s.tracesProtocol)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("agent: traces exporter: %w", err)
	}
	o := &outage{signal: signalTraces, logger: c.log, spool: kept}
	return sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(spanExporter{exporter, o}),
		sdktrace.WithResource(res),
	), o, nil
}

// newPropagator is what OTEL_PROPAGATORS names; "none" among others means none.
func newPropagator(s settings) propagation.TextMapPropagator {
	var all []propagation.TextMapPropagator
	if slices.Contains(s.propagators, "none") {
		return propagation.NewCompositeTextMapPropagator()
	}
	if slices.Contains(s.propagators, "tracecontext") {
		all = append(all, propagation.TraceContext{})
	}
	if slices.Contains(s.propagators, "baggage") {
		all = append(all, propagation.Baggage{})
	}
	return propagation.NewCompositeTextMapPropagator(all...)
}
