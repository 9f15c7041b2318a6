package report_test

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/report"
)

// Ten minutes of a queue that gets longer, from a process's own history.
func ExampleBuild() {
	store, err := history.New(history.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for i := range int64(121) {
		store.Append(noon.Add(time.Duration(i-120)*5*time.Second), &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
			Metrics: []metricdata.Metrics{{Name: "queue.length", Unit: "{job}", Data: metricdata.Gauge[int64]{
				DataPoints: []metricdata.DataPoint[int64]{{Value: 100 + i}},
			}}},
		}}})
	}
	r, err := report.Build(context.Background(), report.FromHistory(store, report.Service{Name: "worker"}), report.Options{
		Range: 10 * time.Minute, Until: noon,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	row := r.Rows[0]
	fmt.Printf("%s: avg %.0f, from %.0f to %.0f, %+.0f an hour\n", row.Label, row.Avg, row.Min, row.Max, row.SlopeAvg)
	fmt.Println(r.Trends[0].Text)
	// Output:
	// queue.length: avg 160, from 101 to 220, +720 an hour
	// queue.length grows by 720/h; in 10 min it is about 340
}
