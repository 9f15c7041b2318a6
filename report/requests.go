package report

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// requests are the service's HTTP requests, all and failed ones, also by minute.
type requests struct {
	all, failed        *tally
	minutes, minFailed *tally
	routes             *partsOf[*routeTally]
}

// routeTally is one route's requests, in two windows: the range before and the range.
type routeTally struct{ all, failed *tally }

// totaler is a source that can add up a metric over a stretch by more attributes than it could give samples of.
type totaler interface {
	totals(ctx context.Context, m Metric, by []string, from, until time.Time, add func(*Series)) error
}

const (
	worstShown  = 5
	routesShown = 10
)

func (b *builder) readRequests(ctx context.Context, m Metric) error {
	byMinute := newCover(b.grid.minutes(), b.scope)
	both := newCover(b.grid.ranges(), b.scope)
	q := &requests{
		newTally(b.cover), newTally(b.cover), newTally(byMinute), newTally(byMinute),
		newParts(func() *routeTally { return &routeTally{newTally(both), newTally(both)} }),
	}
	by := []string{"http.response.status_code", "error.type"}
	byRoute := append(by[:2:2], "http.route", "http.request.method")
	src, sums := b.src.(totaler)
	if !sums {
		by = byRoute
	}
	err := b.each(ctx, m, by, func(s *Series) {
		if !sums {
			q.addRoute(s)
		}
		q.all.add(s)
		q.minutes.add(s)
		if failed(s.Attributes) {
			q.failed.add(s)
			q.minFailed.add(s)
		}
	})
	for half := range 2 {
		if sums && err == nil {
			err = src.totals(ctx, m, byRoute, time.UnixMilli(both.at(half)), time.UnixMilli(both.at(half+1)), q.addRoute)
		}
	}
	if err != nil {
		return err
	}
	b.requests = q
	b.quietOr(m, q.all, func() {
		b.tallyRows(m, "", q.all)
		b.row(m, "failed", Rate, perSecond(""), q.failed.rate())
		b.row(m, "failed", Share, "share", q.failed.shareOf(q.all))
	})
	return nil
}

func (q *requests) addRoute(s *Series) {
	r := q.routes.of(s.Attributes["http.route"] + "\x00" + s.Attributes["http.request.method"])
	r.all.add(s)
	if failed(s.Attributes) {
		r.failed.add(s)
	}
}

// routes lists the routes with the most requests that failed or were slow, and then the busiest.
func (b *builder) routes(limit float64) {
	type scored struct {
		Route
		bad float64
	}
	var found []scored
	for _, key := range b.requests.routes.names() {
		t := b.requests.routes.of(key)
		all, bad := t.all.whole(false), t.failed.whole(false)
		if all.count < leastCount || t.all.buckets == nil {
			continue
		}
		r := Route{
			Requests: Number(all.count / t.all.watched(1, 2)), Failed: Number(bad.count), FailedPart: Number(bad.count / all.count),
			Slow: Number(above(limit, t.all.bounds, all.buckets)),
			P50:  Number(t.all.quantile(0.5, all)), P99: Number(t.all.quantile(0.99, all)), PrevFailedPart: unknown, PrevP99: unknown,
		}
		r.Route, r.Method, _ = strings.Cut(key, "\x00")
		if before := t.all.whole(true); b.previous && before.count >= leastCount {
			r.PrevFailedPart, r.PrevP99 = Number(t.failed.whole(true).count/before.count), Number(t.all.quantile(0.99, before))
		}
		found = append(found, scored{r, bad.count + above(limit, t.all.bounds, all.buckets)})
	}
	slices.SortStableFunc(found, func(x, y scored) int { return cmp.Or(cmp.Compare(y.bad, x.bad), cmp.Compare(y.Requests, x.Requests)) })
	for _, s := range found[:min(routesShown, len(found))] {
		b.report.Routes = append(b.report.Routes, s.Route)
	}
}

// worst finds the minutes with the most requests that failed or were slow.
func (b *builder) worst() {
	q := b.requests
	if q == nil || q.all.buckets == nil {
		return
	}
	r := b.report
	r.WorstLen = Seconds(float64(q.minutes.window) / 1000)
	limit := q.all.quantile(0.99, q.all.whole(false))
	b.routes(limit)
	type scored struct {
		minute Minute
		bad    float64
	}
	var found []scored
	for w := range q.minutes.n {
		all, bad := q.minutes.total(w, w+1), q.minFailed.total(w, w+1)
		if all.count < leastCount {
			continue
		}
		good := slices.Clone(all.buckets)
		for i, n := range bad.buckets {
			good[i] -= n
		}
		from := q.minutes.at(w)
		m := Minute{
			From: time.UnixMilli(from).UTC(), Requests: Number(all.count), Failed: Number(bad.count),
			FailedPart: Number(bad.count / all.count), Slow: Number(above(limit, q.all.bounds, all.buckets)),
			P50: Number(q.all.quantile(0.5, all)), P99: Number(q.all.quantile(0.99, all)),
		}
		for _, a := range r.Alerts {
			if a.fires(from, from+q.minutes.window) && !slices.Contains(m.Alerts, a.Name) {
				m.Alerts = append(m.Alerts, a.Name)
			}
		}
		if score := bad.count + above(limit, q.all.bounds, good); score >= leastCount {
			found = append(found, scored{m, score})
		}
	}
	slices.SortStableFunc(found, func(x, y scored) int { return cmp.Compare(y.bad, x.bad) })
	for _, s := range found[:min(worstShown, len(found))] {
		r.Worst = append(r.Worst, s.minute)
	}
}
