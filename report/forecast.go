package report

import (
	"fmt"
	"math"
	"time"
)

// A line through a gauge's points is drawn on if all of these hold. docs/report.md tells why.
const (
	leastFitPoints = 20   // points with a value, in at least nine tenths of the range
	leastR2        = 0.8  // of the points' variance lies on the line
	evenHalves     = 2.0  // each half's own slope is between a half of the whole's and twice it: a step, a bend or a hill is not
	mostAlike      = 0.6  // correlation of a residual with the next: above it the points follow something else than the line
	leastGrowth    = 0.05 // of the average level, over the range: less is true and of no interest
	confidence     = 0.95 // of the interval
	farthest       = 10   // ranges ahead within which a limit must be reached at the latest
)

// limits are what some metrics grow towards: for each the metrics that say how far, first known first.
var limits = map[string][]string{
	"process.memory.usage":               {"otelnet.container.memory.limit"},
	"go.memory.used":                     {"go.memory.limit", "otelnet.container.memory.limit"},
	"otelnet.go.memory.heap.live":        {"go.memory.limit", "otelnet.container.memory.limit"},
	"process.unix.file_descriptor.count": {"otelnet.process.unix.file_descriptor.limit"},
	"otelnet.server.accept_queue.length": {"otelnet.server.accept_queue.limit"},
}

// noLimit is a limit that means none: Go's default memory limit is the greatest int64.
const noLimit = 1 << 60

// limitFor returns the limit of a metric, given the last values of gauges.
func limitFor(metric string, last map[string]float64) (name string, limit float64) {
	for _, name := range limits[metric] {
		if v, ok := last[name]; ok && v > 0 && v < noLimit {
			return name, v
		}
	}
	return "", math.NaN()
}

// trend is a line with what is needed for intervals around it.
type trend struct {
	fit
	s   float64 // standard deviation of the residuals
	eff float64 // effective number of points
	t   float64 // Student's, two-sided
}

// follow fits a line to a row's points, if it fits. Times are hours since the range's start.
func follow(avg []Number, pointHours float64) (*trend, bool) {
	var f trend
	var first, second fit
	n := len(avg)
	known := 0
	for i, v := range avg {
		if !v.Known() {
			continue
		}
		known++
		x := (float64(i) + 0.5) * pointHours
		f.add(x, float64(v), 1)
		if i < n/2 {
			first.add(x, float64(v), 1)
		} else {
			second.add(x, float64(v), 1)
		}
	}
	if known < leastFitPoints || known*10 < n*9 || f.r2() < leastR2 {
		return nil, false
	}
	slope := f.slope()
	for _, half := range []*fit{&first, &second} {
		if part := half.slope() / slope; !(part >= 1/evenHalves && part <= evenHalves) {
			return nil, false
		}
	}
	level := f.y0 + f.wy/f.w
	if math.Abs(slope)*float64(n)*pointHours < leastGrowth*math.Abs(level) {
		return nil, false
	}
	if f.residuals(avg, pointHours) > mostAlike {
		return nil, false
	}
	f.t = studentT(confidence, f.eff-2)
	// The slope itself must be beyond doubt, neighbours' likeness counted.
	return &f, math.Abs(slope) > f.t*f.s*math.Sqrt(float64(known)/f.eff)/math.Sqrt(f.sxx())
}

// residuals works out the spread around the line and how many independent points it amounts to: n (1-r)/(1+r), r being the
// residuals' lag-1 correlation, which it returns.
func (f *trend) residuals(avg []Number, pointHours float64) (r float64) {
	var squares, lagged, before float64
	for i, v := range avg {
		if !v.Known() {
			continue
		}
		e := float64(v) - f.at((float64(i)+0.5)*pointHours)
		squares += e * e
		lagged += e * before
		before = e
	}
	n := float64(f.n)
	f.eff = n
	if level := f.y0 + f.wy/f.w; squares > 1e-18*n*level*level { // below that it is rounding, which follows no law
		r = max(0, lagged/squares) // alternating residuals are taken for independent ones: nothing is gained by them
		f.eff = n * (1 - r) / (1 + r)
	}
	f.s = math.Sqrt(squares / (n - 2))
	return r
}

// interval is where a value at x hours is expected with the confidence.
func (f *trend) interval(x float64) (low, high float64) {
	mid := f.at(x)
	d := x - f.x0 - f.wx/f.w
	half := f.t * f.s * math.Sqrt(1+1/f.eff+d*d/f.sxx()*float64(f.n)/f.eff)
	return mid - half, mid + half
}

// reaches returns between which hours the value passes limit, if surely before the horizon. Both ends are where an edge of the
// interval passes it.
func (f *trend) reaches(limit, from, horizon float64) (soonest, latest float64, ok bool) {
	if f.slope() <= 0 || f.at(from) >= limit {
		return 0, 0, false
	}
	edge := func(high bool) float64 {
		passed := func(x float64) bool {
			lo, hi := f.interval(x)
			if high {
				return hi >= limit
			}
			return lo >= limit
		}
		a, b := from, horizon
		if passed(a) {
			return a
		}
		if !passed(b) {
			return math.NaN()
		}
		for range 60 {
			if m := (a + b) / 2; passed(m) {
				b = m
			} else {
				a = m
			}
		}
		return b
	}
	soonest, latest = edge(true), edge(false)
	return soonest, latest, !math.IsNaN(soonest) && !math.IsNaN(latest)
}

// forecast draws the row's line on, if its points support one. limit may be NaN.
func forecast(row *Row, pointHours float64, until time.Time, limitMetric string, limit float64) (Forecast, bool) {
	f, ok := follow(row.Points.Avg, pointHours)
	if !ok {
		return Forecast{}, false
	}
	hours := float64(len(row.Points.Avg)) * pointHours
	out := Forecast{
		Metric: row.Metric, Label: row.Label, Unit: row.Unit, Slope: Number(f.slope()), Fit: Number(f.r2()),
		At: until.Add(time.Duration(hours * float64(time.Hour))), Limit: unknown,
	}
	low, high := f.interval(2 * hours)
	if row.Min >= 0 {
		low = max(low, 0) // what was never negative does not become so
		if high <= 0 {
			return Forecast{}, false // it is over before that
		}
	}
	out.Low, out.High = Number(low), Number(high)
	if !math.IsNaN(limit) {
		if soonest, latest, ok := f.reaches(limit, hours, (1+farthest)*hours); ok {
			out.LimitMetric, out.Limit = limitMetric, Number(limit)
			out.Soonest, out.Latest = Seconds((soonest-hours)*3600), Seconds((latest-hours)*3600)
		}
	}
	out.Text = out.sentence(hours)
	return out, true
}

func (f *Forecast) sentence(hours float64) string {
	grows, by := "grows by ", float64(f.Slope)
	if by < 0 {
		grows, by = "falls by ", -by
	}
	text := f.Label + " " + grows + human(by, f.Unit) + "/h"
	if f.LimitMetric != "" {
		return fmt.Sprintf("%s and reaches its limit of %s in %s", text, human(float64(f.Limit), f.Unit), between(f.Soonest, f.Latest))
	}
	low, high := human(float64(f.Low), f.Unit), human(float64(f.High), f.Unit)
	if low == high {
		return fmt.Sprintf("%s; in %s it is about %s", text, humanSeconds(hours*3600), low)
	}
	return fmt.Sprintf("%s; in %s it is between %s and %s", text, humanSeconds(hours*3600), low, high)
}

func between(a, b Seconds) string {
	from, to := humanSeconds(float64(a)), humanSeconds(float64(b))
	if from == to {
		return "about " + to
	}
	return from + " to " + to
}
