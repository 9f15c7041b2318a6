package history_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
)

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newStore(t testing.TB, cfg history.Config) *history.Store {
	t.Helper()
	s, err := history.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func snapshot(metrics ...metricdata.Metrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: "test"}, Metrics: metrics,
	}}}
}

func gauge[N int64 | float64](name string, points ...metricdata.DataPoint[N]) metricdata.Metrics {
	return metricdata.Metrics{Name: name, Unit: "{thing}", Data: metricdata.Gauge[N]{DataPoints: points}}
}

func counter[N int64 | float64](name string, points ...metricdata.DataPoint[N]) metricdata.Metrics {
	return metricdata.Metrics{Name: name, Unit: "By", Data: metricdata.Sum[N]{
		DataPoints: points, IsMonotonic: true, Temporality: metricdata.CumulativeTemporality,
	}}
}

func point[N int64 | float64](v N, kv ...attribute.KeyValue) metricdata.DataPoint[N] {
	return metricdata.DataPoint[N]{Value: v, Attributes: attribute.NewSet(kv...)}
}

func histogram(name string, points ...metricdata.HistogramDataPoint[float64]) metricdata.Metrics {
	return metricdata.Metrics{Name: name, Unit: "s", Data: metricdata.Histogram[float64]{
		DataPoints: points, Temporality: metricdata.CumulativeTemporality,
	}}
}

var bounds = []float64{0.1, 1}

func buckets(sum float64, counts []uint64, kv ...attribute.KeyValue) metricdata.HistogramDataPoint[float64] {
	var n uint64
	for _, c := range counts {
		n += c
	}
	return metricdata.HistogramDataPoint[float64]{
		Count: n, Sum: sum, Bounds: bounds, BucketCounts: counts, Attributes: attribute.NewSet(kv...),
	}
}

func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
