package runtimemetrics

import (
	"math"
	"runtime/metrics"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The kept bounds double from about a microsecond to 17 seconds, which is 25 of the runtime's 161 in Go 1.26.
const (
	maxBounds   = 32
	lowestBound = 1e-6 // s
	boundGrowth = 2
	highBound   = 18 // s
)

// merge folds the runtime's histogram into fewer buckets. Every kept bound is one of the runtime's, so no count is
// split. The runtime's buckets include their lower bound and OpenTelemetry's their upper one; for a duration of exactly
// a bound, one in thousands, that is the one difference.
func merge(h *metrics.Float64Histogram) metricdata.HistogramDataPoint[float64] {
	p := metricdata.HistogramDataPoint[float64]{
		Bounds:       make([]float64, 0, maxBounds),
		BucketCounts: make([]uint64, 0, maxBounds+1),
	}
	next, total := lowestBound, uint64(0) // total is of the bucket being filled
	for i, n := range h.Counts {
		lower, upper := h.Buckets[i], h.Buckets[i+1]
		total += n
		p.Count += n
		if n > 0 {
			p.Sum += float64(n) * middle(lower, upper)
		}
		if upper >= next && upper <= highBound && len(p.Bounds) < maxBounds {
			p.Bounds = append(p.Bounds, upper)
			p.BucketCounts = append(p.BucketCounts, total)
			// Bounds in binary steps are not exact in decimal: a hair less than the factor is the factor.
			next, total = upper*boundGrowth*(1-1e-9), 0
		}
	}
	p.BucketCounts = append(p.BucketCounts, total)
	return p
}

// middle stands for the values of a bucket. No duration is negative, and an open end counts as the other one.
func middle(lower, upper float64) float64 {
	switch {
	case math.IsInf(lower, -1):
		return max(0, min(upper, 0))
	case math.IsInf(upper, 1):
		return lower
	default:
		return (lower + upper) / 2
	}
}
