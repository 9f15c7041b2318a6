// Package report sums up a stretch of a service's metrics on one page: for each metric its average, minimum and maximum, how these
// changed, percentiles, the biggest step; alerts, the worst minutes, gaps, and a forecast where the numbers support one.
//
//	r, err := report.Build(ctx, report.FromHistory(store, service), report.Options{Range: time.Hour})
//	if err != nil {
//		return err // no samples in the range, or a metric that was asked for and is missing
//	}
//	err = r.Write(w, report.HTML)
//
// [Build] asks a [Source] for the range and for the equal range before it. [FromHistory] reads the process's own store; package
// report/remote reads a running agent, Prometheus' HTTP API and InfluxDB 1.x. All of them give the same numbers for the same
// samples, because nothing is computed before Build: counters and histograms arrive as increases between two samples, gauges as
// samples. docs/report.md defines every number.
//
// # What the numbers rest on
//
// The range is cut into points, at most 96, and each point into windows. A rate, a share or a percentile is taken over a window
// or a point from the increases in it; an increase over several windows is spread evenly over its time. A gauge is read as a
// straight line between two samples, so that uneven samples weigh by their time. Percentiles come from buckets that were added up,
// never from other percentiles. What lies in a gap is in no window, no minimum and no step.
//
// A report is never silent about what it lacks: [Report.Missing] lists it, each format prints it first, and [Report.Partial] tells
// a program.
//
// # Cost
//
// Metrics are read one after the other, so memory is that of the largest metric, whatever the number of series; an hour of 500
// series, a quarter of them busy histograms, takes 50 ms and 13 MB of short-lived
// memory. Package report starts no goroutine and writes no file.
package report
