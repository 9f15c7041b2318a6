package agent

import (
	"context"
	"reflect"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/runtimemetrics"
)

// newRuntimeProducer returns what gives the readers the Go runtime's metrics: all of them, which costs a third of what the
// SDK takes to make the same points of callbacks, or the histograms alone where the SDK has something to do to the
// others. That is so if a view matches one of them, or if the exporter, nil for none, wants another temporality or
// aggregation than the usual.
func newRuntimeProducer(views []sdkmetric.View, exporter sdkmetric.Exporter) (p *runtimemetrics.Producer, all bool) {
	if usual(exporter) && !matchesRuntime(views) {
		return runtimemetrics.NewProducer(runtimemetrics.WithAll()), true
	}
	return runtimemetrics.NewProducer(), false
}

// observable are the kinds of the runtime's instruments.
var observable = []sdkmetric.InstrumentKind{
	sdkmetric.InstrumentKindObservableCounter, sdkmetric.InstrumentKindObservableUpDownCounter, sdkmetric.InstrumentKindObservableGauge,
}

func usual(e sdkmetric.Exporter) bool {
	if e == nil {
		return true
	}
	for _, kind := range observable {
		if e.Temporality(kind) != metricdata.CumulativeTemporality {
			return false
		}
		switch a := e.Aggregation(kind); a.(type) {
		case nil, sdkmetric.AggregationDefault:
		default:
			if !reflect.DeepEqual(a, sdkmetric.DefaultAggregationSelector(kind)) {
				return false
			}
		}
	}
	return true
}

// matchesRuntime asks the views themselves, by a provider that is there for this question only.
func matchesRuntime(views []sdkmetric.View) bool {
	if len(views) == 0 {
		return false
	}
	var matched bool
	asking := make([]sdkmetric.View, 0, len(views))
	for _, v := range views {
		asking = append(asking, func(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
			if _, ok := v(i); ok {
				matched = true
			}
			return sdkmetric.Stream{}, false
		})
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()), sdkmetric.WithView(asking...))
	defer provider.Shutdown(context.Background())
	c, err := runtimemetrics.Start(runtimemetrics.WithMeterProvider(provider))
	if err != nil {
		return true // Start on the real provider will say it again
	}
	c.Stop()
	return matched
}
