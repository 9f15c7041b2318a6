package report

import (
	"math"
	"time"
)

// reading is what a row reads off: the number of a stretch of windows.
type reading struct {
	*cover
	whole    func(before bool) float64       // over the range, or the one before
	window   func(lo, hi int) float64        // over windows
	extremes func(lo, hi int) (a, b float64) // of the samples in windows, of a gauge; nil for what is taken over windows
	enough   func(lo, hi int) bool
}

// fill works out everything of row but its names. previous tells whether the range before is covered well enough to compare with.
func (r *reading) fill(row *Row, previous bool) {
	row.Avg = Number(r.whole(false))
	row.Min, row.Max = r.least(r.half, r.n)
	row.PrevAvg, row.PrevMin, row.PrevMax = unknown, unknown, unknown
	if previous {
		row.PrevAvg = Number(r.whole(true))
		row.PrevMin, row.PrevMax = r.least(0, r.half)
	}
	row.ChangeAvg, row.ChangeMin, row.ChangeMax = change(row.PrevAvg, row.Avg), change(row.PrevMin, row.Min), change(row.PrevMax, row.Max)

	n := r.points()
	p := Points{make([]Number, n), make([]Number, n), make([]Number, n)}
	weights := make([]float64, n)
	for i := range n {
		p.Avg[i], p.Min[i], p.Max[i] = unknown, unknown, unknown
		lo, hi := r.ofPoint(i)
		if !r.enough(lo, hi) {
			continue
		}
		p.Avg[i] = Number(r.window(lo, hi))
		p.Min[i], p.Max[i] = r.least(lo, hi)
		weights[i] = r.sum(lo, hi)
	}
	row.Points = p
	row.SlopeAvg, row.SlopeMin, row.SlopeMax = r.slope(p.Avg, weights), r.slope(p.Min, weights), r.slope(p.Max, weights)
	row.Step = unknown
	for i := 1; i < n; i++ {
		step := p.Avg[i] - p.Avg[i-1]
		if step.Known() && (!row.Step.Known() || math.Abs(float64(step)) > math.Abs(float64(row.Step))) {
			row.Step, row.StepAt = step, time.UnixMilli(r.pointAt(i)).UTC()
		}
	}
	tidy(&row.SlopeAvg, row.Avg)
	tidy(&row.SlopeMin, row.Min)
	tidy(&row.SlopeMax, row.Max)
	tidy(&row.Step, row.Avg)
	if row.Step == 0 {
		row.StepAt = time.Time{}
	}
}

// tidy makes a difference zero that is nothing but the rounding of sums.
func tidy(n *Number, level Number) {
	if math.Abs(float64(*n)) < 1e-9*math.Abs(float64(level)) {
		*n = 0
	}
}

// least returns the smallest and the greatest number in windows lo to hi.
func (r *reading) least(lo, hi int) (Number, Number) {
	if r.extremes != nil {
		a, b := r.extremes(lo, hi)
		return Number(a), Number(b)
	}
	least, most := math.Inf(1), math.Inf(-1)
	for w := lo; w < hi; w++ {
		if !r.enough(w, w+1) {
			continue
		}
		if v := r.window(w, w+1); !math.IsNaN(v) {
			least, most = min(least, v), max(most, v)
		}
	}
	if least > most {
		return unknown, unknown
	}
	return Number(least), Number(most)
}

// slope is the least-squares slope of a column, an hour.
func (r *reading) slope(column []Number, weights []float64) Number {
	var f fit
	for i, v := range column {
		if v.Known() {
			f.add((float64(i)+0.5)*float64(r.pointLength())/3.6e6, float64(v), weights[i])
		}
	}
	return Number(f.slope())
}

// change is the change from before to now as a share of before.
func change(before, now Number) Number {
	if !before.Known() || !now.Known() || before == 0 {
		return unknown
	}
	return (now - before) / Number(math.Abs(float64(before)))
}

// values reads a gauge.
func (l *level) reading() *reading {
	return &reading{
		cover: l.cover,
		whole: func(before bool) float64 {
			if before {
				return l.mean(0, l.half)
			}
			return l.mean(l.half, l.n)
		},
		window:   l.mean,
		extremes: l.extremes,
		enough: func(lo, hi int) bool {
			s := 0.0
			for _, v := range l.seconds[lo:hi] {
				s += v
			}
			return s >= float64(int64(hi-lo)*l.window)/2000
		},
	}
}

// rate reads the increases a second.
func (t *tally) rate() *reading {
	return t.reading(func(a amount, seconds float64) float64 {
		if seconds <= 0 {
			return math.NaN()
		}
		return a.count / seconds
	})
}

// least that must have been added for a mean, a percentile or a share: increases are spread, so parts of one request occur.
const leastCount = 0.999

// mean reads sum by count.
func (t *tally) mean() *reading {
	return t.reading(func(a amount, _ float64) float64 {
		if a.count < leastCount || t.sums == nil {
			return math.NaN()
		}
		return a.sum / a.count
	})
}

// percentile reads the q-quantile.
func (t *tally) percentile(q float64) *reading {
	return t.reading(func(a amount, _ float64) float64 {
		if a.count < leastCount {
			return math.NaN()
		}
		return t.quantile(q, a)
	})
}

// shareOf reads what part of all t is.
func (t *tally) shareOf(all *tally) *reading {
	r := all.rate()
	r.whole = func(before bool) float64 { return share(t.whole(before), all.whole(before)) }
	r.window = func(lo, hi int) float64 { return share(t.total(lo, hi), all.total(lo, hi)) }
	return r
}

func share(part, all amount) float64 {
	if all.count < leastCount {
		return math.NaN()
	}
	return part.count / all.count
}

func (t *tally) reading(value func(a amount, seconds float64) float64) *reading {
	return &reading{
		cover: t.cover,
		whole: func(before bool) float64 {
			lo, hi := t.half, t.n
			if before {
				lo, hi = 0, t.half
			}
			return value(t.whole(before), t.watched(lo, hi))
		},
		window: func(lo, hi int) float64 { return value(t.total(lo, hi), t.sum(lo, hi)) },
		enough: t.cover.enough,
	}
}
