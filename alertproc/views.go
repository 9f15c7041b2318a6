package alertproc

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/sdk/metric"
)

// The bounds a view starts from if Config.Bounds does not name the instrument. They hold all bounds that instruments of
// the unit usually advise, and more, so that nothing such an instrument can tell is lost.
var (
	// secondBounds are the semantic conventions' for durations, finer ones for what the kernel and the runtime measure,
	// and longer ones for connections.
	secondBounds = []float64{
		0.0001, 0.00025, 0.0005, 0.001, 0.0025,
		0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
		30, 60, 120, 300, 600, 1800, 3600,
	}
	byteBounds = []float64{0, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}
	// sdkBounds are the SDK's own default.
	sdkBounds = []float64{0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000}
)

// Views returns SDK views that put the thresholds of quantile and fraction_above rules on bucket bounds, where the
// estimate of a histogram is exact: whether p99 is above 0.3 s is then a matter of counting and not of interpolation.
// There is one view for each histogram that such a rule reads.
//
// A View replaces the bounds an instrument advises, and cannot read them. So each view starts from cfg.Bounds for that
// name if it is there; else, by the instrument's unit, from bounds for seconds between 0.1 ms and an hour, or for
// bytes up to 1 GB; else from the SDK's default bounds. Name instruments with others in cfg.Bounds. Two more things to know:
// a histogram that already has a view of yours gets a second stream from this one (leave it out with a wrapper
// around the returned View), and one that is exponential by the reader's choice becomes explicit. Views are fixed when
// the MeterProvider is made; thresholds changed by Reload are interpolated.
func Views(cfg Config) []metric.View {
	thresholds := map[string][]float64{}
	var names []string
	for _, g := range cfg.Groups {
		for _, r := range g.Rules {
			if r.Metric == "" || !r.Value.takesArg() {
				continue
			}
			if _, ok := thresholds[r.Metric]; !ok {
				names = append(names, r.Metric)
			}
			thresholds[r.Metric] = append(thresholds[r.Metric], r.bounds()...)
		}
	}
	views := make([]metric.View, 0, len(names))
	for _, name := range names {
		views = append(views, boundsView(name, cfg.Bounds[name], thresholds[name]))
	}
	return views
}

// bounds lists the values of the metric that the rule compares with.
func (r *Rule) bounds() []float64 {
	if r.Value.Aggregation == FractionAbove {
		return []float64{r.Value.Arg}
	}
	var all []float64
	for _, t := range []*Threshold{r.Warn, r.Crit} {
		if t == nil {
			continue
		}
		for _, v := range []*float64{t.Above, t.Below, t.Clear} {
			if v != nil {
				all = append(all, *v)
			}
		}
	}
	return all
}

func boundsView(name string, own, thresholds []float64) metric.View {
	return func(in metric.Instrument) (metric.Stream, bool) {
		// Instrument names are compared without regard to case, as the SDK does.
		if in.Kind != metric.InstrumentKindHistogram || !strings.EqualFold(in.Name, name) {
			return metric.Stream{}, false
		}
		base := own
		switch {
		case base != nil:
		case in.Unit == "s":
			base = secondBounds
		case in.Unit == "By":
			base = slices.Concat(sdkBounds, byteBounds)
		default:
			base = sdkBounds
		}
		bounds := slices.Concat(base, thresholds)
		slices.Sort(bounds)
		return metric.Stream{
			Name: in.Name, Description: in.Description, Unit: in.Unit,
			Aggregation: metric.AggregationExplicitBucketHistogram{Boundaries: slices.Compact(bounds)},
		}, true
	}
}
