package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/runtimemetrics"
)

// metricPipeline is the way of the numbers: one provider, the reader that the tick collects from, the exporter.
type metricPipeline struct {
	provider *sdkmetric.MeterProvider
	tick     collector    // what the tick collects from
	outage   *outage      // nil where nothing is pushed
	scrape   http.Handler // nil unless the prometheus exporter is on
	runtime  *runtimemetrics.Producer
	started  bool // runtime gives all that runtimemetrics.Start would
}

// collector is the part of a reader that the tick needs.
type collector interface {
	Collect(context.Context, *metricdata.ResourceMetrics) error
}

// newMetricPipeline builds the provider. Nothing has been exported or started when it returns an error.
func newMetricPipeline(
	ctx context.Context, c config, s settings, res *resource.Resource, rules alertproc.Config, tracing bool,
) (*metricPipeline, error) {
	p := &metricPipeline{}
	chosen := views(c.views, rules, s.exponential)
	pushed, kept, err := newMetricExporter(ctx, c, s)
	if err != nil {
		return nil, err
	}
	p.runtime, p.started = newRuntimeProducer(chosen, pushed)
	produced := sdkmetric.WithProducer(p.runtime)
	var readers []sdkmetric.Reader
	switch {
	case pushed == nil && s.metricsExporter == exporterPrometheus:
		registry := prometheus.NewRegistry()
		exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithProducer(p.runtime))
		if err != nil {
			return nil, fmt.Errorf("agent: prometheus exporter: %w", err)
		}
		p.scrape = promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry})
		p.tick, readers = exporter, append(readers, exporter)
	case pushed == nil:
		reader := sdkmetric.NewManualReader(produced)
		p.tick, readers = reader, append(readers, reader)
	default:
		p.outage = &outage{signal: signalMetrics, logger: c.log, spool: kept}
		reader := sdkmetric.NewPeriodicReader(metricExporter{pushed, p.outage}, produced)
		p.tick, readers = reader, append(readers, reader)
		if hasDelta(pushed) {
			// A collection under delta temporality takes the interval away from the export.
			own := sdkmetric.NewManualReader(produced)
			p.tick, readers = own, append(readers, own)
		}
	}
	opts := []sdkmetric.Option{
		sdkmetric.WithResource(res),
		sdkmetric.WithCardinalityLimit(c.cardinalityLimit),
		sdkmetric.WithView(chosen...),
	}
	for _, r := range readers {
		opts = append(opts, sdkmetric.WithReader(r))
	}
	if !tracing && s.exemplarFilter == "" {
		// Exemplars point at traces. Without any, their reservoirs cost four times the memory of a histogram series.
		opts = append(opts, sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter))
	}
	p.provider = sdkmetric.NewMeterProvider(opts...)
	return p, nil
}

// startRuntime makes the provider report the Go runtime, where the producer does not do so already.
func (p *metricPipeline) startRuntime() (*runtimemetrics.Collector, error) {
	opts := []runtimemetrics.Option{runtimemetrics.WithMeterProvider(p.provider)}
	if p.started {
		opts = append(opts, runtimemetrics.WithProducer(p.runtime))
	}
	return runtimemetrics.Start(opts...)
}

// newMetricExporter returns the exporter of the option or the one the environment chooses, nil where nothing is pushed, and the spool
// below it, nil where there is none. None connects yet.
func newMetricExporter(ctx context.Context, c config, s settings) (exporter sdkmetric.Exporter, kept *spooled, err error) {
	switch {
	case c.metricExporter != nil:
		return c.metricExporter, nil, nil
	case s.metricsExporter == exporterPrometheus || s.metricsExporter == exporterNone:
		return nil, nil, nil
	case s.metricsExporter == exporterConsole:
		exporter, err = stdoutmetric.New()
	default:
		exporter, kept, err = newOTLPMetrics(ctx, c, s.metricsProtocol)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("agent: metrics exporter: %w", err)
	}
	return exporter, kept, nil
}

// hasDelta tells whether the exporter asks for delta temporality of any instrument.
func hasDelta(e sdkmetric.Exporter) bool {
	for kind := sdkmetric.InstrumentKindCounter; kind <= sdkmetric.InstrumentKindGauge; kind++ {
		if e.Temporality(kind) == metricdata.DeltaTemporality {
			return true
		}
	}
	return false
}

// shutdown exports what is left. An export that failed is an error here, since nothing comes after it.
func (p *metricPipeline) shutdown(ctx context.Context) error {
	err := p.provider.Shutdown(ctx)
	if p.outage != nil {
		err = errors.Join(err, p.outage.undelivered())
	}
	return err
}
