package alertproc

import "math"

// buckets is a histogram's layout with the counts of one window.
type buckets interface {
	// limits returns the values between which the observations of bucket i lie.
	limits(i int) (low, high float64)
	// between returns the value at the given share of the way through bucket i.
	between(i int, share float64) float64
	// above returns which part of bucket i lies above v, which is inside it.
	above(i int, v float64) float64
}

// explicit is the layout of a histogram with explicit bounds: one bucket for each bound, and one above the last.
type explicit []float64

func (e explicit) limits(i int) (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	if i > 0 {
		low = e[i-1]
	} else if len(e) > 0 && e[0] > 0 {
		low = 0
	}
	if i < len(e) {
		high = e[i]
	}
	return low, high
}

func (e explicit) between(i int, share float64) float64 {
	switch {
	case i == len(e):
		return e[len(e)-1]
	case i == 0 && e[0] <= 0:
		return e[0]
	case i == 0:
		return e[0] * share
	default:
		return e[i-1] + (e[i]-e[i-1])*share
	}
}

func (e explicit) above(i int, v float64) float64 {
	low, high := e.limits(i)
	if math.IsInf(low, 0) || math.IsInf(high, 0) {
		// It cannot be told where in an open bucket the observations lie. Above the last bound, all of them are taken
		// to be above v; below the first, none.
		if i == len(e) {
			return 1
		}
		return 0
	}
	return (high - v) / (high - low)
}

// quantile returns the value below which the share q of the observations lies, by the arithmetic of Prometheus'
// histogram_quantile: on classic buckets for explicit ones, on native histograms for exponential ones. total is the sum of
// counts; with 0, or q not a number, the result is NaN.
func quantile(q float64, layout buckets, counts []uint64, total uint64) float64 {
	switch {
	case math.IsNaN(q) || total == 0:
		return math.NaN()
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	}
	if exp, ok := layout.(*expLayout); ok {
		return exp.quantile(q, counts, total)
	}
	if len(counts) < 2 {
		return math.NaN() // without a bucket up to +Inf beside another, as there
	}
	rank := q * float64(total)
	cumulative, i := uint64(0), 0
	for ; i < len(counts)-1; i++ {
		if float64(cumulative+counts[i]) >= rank {
			break
		}
		cumulative += counts[i]
	}
	// Dividing by the bucket's own count gives 0/0, not a number, for q = 0 and an empty first bucket, as there.
	return layout.between(i, (rank-float64(cumulative))/float64(counts[i]))
}

// fractionAbove returns the share of the observations that are above v. Inside a bucket they are taken to lie evenly.
func fractionAbove(v float64, layout buckets, counts []uint64, total uint64) float64 {
	if e, ok := layout.(explicit); total == 0 || ok && len(e) == 0 {
		return math.NaN()
	}
	over := 0.0
	for i, n := range counts {
		if n == 0 {
			continue
		}
		switch low, high := layout.limits(i); {
		case v >= high:
		case v <= low:
			over += float64(n)
		default:
			over += float64(n) * layout.above(i, v)
		}
	}
	return over / float64(total)
}

// bucketOf returns the bounds of the bucket that a quantile lies in: the true one lies between them. An open end is
// infinite.
func bucketOf(v float64, layout buckets, n int) (low, high float64, ok bool) {
	for i := range n {
		low, high = layout.limits(i)
		if e, explicit := layout.(explicit); explicit && i == len(e)-1 && v == high {
			return high, math.Inf(1), true // the arithmetic's answer for whatever is above the last bound
		}
		if low <= v && v <= high {
			return low, high, true
		}
	}
	return 0, 0, false
}
