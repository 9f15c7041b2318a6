package runtimemetrics

import "math"

// The kept bounds double from about a microsecond to 17 seconds, which is 25 of the runtime's 161 in Go 1.26.
const (
	maxBounds   = 32
	lowestBound = 1e-6 // s
	boundGrowth = 2
	highBound   = 18 // s
)

// fold is how a histogram of the runtime becomes one of fewer buckets. Every kept bound is one of the runtime's, so no
// count is split. The runtime's buckets include their lower bound and OpenTelemetry's their upper one; for a duration of
// exactly a bound, one in thousands, that is the one difference.
type fold struct {
	bounds  []float64
	into    []int     // into[i] is the kept bucket of the runtime's bucket i
	middles []float64 // middles[i] stands for the values in it
}

// newFold takes the runtime's bounds: bucket i is between buckets[i] and buckets[i+1].
func newFold(buckets []float64) fold {
	var f fold
	next := lowestBound
	for i := range len(buckets) - 1 {
		lower, upper := buckets[i], buckets[i+1]
		f.into = append(f.into, len(f.bounds))
		f.middles = append(f.middles, middle(lower, upper))
		if upper >= next && upper <= highBound && len(f.bounds) < maxBounds {
			f.bounds = append(f.bounds, upper)
			// Bounds in binary steps are not exact in decimal: a hair less than the factor is the factor.
			next = upper * boundGrowth * (1 - 1e-9)
		}
	}
	return f
}

// merge adds the runtime's counts to buckets, one more than there are bounds, and returns their number and sum.
func (f *fold) merge(counts, buckets []uint64) (total uint64, sum float64) {
	for i, n := range counts[:min(len(counts), len(f.into))] {
		if n == 0 {
			continue
		}
		buckets[f.into[i]] += n
		total += n
		sum += float64(n) * f.middles[i]
	}
	return total, sum
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
