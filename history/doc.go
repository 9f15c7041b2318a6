// Package history keeps the recent past of a process's metrics in memory: the store behind the live page and the report.
//
// A [Store] is given each metric snapshot as it is collected and answers columnar queries: for each series one value for each
// snapshot, absent values as NaN, gaps listed.
//
//	store, err := history.New(history.Config{})
//	…
//	store.Append(time.Now(), &rm)                           // after each collect; rm stays the caller's
//	result := store.Query(history.Query{
//		Since:  time.Now().Add(-5 * time.Minute),
//		Select: []history.Selector{{Metric: "http.server.request.duration", By: []string{"http.route"}}},
//	})
//
// Counters and histograms are kept as the cumulative values that came in. A query gives their increases between snapshots by
// default, computed for each series before series are merged, so that a series that appears, vanishes or restarts does no harm. A series
// that was absent from the snapshot before counts from zero: within one process that is exact. Percentiles over any window and
// any merge of series come from adding bucket increases; no percentile is stored, and none is averaged.
//
// # Cost
//
// Samples are stored as differences in variable-length integers, in blocks of 64 snapshots: about 2 bytes for a number that
// changes little, about 2 for a histogram nothing was recorded to, and about one a bucket more otherwise. Appending to a store
// whose blocks have gone round once allocates nothing but when it thins. Each snapshot is held for ten minutes, and of older ones
// one in five seconds; an hour of 500 series, a quarter of them busy histograms, takes about 10 MB. Time, series and bytes
// are bounded by [Config]; what does not fit is counted in [Stats].
package history
