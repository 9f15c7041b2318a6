package runtimemetrics_test

import (
	"context"
	"fmt"
	"log"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/runtimemetrics"
)

func Example() {
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(runtimemetrics.NewProducer()))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(context.Background())

	c, err := runtimemetrics.Start(runtimemetrics.WithMeterProvider(provider))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Stop()

	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		log.Fatal(err)
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == "go.goroutine.count" || m.Name == "go.schedule.duration" {
				fmt.Println(m.Name, m.Unit)
			}
		}
	}
	// Unordered output:
	// go.goroutine.count {goroutine}
	// go.schedule.duration s
}

// A reader that needs no Start.
func ExampleWithAll() {
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(
		runtimemetrics.NewProducer(runtimemetrics.WithAll(), runtimemetrics.WithoutProcess())))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(context.Background())

	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		log.Fatal(err)
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == "go.goroutine.count" || m.Name == "go.schedule.duration" {
				fmt.Println(m.Name, m.Unit)
			}
		}
	}
	// Unordered output:
	// go.goroutine.count {goroutine}
	// go.schedule.duration s
}
