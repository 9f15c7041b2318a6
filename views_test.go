package agent

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
)

// A rule's threshold becomes a bucket bound, but a view of the user's is left as it is and never doubled.
func TestViews(t *testing.T) {
	slow := alertproc.Config{Groups: []alertproc.Group{{Name: "g", Rules: []alertproc.Rule{{
		Alert:  "Slow",
		Metric: "test.duration",
		Value:  alertproc.Value{Aggregation: alertproc.Quantile, Arg: 0.99, Over: time.Minute},
		Warn:   alertproc.Above(0.321),
	}}}}}
	own := sdkmetric.NewView(sdkmetric.Instrument{Name: "test.duration"}, sdkmetric.Stream{
		Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: []float64{1, 2}},
	})
	tests := []struct {
		name        string
		user        []sdkmetric.View
		exponential bool
		want        func(bounds []float64) bool
	}{
		{"none of the user's", nil, false, func(b []float64) bool { return slices.Contains(b, 0.321) && slices.Contains(b, 0.25) }},
		{"one of the user's", []sdkmetric.View{own}, false, func(b []float64) bool { return slices.Equal(b, []float64{1, 2}) }},
		{"exponential", nil, true, func(b []float64) bool { return !slices.Contains(b, 0.321) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reader := sdkmetric.NewManualReader()
			mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(views(test.user, slow, test.exponential)...))
			h, err := mp.Meter("test").Float64Histogram("test.duration", metric.WithUnit("s"))
			if err != nil {
				t.Fatal(err)
			}
			h.Record(context.Background(), 0.3)
			var rm metricdata.ResourceMetrics
			if err := reader.Collect(t.Context(), &rm); err != nil {
				t.Fatal(err)
			}
			streams := rm.ScopeMetrics[0].Metrics
			if len(streams) != 1 {
				t.Fatalf("%d streams, want 1", len(streams))
			}
			if got := streams[0].Data.(metricdata.Histogram[float64]).DataPoints[0].Bounds; !test.want(got) {
				t.Errorf("bounds = %v", got)
			}
		})
	}
}
