package report

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// requests are the service's HTTP requests, all and failed ones, also by minute.
type requests struct {
	all, failed        *tally
	minutes, minFailed *tally
}

const worstShown = 5

func (b *builder) readRequests(ctx context.Context, m Metric) error {
	byMinute := newCover(b.grid.minutes(), b.scope)
	q := &requests{newTally(b.cover), newTally(b.cover), newTally(byMinute), newTally(byMinute)}
	err := b.each(ctx, m, []string{"http.response.status_code", "error.type"}, func(s *Series) {
		q.all.add(s)
		q.minutes.add(s)
		if failed(s.Attributes) {
			q.failed.add(s)
			q.minFailed.add(s)
		}
	})
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

// worst finds the minutes with the most requests that failed or were slow.
func (b *builder) worst() {
	q := b.requests
	if q == nil || q.all.buckets == nil {
		return
	}
	r := b.report
	r.WorstLen = Seconds(float64(q.minutes.window) / 1000)
	limit := q.all.quantile(0.99, q.all.whole(false))
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
