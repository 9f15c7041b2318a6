package oracle

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
)

var quantiles = []float64{0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1}

// quantileOf has a processor of its own compute the quantiles of one histogram.
func quantileOf(t *testing.T, data metricdata.Aggregation) []float64 {
	t.Helper()
	g := alertproc.Group{Name: "g", Every: time.Second}
	for _, q := range quantiles {
		g.Rules = append(g.Rules, alertproc.Rule{
			Alert: "q" + time.Duration(q*1e9).String(), Metric: "m",
			Value: alertproc.Value{Aggregation: alertproc.Quantile, Arg: q, Over: time.Second}, Warn: alertproc.Above(-math.MaxFloat64),
		})
	}
	p, err := alertproc.New(alertproc.Config{Groups: []alertproc.Group{g}, MeterProvider: noop.NewMeterProvider()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(t.Context())
	for i, metrics := range [][]metricdata.Metrics{nil, {{Name: "m", Data: data}}} {
		rm := &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: metrics}}}
		if err := p.Evaluate(t.Context(), start.Add(time.Duration(i)*time.Second), rm); err != nil {
			t.Fatal(err)
		}
	}
	values := make([]float64, len(quantiles))
	for i := range values {
		values[i] = math.NaN() // what has no value has no alert
	}
	for _, a := range p.Alerts() {
		values[slices.IndexFunc(g.Rules, func(r alertproc.Rule) bool { return r.Alert == a.Rule })] = a.Value
	}
	return values
}

// TestQuantileOfBuckets compares histograms with explicit bounds, bit for bit where multiplication and addition are not
// fused into one operation.
func TestQuantileOfBuckets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cases := 2000
	if testing.Short() {
		cases = 200
	}
	for range cases {
		edges := make([]float64, 1+r.IntN(12))
		for i := range edges {
			edges[i] = math.Round(r.NormFloat64()*1e4) / 1e4 * math.Pow(10, float64(r.IntN(7)-3))
			if r.IntN(2) == 0 {
				edges[i] = math.Abs(edges[i])
			}
		}
		slices.Sort(edges)
		edges = slices.Compact(edges)
		p := metricdata.HistogramDataPoint[float64]{Bounds: edges, BucketCounts: make([]uint64, len(edges)+1)}
		var buckets promql.Buckets
		for i := range p.BucketCounts {
			if r.IntN(3) > 0 {
				p.BucketCounts[i] = uint64(r.IntN(1 << r.IntN(20)))
			}
			p.Count += p.BucketCounts[i]
			edge := math.Inf(1)
			if i < len(edges) {
				edge = edges[i]
			}
			buckets = append(buckets, promql.Bucket{UpperBound: edge, Count: float64(p.Count)})
		}
		got := quantileOf(t, metricdata.Histogram[float64]{
			Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.HistogramDataPoint[float64]{p},
		})
		for i, q := range quantiles {
			want, _, _, _, _, _ := promql.BucketQuantile(q, slices.Clone(buckets))
			if !sameQuantile(want, got[i], 0) {
				t.Fatalf("quantile %v of %v in %v: got %v, want Prometheus' %v", q, p.BucketCounts, edges, got[i], want)
			}
		}
	}
}

// sameQuantile compares two numbers that may differ by so many units in the last place, and by a few more on
// processors that fuse operations.
func sameQuantile(a, b float64, ulps int64) bool {
	if math.IsNaN(a) || math.IsNaN(b) {
		return math.IsNaN(a) == math.IsNaN(b)
	}
	if runtime.GOARCH != "amd64" {
		ulps += 8
	}
	d := int64(math.Float64bits(a)) - int64(math.Float64bits(b))
	return a == b || d >= -ulps && d <= ulps
}

// TestQuantileOfExponentialBuckets compares exponential histograms at the scales that Prometheus stores. Its bounds come
// from a table and ours from Exp2, so the last bits may differ.
func TestQuantileOfExponentialBuckets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	cases := 2000
	if testing.Short() {
		cases = 200
	}
	const ulps = 16
	for range cases {
		scale := int32(r.IntN(13) - 4)
		p := metricdata.ExponentialHistogramDataPoint[float64]{Scale: scale, ZeroThreshold: choose(generator{r}, 0, 1e-6)}
		h := &histogram.FloatHistogram{Schema: scale, ZeroThreshold: p.ZeroThreshold}
		if r.IntN(2) == 0 {
			p.ZeroCount = uint64(r.IntN(20))
		}
		h.ZeroCount = float64(p.ZeroCount)
		fill := func(sign int) (metricdata.ExponentialBucket, []histogram.Span, []float64) {
			b := metricdata.ExponentialBucket{Offset: int32(r.IntN(9) - 4)}
			var counts []float64
			for range r.IntN(12) {
				n := uint64(r.IntN(50) * r.IntN(2))
				b.Counts = append(b.Counts, n)
				counts = append(counts, float64(n))
				p.Count += n
			}
			// Prometheus calls a bucket by its upper bound, OpenTelemetry by its lower one.
			return b, []histogram.Span{{Offset: b.Offset + 1, Length: uint32(len(counts))}}, counts
		}
		p.Count = p.ZeroCount
		p.PositiveBucket, h.PositiveSpans, h.PositiveBuckets = fill(1)
		if r.IntN(2) == 0 {
			p.NegativeBucket, h.NegativeSpans, h.NegativeBuckets = fill(-1)
		}
		h.Count = float64(p.Count)
		h.Compact(0)
		got := quantileOf(t, metricdata.ExponentialHistogram[float64]{
			Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{p},
		})
		for i, q := range quantiles {
			want, _ := promql.HistogramQuantile(q, h, "", posrange.PositionRange{})
			if !sameQuantile(want, got[i], ulps) {
				t.Fatalf("quantile %v of %v: got %v, want Prometheus' %v", q, h, got[i], want)
			}
		}
	}
}
