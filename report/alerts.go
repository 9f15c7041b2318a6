package report

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"
)

// The values of otelnet.alert.state.
const (
	pending = 1
	firing  = 2
)

// readAlerts turns the states of alert rules into stretches.
func (b *builder) readAlerts(ctx context.Context, m Metric) error {
	b.report.Rules = true
	open := make(map[string]*Alert) // by process and attributes: series may come in several stretches
	var order []*Alert
	ended := make(map[*Alert]int64) // the last sample seen
	err := b.each(ctx, m, []string{AllAttributes}, func(s *Series) {
		key := seriesKey(s)
		for i, t := range s.Times {
			state := s.Values[i]
			a := open[key]
			if a != nil && (b.cover.isGap(ended[a], t) || b.cover.crosses(ended[a], t)) {
				a.Ended = time.UnixMilli(ended[a]).UTC()
				a, open[key] = nil, nil
			}
			switch {
			case math.IsNaN(state):
				continue
			case state < pending:
				if a != nil {
					a.Ended = time.UnixMilli(t).UTC()
					open[key] = nil
				}
				continue
			case a == nil:
				a = newAlert(s.Attributes)
				a.Since = time.UnixMilli(t).UTC()
				open[key] = a
				order = append(order, a)
			}
			ended[a] = t
			if state >= firing && a.Fired.IsZero() {
				a.Fired = time.UnixMilli(t).UTC()
			}
		}
	})
	if err != nil {
		return err
	}
	start, end := b.grid.start(), b.grid.end()
	for _, a := range order {
		last := end
		if !a.Ended.IsZero() {
			last = min(end, a.Ended.UnixMilli())
		}
		if a.Ended.IsZero() && ended[a] < end-b.cover.gapAfter {
			a.Ended = time.UnixMilli(ended[a]).UTC() // its last sample: the service was not heard of again
			last = ended[a]
		}
		if last <= start || a.Since.UnixMilli() > end {
			continue
		}
		if !a.Fired.IsZero() {
			a.Firing = Seconds(float64(max(0, last-max(start, a.Fired.UnixMilli()))) / 1000)
		}
		if b.opt.About != nil {
			b.opt.About(a, time.UnixMilli(max(start, a.Since.UnixMilli())), time.UnixMilli(last))
		}
		b.report.Alerts = append(b.report.Alerts, *a)
	}
	slices.SortStableFunc(b.report.Alerts, func(x, y Alert) int {
		return cmp.Or(x.Since.Compare(y.Since), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Severity, y.Severity))
	})
	return nil
}

func newAlert(attrs map[string]string) *Alert {
	a := &Alert{Name: attrs["alert"], Severity: attrs["severity"]}
	for k, v := range attrs {
		if k != "alert" && k != "severity" {
			if a.Labels == nil {
				a.Labels = make(map[string]string)
			}
			a.Labels[k] = v
		}
	}
	return a
}

// seriesKey tells series apart.
func seriesKey(s *Series) string {
	key := string(rune(s.Process))
	for _, k := range slices.Sorted(maps.Keys(s.Attributes)) {
		key += "\x00" + k + "\x00" + s.Attributes[k]
	}
	return key
}

// fires tells whether the alert fires at some moment of (from, until], in milliseconds.
func (a *Alert) fires(from, until int64) bool {
	return !a.Fired.IsZero() && a.Fired.UnixMilli() <= until && (a.Ended.IsZero() || a.Ended.UnixMilli() > from)
}

// around is like fires, but from when the alert, which must have fired, was pending: what made it fire came before.
func (a *Alert) around(from, until int64) bool {
	return !a.Fired.IsZero() && a.Since.UnixMilli() <= until && (a.Ended.IsZero() || a.Ended.UnixMilli() > from)
}

// firing are the stretches in which any alert fired, apart from each other and ascending, in milliseconds.
func (r *Report) firing() (spans []span, n int) {
	for _, a := range r.Alerts {
		if a.Fired.IsZero() || a.Firing == 0 {
			continue
		}
		n++
		from := max(a.Fired.UnixMilli(), r.From.UnixMilli())
		spans = append(spans, span{from, from + int64(float64(a.Firing)*1000)})
	}
	slices.SortFunc(spans, func(x, y span) int { return cmp.Compare(x.from, y.from) })
	apart := spans[:0]
	for _, s := range spans {
		if k := len(apart); k > 0 && s.from <= apart[k-1].until {
			apart[k-1].until = max(apart[k-1].until, s.until)
			continue
		}
		apart = append(apart, s)
	}
	return apart, n
}

// inAlert is for how long any alert fired within the range, each moment once, and how many did.
func (r *Report) inAlert() (seconds float64, n int) {
	spans, n := r.firing()
	for _, s := range spans {
		seconds += float64(s.until-s.from) / 1000
	}
	return seconds, n
}
