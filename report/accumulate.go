package report

import (
	"math"
	"slices"
)

// tally adds up increases of counters and histograms by window.
type tally struct {
	*cover
	count   []float64
	sums    []float64   // of a histogram; nil else
	buckets [][]float64 // by bucket and window; nil without
	bounds  []float64
	// Increases over gaps belong to no window, but to the total of their range: [0] the one before, [1] the range itself.
	gap     [2]amount
	mixed   bool // series with other bounds were left out of buckets
	touched bool // anything was added, a zero included
}

// amount is what was added in some stretch.
type amount struct {
	count, sum float64
	buckets    []float64
}

func newTally(c *cover) *tally { return &tally{cover: c, count: make([]float64, c.n)} }

// add spreads the increases of s.
func (t *tally) add(s *Series) {
	withBuckets := t.addable(s)
	if s.Sums != nil && t.sums == nil {
		t.sums = make([]float64, t.n)
	}
	from := s.Begin
	for i, until := range s.Times {
		begin := from
		from = until
		if v := s.Values[i]; math.IsNaN(v) || until <= t.from || begin >= t.end() {
			continue
		}
		t.touched = true
		if s.Values[i] == 0 && (s.Sums == nil || s.Sums[i] == 0) {
			continue
		}
		if t.isGap(begin, until) {
			t.addGap(s, i, begin, until, withBuckets)
			continue
		}
		t.spread(begin, until, func(w int, part float64) {
			t.count[w] += part * s.Values[i]
			if s.Sums != nil {
				t.sums[w] += part * s.Sums[i]
			}
			if withBuckets {
				for b, column := range s.Buckets {
					if len(column) > 0 && column[i] > 0 {
						t.buckets[b][w] += part * float64(column[i])
					}
				}
			}
		})
	}
}

// addable tells whether the buckets of s can be added to those before, and makes room for the first.
func (t *tally) addable(s *Series) bool {
	switch {
	case s.Buckets == nil:
		return false
	case t.buckets == nil:
		t.bounds = slices.Clone(s.Bounds)
		t.buckets = make([][]float64, len(s.Buckets))
		all := make([]float64, len(s.Buckets)*t.n)
		for b := range t.buckets {
			t.buckets[b] = all[b*t.n : (b+1)*t.n]
		}
	case !slices.Equal(t.bounds, s.Bounds):
		t.mixed = true
		return false
	}
	return true
}

func (t *tally) addGap(s *Series, i int, begin, until int64, withBuckets bool) {
	for half := range t.gap {
		lo, hi := t.from, t.start()
		if half == 1 {
			lo, hi = t.start(), t.end()
		}
		part := float64(min(until, hi)-max(begin, lo)) / float64(until-begin)
		if part <= 0 {
			continue
		}
		g := &t.gap[half]
		g.count += part * s.Values[i]
		if s.Sums != nil {
			g.sum += part * s.Sums[i]
		}
		if !withBuckets {
			continue
		}
		if g.buckets == nil {
			g.buckets = make([]float64, len(t.buckets))
		}
		for b, column := range s.Buckets {
			if len(column) > 0 {
				g.buckets[b] += part * float64(column[i])
			}
		}
	}
}

// total is what was added in windows lo to hi, gaps not included.
func (t *tally) total(lo, hi int) amount {
	var a amount
	for w := lo; w < hi; w++ {
		a.count += t.count[w]
		if t.sums != nil {
			a.sum += t.sums[w]
		}
	}
	if t.buckets != nil {
		a.buckets = make([]float64, len(t.buckets))
		for b, column := range t.buckets {
			for _, v := range column[lo:hi] {
				a.buckets[b] += v
			}
		}
	}
	return a
}

// whole is what was added in the range, or in the one before, gaps included.
func (t *tally) whole(before bool) amount {
	lo, hi, g := t.half, t.n, &t.gap[1]
	if before {
		lo, hi, g = 0, t.half, &t.gap[0]
	}
	a := t.total(lo, hi)
	a.count += g.count
	a.sum += g.sum
	for b, v := range g.buckets {
		a.buckets[b] += v
	}
	return a
}

// quantile is the q-quantile of what a holds, by the arithmetic of Prometheus' histogram_quantile for classic buckets.
func (t *tally) quantile(q float64, a amount) float64 { return quantile(q, t.bounds, a.buckets) }

func quantile(q float64, bounds, counts []float64) float64 {
	total := 0.0
	for _, n := range counts {
		total += n
	}
	if total <= 0 || len(bounds) == 0 {
		return math.NaN()
	}
	rank, below, b := q*total, 0.0, 0
	for b < len(bounds) && below+counts[b] < rank {
		below += counts[b]
		b++
	}
	switch {
	case b == len(bounds):
		return bounds[b-1]
	case b == 0 && bounds[0] <= 0:
		return bounds[0]
	}
	start := 0.0
	if b > 0 {
		start = bounds[b-1]
	}
	if counts[b] == 0 {
		return start
	}
	return start + (bounds[b]-start)*(rank-below)/counts[b]
}

// above is how much of a was greater than limit, by a straight line within the bucket that holds it.
func above(limit float64, bounds, counts []float64) float64 {
	n := 0.0
	for b, c := range counts {
		lo := 0.0
		if b > 0 {
			lo = bounds[b-1]
		}
		switch {
		case b == len(bounds):
			if lo >= limit {
				n += c // a limit in the open bucket is its lower bound
			}
		case lo >= limit:
			n += c
		case bounds[b] > limit:
			n += c * (bounds[b] - limit) / (bounds[b] - lo)
		}
	}
	return n
}
