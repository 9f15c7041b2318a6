package report

import (
	"context"
	"fmt"
	"time"

	"github.com/otelnet/agent/history"
)

// Service names whose history it is.
type Service struct {
	Name     string
	Version  string
	Instance string
}

// FromHistory reads a process's own store. It reads one metric at a time, during which Append waits: some milliseconds for the largest.
func FromHistory(store *history.Store, service Service) Source {
	return &historySource{store, service}
}

type historySource struct {
	store   *history.Store
	service Service
}

func (h *historySource) Describe(_ context.Context, from, until time.Time) (*Scope, error) {
	s := &Scope{
		Service: h.service.Name, Version: h.service.Version, Source: "the service's own history",
		GapAfter: h.store.GapAfter(),
	}
	if h.service.Instance != "" {
		s.Instances = []string{h.service.Instance}
	}
	res := h.store.Query(history.Query{Since: from, Until: until, Select: []history.Selector{}})
	if !res.Start.IsZero() {
		s.Times = append(s.Times, res.Start.UnixMilli())
	}
	for _, t := range res.Times {
		s.Times = append(s.Times, t.UnixMilli())
	}
	for _, g := range res.Gaps {
		if g.To.Sub(g.From) < s.GapAfter {
			s.Restarts = append(s.Restarts, Gap{g.From, g.To})
		}
	}
	for _, m := range h.store.Metrics() {
		s.Metrics = append(s.Metrics, Metric{Name: m.Name, ID: m.Name, Unit: m.Unit, Kind: kindOf(m.Kind)})
	}
	if st := h.store.Stats(); st.DroppedSamples > 0 || st.Unsupported > 0 {
		if st.DroppedSamples > 0 {
			s.Notes = append(s.Notes, fmt.Sprintf("the history had no room for %d samples since the start: series are missing", st.DroppedSamples))
		}
		if st.Unsupported > 0 {
			s.Notes = append(s.Notes, "exponential histograms and summaries are not kept by the history: they are missing")
		}
	}
	return s, nil
}

func kindOf(k history.Kind) Kind {
	switch k {
	case history.Counter:
		return Counter
	case history.Histogram:
		return Histogram
	}
	return Gauge
}

func (h *historySource) Read(ctx context.Context, m Metric, by []string, from, until time.Time, add func(*Series)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("report: %w", context.Cause(ctx))
	}
	sel := history.Selector{Metric: m.Name, By: by}
	if len(by) == 1 && by[0] == AllAttributes {
		sel.By, sel.Each = nil, true
	}
	return h.query(history.Query{Since: from, Until: until, Select: []history.Selector{sel}}, m, add)
}

func (h *historySource) query(q history.Query, m Metric, add func(*Series)) error {
	res := h.store.Query(q)
	times := make([]int64, len(res.Times))
	for i, t := range res.Times {
		times[i] = t.UnixMilli()
	}
	for i := range res.Series {
		sr := &res.Series[i]
		if kindOf(sr.Kind) != m.Kind {
			continue // two scopes may give one name to different things
		}
		s := Series{Attributes: sr.Attributes, Times: times, Values: sr.Values, Sums: sr.Sums, Bounds: sr.Bounds, Buckets: sr.Buckets}
		if !res.Start.IsZero() {
			s.Begin = res.Start.UnixMilli()
		} else {
			s.Begin = h.store.Stats().Oldest.UnixMilli() // the first snapshot begins all increases
		}
		add(&s)
	}
	return nil
}

// totals adds up in the store, so that an answer has a column or two for a stretch.
func (h *historySource) totals(ctx context.Context, m Metric, by []string, from, until time.Time, add func(*Series)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("report: %w", context.Cause(ctx))
	}
	return h.query(history.Query{Since: from, Until: until, Step: mostRange, Select: []history.Selector{{Metric: m.Name, By: by}}}, m, add)
}
