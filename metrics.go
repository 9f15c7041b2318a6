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
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/internal/guard"
	"github.com/otelnet/agent/internal/histogram"
	"github.com/otelnet/agent/otelnet"
	"github.com/otelnet/agent/runtimemetrics"
)

// metricPipeline is the way of the numbers: one provider, the reader that the tick collects from, the exporter.
type metricPipeline struct {
	provider provider
	tick     collector    // what the tick collects from
	outage   *outage      // nil where nothing is pushed
	scrape   http.Handler // nil unless the prometheus exporter is on
	runtime  *runtimemetrics.Producer
	started  bool // runtime gives all that runtimemetrics.Start would
}

// provider is the SDK's, or the SDK's with the histograms of requests bound; see internal/histogram.
type provider interface {
	metric.MeterProvider
	ForceFlush(context.Context) error
	Shutdown(context.Context) error
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
	filter := exemplarFilter(s.exemplarFilter, tracing)
	bound := histogram.New(histogram.Config{
		Scope:       otelnet.ScopeName,
		Views:       chosen,
		Limit:       c.cardinalityLimit,
		Exemplars:   filter,
		Aggregation: aggregationOf(pushed),
	})
	binds := pushed == nil || !hasDelta(pushed)
	producers := []sdkmetric.Producer{p.runtime}
	if binds {
		producers = append(producers, bound)
	}
	produced := producer(producers)
	var readers []sdkmetric.Reader
	switch {
	case pushed == nil && s.metricsExporter == exporterPrometheus:
		registry := prometheus.NewRegistry()
		exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithProducer(produced))
		if err != nil {
			return nil, fmt.Errorf("agent: prometheus exporter: %w", err)
		}
		p.scrape = promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, EnableOpenMetrics: true}) // exemplars need it
		p.tick, readers = exporter, append(readers, exporter)
	case pushed == nil:
		reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(produced))
		p.tick, readers = reader, append(readers, reader)
	default:
		p.outage = &outage{signal: signalMetrics, logger: c.log, spool: kept}
		reader := sdkmetric.NewPeriodicReader(metricExporter{pushed, p.outage}, sdkmetric.WithProducer(produced))
		p.tick, readers = reader, append(readers, reader)
		if hasDelta(pushed) {
			// A collection under delta temporality takes the interval away from the export.
			own := sdkmetric.NewManualReader(sdkmetric.WithProducer(produced))
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
	if filter == nil {
		opts = append(opts, sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter))
	}
	sdk := sdkmetric.NewMeterProvider(opts...)
	if p.provider = sdk; binds {
		p.provider = bound.Provider(sdk)
	}
	return p, nil
}

// exemplarFilter is what the SDK makes of the setting, nil for no exemplars at all: they point at traces, and without
// any their reservoirs cost four times the memory of a histogram series.
func exemplarFilter(setting string, tracing bool) exemplar.Filter {
	switch setting {
	case "always_on":
		return exemplar.AlwaysOnFilter
	case "always_off":
		return nil
	case "":
		if !tracing {
			return nil
		}
	}
	return exemplar.TraceBasedFilter
}

func aggregationOf(e sdkmetric.Exporter) sdkmetric.AggregationSelector {
	if e == nil {
		return nil
	}
	return e.Aggregation
}

// producer joins several into one, which is what the reader of the prometheus exporter can take.
type producer []sdkmetric.Producer

func (p producer) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	var all []metricdata.ScopeMetrics
	var errs []error
	for _, one := range p {
		errs = append(errs, guard.Call("agent: collect", func() error {
			scopes, err := one.Produce(ctx)
			all = append(all, scopes...)
			return err
		}))
	}
	return all, errors.Join(errs...)
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
	case c.toFile:
		if exporter, err = newFileExporter(ctx, c.file); err != nil {
			err = fmt.Errorf("WithMetricsFile, %s: %w", envFile, err)
		}
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
