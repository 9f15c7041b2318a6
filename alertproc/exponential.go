package alertproc

import (
	"math"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// maxExpBuckets bounds the buckets of one sign in an instance. Series that together span more are merged to a coarser
// scale. The SDK itself uses 160 for a series.
const maxExpBuckets = 320

// expCounts is a copy of the buckets of an exponential data point.
type expCounts struct {
	scale         int32
	zero          uint64
	zeroThreshold float64
	positive      expRange
	negative      expRange
}

// expRange is a run of buckets; counts[i] is that of index offset+i.
type expRange struct {
	offset int32
	counts []uint64
}

func (r *expRange) set(b metricdata.ExponentialBucket) {
	r.offset = b.Offset
	r.counts = append(r.counts[:0], b.Counts...)
}

// continues tells whether c can be what became of an earlier state of the same series. The scale only goes down in the life
// of one, and no bucket loses what it had.
func (c *expCounts) continues(before *expCounts) bool {
	shift := before.scale - c.scale
	return shift >= 0 && c.zero >= before.zero && c.positive.continues(&before.positive, shift) && c.negative.continues(&before.negative, shift)
}

// continues adds up the buckets of before that are one at this scale.
func (r *expRange) continues(before *expRange, shift int32) bool {
	for i := 0; i < len(before.counts); {
		index, had := (before.offset+int32(i))>>shift, uint64(0)
		for ; i < len(before.counts) && (before.offset+int32(i))>>shift == index; i++ {
			had += before.counts[i]
		}
		if had > r.at(index) {
			return false
		}
	}
	return true
}

// at returns the count of the bucket with an index.
func (r *expRange) at(index int32) uint64 {
	if i := int64(index) - int64(r.offset); i >= 0 && i < int64(len(r.counts)) {
		return r.counts[i]
	}
	return 0
}

func exponentials[N int64 | float64](e *engine, in *instrument, st *stream, points []metricdata.ExponentialHistogramDataPoint[N], delta bool) {
	st.delta = delta
	for i := range points {
		p := &points[i]
		s, ok := e.find(in, st, &p.Attributes)
		if !ok {
			continue
		}
		now := expCounts{
			scale: p.Scale, zero: p.ZeroCount, zeroThreshold: p.ZeroThreshold,
			positive: expRange{p.PositiveBucket.Offset, p.PositiveBucket.Counts},
			negative: expRange{p.NegativeBucket.Offset, p.NegativeBucket.Counts},
		}
		sum, _ := since(&s.sum, p.Sum)
		skip := s.fresh && !in.started
		whole := s.fresh || delta || p.Count < s.count || s.exp != nil && !now.continues(s.exp)
		count := p.Count
		switch {
		case skip:
			count, sum = 0, 0
		case whole:
			sum = float64(p.Sum)
		default:
			count -= s.count
		}
		for _, a := range s.feeds {
			a.observed(e.tick, delta, count, sum)
			if a.hist == nil || count == 0 {
				continue
			}
			a.hist.addExponential(&now, 1)
			if !whole {
				// Totals wrap around; after taking off what was there before, they are right again.
				a.hist.addExponential(s.exp, -1)
			}
		}
		s.fresh, s.count = false, p.Count
		if s.exp == nil {
			s.exp = &expCounts{}
		}
		s.exp.scale, s.exp.zero = p.Scale, p.ZeroCount
		s.exp.positive.set(p.PositiveBucket)
		s.exp.negative.set(p.NegativeBucket)
	}
}

// expLayout gives places to exponential buckets in ascending order of their values: the negative ones from the
// largest index down, the zero bucket, the positive ones.
type expLayout struct {
	scale              int32
	zeroThreshold      float64
	positive, negative expSpan
}

// expSpan is the indexes [low, high).
type expSpan struct{ low, high int32 }

func (s expSpan) size() int { return int(s.high - s.low) }

// cover returns a span that also has the non-empty indexes of r, moved down by shift scales.
func (s expSpan) cover(r expRange, shift int32) expSpan {
	first, last := -1, -1
	for i, n := range r.counts {
		if n > 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return s
	}
	low, high := (r.offset+int32(first))>>shift, (r.offset+int32(last))>>shift+1
	if s.size() == 0 {
		return expSpan{low, high}
	}
	return expSpan{min(s.low, low), max(s.high, high)}
}

func (s expSpan) shift(by int32) expSpan {
	if s.size() == 0 || by == 0 {
		return s
	}
	return expSpan{s.low >> by, (s.high-1)>>by + 1}
}

func (l *expLayout) width() int { return l.negative.size() + 1 + l.positive.size() }

// place returns where an index of the layout's scale is.
func (l *expLayout) place(index int32, negative bool) int {
	if negative {
		return int(l.negative.high - 1 - index)
	}
	return l.negative.size() + 1 + int(index-l.positive.low)
}

// index is the reverse of place; the zero bucket has sign 0.
func (l *expLayout) index(place int) (index int32, sign int) {
	switch n := l.negative.size(); {
	case place < n:
		return l.negative.high - 1 - int32(place), -1
	case place == n:
		return 0, 0
	default:
		return l.positive.low + int32(place-n-1), 1
	}
}

// addExponential adds c, or takes it off with sign -1, after making room for it.
func (h *histogramTotals) addExponential(c *expCounts, sign int) {
	if h.counts != nil && h.exp == nil {
		h.err = errBounds
		return
	}
	if h.exp == nil {
		h.exp = &expLayout{scale: c.scale}
		h.layout = h.exp
		h.counts, h.fresh = make([]uint64, h.exp.width()), make([]uint64, h.exp.width())
		h.ring.resize(h.exp.width())
	}
	h.makeRoom(c)
	l := h.exp
	shift := c.scale - l.scale
	add := func(place int, n uint64) {
		if sign < 0 {
			n = -n
		}
		h.fresh[place] += n
	}
	add(l.negative.size(), c.zero)
	for i, n := range c.positive.counts {
		if n > 0 {
			add(l.place((c.positive.offset+int32(i))>>shift, false), n)
		}
	}
	for i, n := range c.negative.counts {
		if n > 0 {
			add(l.place((c.negative.offset+int32(i))>>shift, true), n)
		}
	}
}

// makeRoom widens or coarsens the layout until c fits, and moves the counts and the ring over.
func (h *histogramTotals) makeRoom(c *expCounts) {
	l := *h.exp
	l.zeroThreshold = max(l.zeroThreshold, c.zeroThreshold)
	scale := min(l.scale, c.scale)
	for {
		down := h.exp.scale - scale
		l.positive = h.exp.positive.shift(down).cover(c.positive, c.scale-scale)
		l.negative = h.exp.negative.shift(down).cover(c.negative, c.scale-scale)
		if l.positive.size() <= maxExpBuckets && l.negative.size() <= maxExpBuckets {
			break
		}
		scale--
	}
	l.scale = scale
	if l == *h.exp {
		return
	}
	old := *h.exp
	*h.exp = l
	if l.scale == old.scale && l.positive == old.positive && l.negative == old.negative {
		return
	}
	move := func(place int) int {
		index, sign := old.index(place)
		if sign == 0 {
			return l.negative.size()
		}
		return l.place(index>>(old.scale-l.scale), sign < 0)
	}
	counts, fresh := h.counts, h.fresh
	h.counts, h.fresh = make([]uint64, l.width()), make([]uint64, l.width())
	for place := range counts {
		h.counts[move(place)] += counts[place]
		h.fresh[move(place)] += fresh[place]
	}
	h.ring.rebuild(l.width(), move, nil)
}

// edge returns the lower bound of the bucket with an index: 2^(index·2^-scale).
func (l *expLayout) edge(index int32) float64 {
	return math.Exp2(math.Ldexp(float64(index), -int(l.scale)))
}

func (l *expLayout) limits(i int) (low, high float64) {
	switch index, sign := l.index(i); sign {
	case -1:
		return -l.edge(index + 1), -max(l.edge(index), l.zeroThreshold)
	case 0:
		// With values on one side only, those in the zero bucket are taken to be on that side too.
		low, high = -l.zeroThreshold, l.zeroThreshold
		if l.negative.size() == 0 && l.positive.size() > 0 {
			low = 0
		} else if l.positive.size() == 0 && l.negative.size() > 0 {
			high = 0
		}
		return low, high
	default:
		// What is nearer to zero than the threshold is counted in the zero bucket.
		return max(l.edge(index), l.zeroThreshold), l.edge(index + 1)
	}
}

// between interpolates on a logarithmic scale, as Prometheus does for native histograms, and linearly in the zero
// bucket.
func (l *expLayout) between(i int, share float64) float64 {
	low, high := l.limits(i)
	switch _, sign := l.index(i); sign {
	case -1:
		return -math.Exp2(math.Log2(-high) + (math.Log2(-low)-math.Log2(-high))*(1-share))
	case 0:
		return low + (high-low)*share
	default:
		return math.Exp2(math.Log2(low) + (math.Log2(high)-math.Log2(low))*share)
	}
}

// quantile goes to the bucket from the nearer end, as Prometheus does, and passes over empty ones: they are only there
// because another time or another series had observations in them.
func (l *expLayout) quantile(q float64, counts []uint64, total uint64) float64 {
	upper := q >= 0.5
	rank := q * float64(total)
	if upper {
		rank = (1 - q) * float64(total)
	}
	passed, found := uint64(0), 0
	for i := range counts {
		if upper {
			i = len(counts) - 1 - i
		}
		if counts[i] == 0 {
			continue
		}
		found = i
		passed += counts[i]
		if float64(passed) >= rank {
			break
		}
	}
	if upper {
		rank = float64(passed) - rank
	} else {
		rank -= float64(passed - counts[found])
	}
	return l.between(found, rank/float64(counts[found]))
}

func (l *expLayout) above(i int, v float64) float64 {
	low, high := l.limits(i)
	switch _, sign := l.index(i); sign {
	case -1:
		return (math.Log2(-v) - math.Log2(-high)) / (math.Log2(-low) - math.Log2(-high))
	case 0:
		return (high - v) / (high - low)
	default:
		return (math.Log2(high) - math.Log2(v)) / (math.Log2(high) - math.Log2(low))
	}
}
