package history_test

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
)

// Snapshots of a reader go in; requests by status come out, whatever route they were for.
func Example() {
	ctx := context.Background()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(ctx)
	requests, err := provider.Meter("example").Int64Counter("requests")
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := history.New(history.Config{Keep: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}

	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var rm metricdata.ResourceMetrics // reused for each snapshot
	for i := range 3 {
		for _, route := range []string{"/a", "/b"} {
			requests.Add(ctx, int64(10*i), metric.WithAttributes(attribute.String("route", route), attribute.Int("status", 200)))
		}
		if err := reader.Collect(ctx, &rm); err != nil {
			fmt.Println(err)
			return
		}
		store.Append(noon.Add(time.Duration(i)*5*time.Second), &rm)
	}

	result := store.Query(history.Query{
		Since:  noon,
		Select: []history.Selector{{Metric: "requests", By: []string{"status"}}},
	})
	for _, s := range result.Series {
		fmt.Println(s.Attributes["status"], s.Values, "since", result.Start.UTC().Format(time.TimeOnly))
	}
	// Output: 200 [20 40] since 12:00:00
}
