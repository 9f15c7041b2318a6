package remote

import (
	"math"
	"slices"
	"time"

	"github.com/otelnet/agent/report"
)

// timeline is when the processes of a service were sampled.
type timeline struct {
	all       []int64         // any of them, ascending
	processes map[int][]int64 // each
	older     map[int]bool    // processes that were there before the first sample read
	near      int64           // samples that are no further apart belong to one collection
	gapAfter  int64
}

const (
	leastGap = 12_000 // ms: as the agent's own history has it, a little over two of its ticks
	sameTime = 50     // ms, likewise
)

// newTimeline sorts the times. A gap is longer than two and a half ordinary distances.
func newTimeline(processes map[int][]int64, older map[int]bool) *timeline {
	tl := &timeline{processes: processes, older: older}
	usual := int64(0)
	for p, times := range processes {
		slices.Sort(times)
		processes[p] = slices.Compact(times)
		tl.all = append(tl.all, processes[p]...)
		usual = max(usual, median(processes[p]))
	}
	slices.Sort(tl.all)
	tl.all = slices.Compact(tl.all)
	tl.gapAfter = max(leastGap, usual*5/2)
	tl.near = max(sameTime, usual/2)
	return tl
}

func median(times []int64) int64 {
	if len(times) < 2 {
		return 0
	}
	d := make([]int64, len(times)-1)
	for i := range d {
		d[i] = times[i+1] - times[i]
	}
	slices.Sort(d)
	return d[len(d)/2]
}

// before returns the collection before the one at t, of the process itself or, if that began then, of any other. There is none
// before the first.
func (tl *timeline) before(process int, t int64) (int64, bool) {
	own := tl.processes[process]
	if at, ok := last(own, t-tl.near); ok {
		return at, true
	}
	// The process began. Whether it did so at zero is known only if its service was being watched, and it is no old one that
	// was away.
	if tl.older[process] {
		return 0, false
	}
	return last(tl.all, t-tl.near)
}

// last is the last time up to limit.
func last(times []int64, limit int64) (int64, bool) {
	i, exact := slices.BinarySearch(times, limit)
	if exact {
		return limit, true
	}
	if i == 0 {
		return 0, false
	}
	return times[i-1], true
}

// cumulative is a series as stores have it: running totals. It remembers where it stands between two stretches.
type cumulative struct {
	process    int
	attributes map[string]string
	known      bool // a total has been seen
	at         int64
	value, sum float64
	bounds     []float64
	buckets    []float64
}

// total is a sample of it. Buckets are added up from the left, as stores have them; the last is the count.
type total struct {
	at         int64
	value, sum float64
	buckets    []float64
}

// increases turns totals into increases, after what was seen before. Nil means that there are none.
func (c *cumulative) increases(totals []total, tl *timeline, histogram bool) *report.Series {
	s := &report.Series{Process: c.process, Attributes: c.attributes}
	if histogram {
		s.Bounds = c.bounds
		s.Buckets = make([][]uint64, len(c.bounds)+1)
	}
	for _, now := range totals {
		if c.known && now.at <= c.at {
			continue // a stretch begins with the last sample of the one before
		}
		begin, from := c.at, c
		switch {
		case !c.known:
			at, ok := tl.before(c.process, now.at)
			if !ok {
				c.set(now)
				continue
			}
			begin, from = at, &cumulative{}
		case now.value < c.value:
			from = &cumulative{} // reset
		}
		if len(s.Times) == 0 {
			s.Begin = begin
		}
		s.Times = append(s.Times, now.at)
		s.Values = append(s.Values, now.value-from.value)
		if histogram {
			s.Sums = append(s.Sums, now.sum-from.sum)
			left := 0.0
			for b, n := range now.buckets {
				if from.buckets != nil {
					n -= from.buckets[b]
				}
				s.Buckets[b] = append(s.Buckets[b], uint64(max(0, math.Round(n-left))))
				left = n
			}
		}
		c.set(now)
	}
	if len(s.Times) == 0 {
		return nil
	}
	return s
}

func (c *cumulative) set(t total) {
	c.known, c.at, c.value, c.sum, c.buckets = true, t.at, t.value, t.sum, t.buckets
}

// stretches cuts (from, until] into parts no longer than length, and a part into halves when read says that its answer would be too
// large.
func stretches(from, until time.Time, length time.Duration, read func(from, until time.Time) error, tooLarge func(error) bool) error {
	for from.Before(until) {
		part := min(length, until.Sub(from))
		err := read(from, from.Add(part))
		if err != nil {
			if part > time.Minute && tooLarge(err) {
				length = (part + 1) / 2
				continue
			}
			return err
		}
		from = from.Add(part)
	}
	return nil
}
