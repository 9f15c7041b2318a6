package otlpjson

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

func text(k, v string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: k, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v}}}
}

// What the reference implementation of protobuf's JSON writes is read, with enums as numbers and as names.
func TestReadsWhatProtobufWrites(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	ns := uint64(at.UnixNano())
	attrs := []*commonpb.KeyValue{
		text("s", "x"),
		{Key: "i", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: math.MinInt64}}},
		{Key: "b", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}},
		{Key: "d", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: 0.1}}},
	}
	set := attribute.NewSet(attribute.String("s", "x"), attribute.Int64("i", math.MinInt64), attribute.Bool("b", true), attribute.Float64("d", 0.1))
	sum := 7.5
	req := &collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "shop")}},
		ScopeMetrics: []*metricspb.ScopeMetrics{{
			Scope: &commonpb.InstrumentationScope{Name: "scope", Version: "1"},
			Metrics: []*metricspb.Metric{
				{Name: "g", Unit: "s", Description: "about", Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: []*metricspb.NumberDataPoint{
					{Attributes: attrs, TimeUnixNano: ns - 1, Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: math.Inf(-1)}},
					{TimeUnixNano: ns, Flags: 1},
				}}}},
				{Name: "c", Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
					AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, IsMonotonic: true,
					DataPoints: []*metricspb.NumberDataPoint{{TimeUnixNano: ns, Value: &metricspb.NumberDataPoint_AsInt{AsInt: 1 << 53}}},
				}}},
				{Name: "h", Data: &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{
					AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
					DataPoints:             []*metricspb.HistogramDataPoint{{TimeUnixNano: ns, Count: 3, Sum: &sum, BucketCounts: []uint64{1, 0, 2}, ExplicitBounds: []float64{0.5, 1}}},
				}}},
				{Name: "e", Data: &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: &metricspb.ExponentialHistogram{
					AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
					DataPoints: []*metricspb.ExponentialHistogramDataPoint{{
						TimeUnixNano: ns, Count: 4, Sum: &sum, Scale: -2, ZeroCount: 1, ZeroThreshold: 1e-9,
						Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{Offset: -3, BucketCounts: []uint64{1, 2}},
						Negative: &metricspb.ExponentialHistogramDataPoint_Buckets{},
					}},
				}}},
			},
		}},
	}}}
	want := metricdata.ScopeMetrics{Metrics: []metricdata.Metrics{
		{Name: "g", Unit: "s", Description: "about", Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{{Attributes: set, Value: math.Inf(-1)}}}},
		{Name: "c", Data: metricdata.Sum[float64]{Temporality: metricdata.DeltaTemporality, IsMonotonic: true, DataPoints: []metricdata.DataPoint[float64]{{Value: 1 << 53}}}},
		{Name: "h", Data: metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.HistogramDataPoint[float64]{
			{Count: 3, Sum: 7.5, Bounds: []float64{0.5, 1}, BucketCounts: []uint64{1, 0, 2}},
		}}},
		{Name: "e", Data: metricdata.ExponentialHistogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{
			{Count: 4, Sum: 7.5, Scale: -2, ZeroCount: 1, ZeroThreshold: 1e-9, PositiveBucket: metricdata.ExponentialBucket{Offset: -3, Counts: []uint64{1, 2}}, NegativeBucket: metricdata.ExponentialBucket{Counts: []uint64{}}},
		}}},
	}}
	want.Scope.Name, want.Scope.Version = "scope", "1"
	for _, options := range []protojson.MarshalOptions{{}, {UseEnumNumbers: true}} {
		line, err := options.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		var got []Snapshot
		if err := Read(strings.NewReader("\n"+string(line)+"\n"), func(s Snapshot) error { got = append(got, s); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Line != 2 || !got[0].At.Equal(at) || got[0].Resource != "service.name=shop" {
			t.Fatalf("got %+v, want one of line 2, at %s, of service.name=shop", got, at)
		}
		metricdatatest.AssertEqual(t, want, got[0].Metrics.ScopeMetrics[0], metricdatatest.IgnoreTimestamp())
	}
}

func TestReadStops(t *testing.T) {
	stop := errors.New("enough")
	line := `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1","asInt":"1"}]}}]}]}]}`
	if err := Read(strings.NewReader(line), func(Snapshot) error { return stop }); !errors.Is(err, stop) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v, want %v with the line", err, stop)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","sum":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1"}]}}]}]}]}`)
	f.Fuzz(func(_ *testing.T, text string) {
		_ = Read(strings.NewReader(text), func(Snapshot) error { return nil })
	})
}
