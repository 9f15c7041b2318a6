package report

import "time"

// steps are the lengths that points may have.
var steps = []time.Duration{
	10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
	30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 8 * time.Hour, 12 * time.Hour,
}

const (
	maxPoints       = 96
	windowsOfAPoint = 6
	leastWindow     = 10 * time.Second // an agent takes a snapshot in 5 s: shorter windows would show the sampling, not the service
)

// grid cuts time into windows of equal length and windows into points. Times are milliseconds since 1970.
type grid struct {
	from     int64
	window   int64 // length
	n        int   // windows in all
	half     int   // windows before the range itself: those of the range before
	perPoint int
}

// newGrid lays windows over the range that ends at until and the one before.
func newGrid(until time.Time, length time.Duration) grid {
	point := steps[len(steps)-1]
	for _, s := range steps {
		if length <= maxPoints*s {
			point = s
			break
		}
	}
	per := 1
	for n := windowsOfAPoint; n > 1; n-- {
		if w := point / time.Duration(n); w >= leastWindow && w*time.Duration(n) == point && w%time.Second == 0 {
			per = n
			break
		}
	}
	window := point / time.Duration(per)
	half := int((length + point - 1) / point * time.Duration(per))
	return grid{
		from: until.UnixMilli() - 2*int64(half)*window.Milliseconds(), window: window.Milliseconds(),
		n: 2 * half, half: half, perPoint: per,
	}
}

// minutes are windows of a minute over the range itself, or of a point where a day has more than its minutes.
func (g grid) minutes() grid {
	length := int64(g.half) * g.window
	window := int64(60_000)
	if length > 24*60*window {
		window = g.window * int64(g.perPoint)
	}
	return grid{from: g.start(), window: window, n: int((length + window - 1) / window), perPoint: 1}
}

// ranges are two windows: the range before, and the range.
func (g grid) ranges() grid {
	return grid{from: g.from, window: int64(g.half) * g.window, n: 2, half: 1, perPoint: 1}
}

func (g grid) start() int64               { return g.from + int64(g.half)*g.window } // of the range
func (g grid) end() int64                 { return g.from + int64(g.n)*g.window }    //
func (g grid) points() int                { return (g.n - g.half) / g.perPoint }     // in the range
func (g grid) at(w int) int64             { return g.from + int64(w)*g.window }      // where window w begins
func (g grid) pointAt(p int) int64        { return g.at(g.half + p*g.perPoint) }     // where point p of the range begins
func (g grid) pointLength() int64         { return g.window * int64(g.perPoint) }    //
func (g grid) ofPoint(p int) (lo, hi int) { return g.half + p*g.perPoint, g.half + (p+1)*g.perPoint }

// spread calls each with the windows that (from, until] touches and the part of it that lies in each.
func (g grid) spread(from, until int64, each func(window int, part float64)) {
	lo, hi := max(from, g.from), min(until, g.end())
	if until <= from || hi <= lo {
		return
	}
	length := float64(until - from)
	for w := int((lo - g.from) / g.window); lo < hi; w++ {
		next := min(g.at(w+1), hi)
		each(w, float64(next-lo)/length)
		lo = next
	}
}

// cover is how long each window was watched, in seconds, and what follows from it.
type cover struct {
	grid
	gapAfter int64
	gaps     []span
	restarts []span
	seconds  []float64 // by window
	first    int64     // the first and last moment watched within the grid; gaps may lie between them
	last     int64
	tail     int64 // from last to the end of the range, if no sample was due in it
}

// span is a stretch of time in milliseconds since 1970.
type span struct{ from, until int64 }

func newCover(g grid, scope *Scope) *cover {
	c := &cover{grid: g, gapAfter: scope.GapAfter.Milliseconds(), seconds: make([]float64, g.n)}
	for _, r := range scope.Restarts {
		c.restarts = append(c.restarts, span{r.From.UnixMilli(), r.Until.UnixMilli()})
	}
	t := scope.Times
	if len(t) == 0 {
		return c
	}
	c.first, c.last = max(t[0], g.from), min(t[len(t)-1], g.end())
	if t[0] > g.from {
		c.gaps = append(c.gaps, span{g.from, t[0]})
	}
	for i := 1; i < len(t); i++ {
		if t[i] <= g.from || t[i-1] >= g.end() {
			continue
		}
		if c.isGap(t[i-1], t[i]) {
			c.gaps = append(c.gaps, span{max(t[i-1], g.from), min(t[i], g.end())})
			continue
		}
		g.spread(t[i-1], t[i], func(w int, part float64) { c.seconds[w] += part * float64(t[i]-t[i-1]) / 1000 })
	}
	if rest := g.end() - t[len(t)-1]; rest > 0 {
		if rest < c.gapAfter {
			c.tail = rest // the next sample is not due
		} else {
			c.gaps = append(c.gaps, span{t[len(t)-1], g.end()})
		}
	}
	return c
}

// isGap tells whether nothing is assumed about what lies between two samples.
func (c *cover) isGap(from, until int64) bool { return until-from >= c.gapAfter }

// crosses tells whether a process ended between two samples.
func (c *cover) crosses(from, until int64) bool {
	for _, r := range c.restarts {
		if from < r.until && r.from < until {
			return true
		}
	}
	return false
}

// watched is the time in seconds from the first to the last sample within windows lo to hi, gaps between them included.
func (c *cover) watched(lo, hi int) float64 {
	return float64(max(0, min(c.last, c.at(hi))-max(c.first, c.at(lo)))) / 1000
}

// enough tells whether windows lo to hi are watched for at least half of their time.
func (c *cover) enough(lo, hi int) bool {
	return 2*c.sum(lo, hi) >= float64(int64(hi-lo)*c.window)/1000
}

func (c *cover) sum(lo, hi int) float64 {
	s := 0.0
	for _, v := range c.seconds[lo:hi] {
		s += v
	}
	return s
}

// coverage sums windows lo to hi up.
func (c *cover) coverage(lo, hi int) Coverage {
	length := float64(int64(hi-lo)*c.window) / 1000
	covered := c.sum(lo, hi)
	if hi == c.n && covered > 0 {
		covered += float64(min(c.tail, int64(length*1000))) / 1000
	}
	out := Coverage{Share: Number(min(1, covered/length)), Covered: Seconds(min(length, covered))}
	for _, s := range append(c.gaps[:len(c.gaps):len(c.gaps)], c.restarts...) {
		if from, until := max(s.from, c.at(lo)), min(s.until, c.at(hi)); from < until {
			out.Gaps = append(out.Gaps, Gap{time.UnixMilli(from).UTC(), time.UnixMilli(until).UTC()})
		}
	}
	sortGaps(out.Gaps)
	return out
}
