package report

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// sameTime is how far apart two samples of one process may be and still belong to one collection, in milliseconds.
const sameTime = 50

// level follows a gauge: the sum of its series, as straight lines between samples.
type level struct {
	*cover
	lines map[int]*line // by process

	base          float64   // what area is measured from: of a gauge that stands still, the mean is then that very number
	area, seconds []float64 // by window: integral and time of the lines
	min, max      []float64 // by window: of the samples
	last          float64   // the last sample
}

// line is a gauge in one process.
type line struct {
	times  []int64
	values []float64
}

func newLevel(c *cover) *level { return &level{cover: c, lines: make(map[int]*line)} }

// add adds the samples of s to those that its process has at the same times.
func (l *level) add(s *Series) {
	ln := l.lines[s.Process]
	if ln == nil {
		ln = &line{}
		l.lines[s.Process] = ln
	}
	times := make([]int64, 0, max(len(ln.times), len(s.Times)))
	values := make([]float64, 0, cap(times))
	i, j := 0, 0
	for i < len(ln.times) || j < len(s.Times) {
		switch {
		case j < len(s.Times) && math.IsNaN(s.Values[j]):
			j++
		case j == len(s.Times) || i < len(ln.times) && ln.times[i] < s.Times[j]-sameTime:
			times, values = append(times, ln.times[i]), append(values, ln.values[i])
			i++
		case i == len(ln.times) || ln.times[i] > s.Times[j]+sameTime:
			times, values = append(times, s.Times[j]), append(values, s.Values[j])
			j++
		default:
			times, values = append(times, ln.times[i]), append(values, ln.values[i]+s.Values[j])
			i++
			j++
		}
	}
	ln.times, ln.values = times, values
}

// finish works out the windows. It reports whether there was any sample.
func (l *level) finish() bool {
	l.area, l.seconds = make([]float64, l.n), make([]float64, l.n)
	l.min, l.max = filled(l.n, math.Inf(1)), filled(l.n, math.Inf(-1))
	l.last = math.NaN()
	sum := l.sum()
	if len(sum.values) > 0 && !math.IsInf(sum.values[0], 0) {
		l.base = sum.values[0]
	}
	for i, t := range sum.times {
		v := sum.values[i]
		if t > l.from && t <= l.end() {
			w := int((t - 1 - l.from) / l.window) // (from, until]
			l.min[w], l.max[w] = min(l.min[w], v), max(l.max[w], v)
			l.last = v
		}
		if i == 0 || l.isGap(sum.times[i-1], t) || l.crosses(sum.times[i-1], t) {
			continue
		}
		from, before := sum.times[i-1], sum.values[i-1]
		length := float64(t - from)
		done := 0.0
		if from < l.from {
			done = float64(l.from-from) / length
		}
		l.spread(from, t, func(w int, part float64) {
			middle := before + (v-before)*(done+part/2)
			done += part
			l.area[w] += (middle - l.base) * part * length / 1000
			l.seconds[w] += part * length / 1000
		})
	}
	return !math.IsNaN(l.last)
}

// sum adds up the processes: at each time of any of them, what each line has there.
func (l *level) sum() line {
	if len(l.lines) == 1 {
		for _, ln := range l.lines {
			return *ln
		}
	}
	var times []int64
	for _, ln := range l.lines {
		times = append(times, ln.times...)
	}
	slices.Sort(times)
	times = slices.Compact(times)
	out := line{times, make([]float64, len(times))}
	for _, process := range slices.Sorted(maps.Keys(l.lines)) { // in one order: sums of floats depend on it
		ln := l.lines[process]
		k := 0 // the first sample at or after t
		for i, t := range times {
			for k < len(ln.times) && ln.times[k] < t {
				k++
			}
			switch {
			case k == len(ln.times):
			case ln.times[k] == t:
				out.values[i] += ln.values[k]
			case k > 0 && !l.isGap(ln.times[k-1], ln.times[k]):
				part := float64(t-ln.times[k-1]) / float64(ln.times[k]-ln.times[k-1])
				out.values[i] += ln.values[k-1] + part*(ln.values[k]-ln.values[k-1])
			}
		}
	}
	return out
}

// mean is the average over windows lo to hi, weighted by time; of one sample alone, that sample.
func (l *level) mean(lo, hi int) float64 {
	area, seconds := 0.0, 0.0
	for w := lo; w < hi; w++ {
		area += l.area[w]
		seconds += l.seconds[w]
	}
	if seconds == 0 {
		return math.NaN()
	}
	return l.base + area/seconds
}

// extremes are the smallest and greatest sample in windows lo to hi.
func (l *level) extremes(lo, hi int) (least, most float64) {
	least, most = slices.Min(l.min[lo:hi]), slices.Max(l.max[lo:hi])
	if least > most {
		return math.NaN(), math.NaN()
	}
	return least, most
}

func filled(n int, v float64) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func sortGaps(gaps []Gap) {
	slices.SortFunc(gaps, func(a, b Gap) int { return cmp.Or(a.From.Compare(b.From), a.Until.Compare(b.Until)) })
}
