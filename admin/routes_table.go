package admin

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelnet/agent/history"
)

const requestDuration = "http.server.request.duration"

// routeRow is a row of /api/routes. Percentiles are null where no request was answered.
type routeRow struct {
	Route      string   `json:"route"`
	Method     string   `json:"method"`
	Requests   float64  `json:"requests"`
	Rate       float64  `json:"rate"`
	Errors     float64  `json:"errors"`
	ErrorShare float64  `json:"errorShare"`
	P50        *float64 `json:"p50"`
	P95        *float64 `json:"p95"`
	P99        *float64 `json:"p99"`
}

var routeColumns = map[string]func(a, b *routeRow) int{
	"route":      func(a, b *routeRow) int { return cmp.Compare(a.Route, b.Route) },
	"method":     func(a, b *routeRow) int { return cmp.Compare(a.Method, b.Method) },
	"requests":   func(a, b *routeRow) int { return cmp.Compare(a.Requests, b.Requests) },
	"rate":       func(a, b *routeRow) int { return cmp.Compare(a.Rate, b.Rate) },
	"errors":     func(a, b *routeRow) int { return cmp.Compare(a.Errors, b.Errors) },
	"errorShare": func(a, b *routeRow) int { return cmp.Compare(a.ErrorShare, b.ErrorShare) },
	"p50":        func(a, b *routeRow) int { return comparePercentile(a.P50, b.P50) },
	"p95":        func(a, b *routeRow) int { return comparePercentile(a.P95, b.P95) },
	"p99":        func(a, b *routeRow) int { return comparePercentile(a.P99, b.P99) },
}

// comparePercentile puts what is not known below everything else.
func comparePercentile(a, b *float64) int {
	if a == nil || b == nil {
		return cmp.Compare(b2i(a != nil), b2i(b != nil))
	}
	return cmp.Compare(*a, *b)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// routeTable answers /api/routes.
func (s *Server) routeTable(w http.ResponseWriter, r *http.Request) {
	q, err := parseRoutes(r.URL.Query(), time.Now())
	if err != nil {
		badParameter(w, err)
		return
	}
	res := s.cfg.History.Query(history.Query{
		Since: q.since, Until: q.until, Step: 24 * time.Hour, // all in one column, two at midnight
		Select: []history.Selector{{Metric: requestDuration, By: []string{"http.route", "http.request.method", "http.response.status_code", "error.type"}}},
	})
	if res.Start.IsZero() {
		res.Start = s.cfg.History.Stats().Oldest // the range reaches back to the first snapshot, which begins the increases
	}
	all, rows, seconds := routeRows(res)
	slices.SortStableFunc(rows, func(a, b routeRow) int {
		return cmp.Or(q.direction*routeColumns[q.sort](&a, &b), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
	})
	total := len(rows)
	respond(w, r, struct {
		Seconds float64    `json:"seconds"`
		Total   int        `json:"total"`
		All     routeRow   `json:"all"`
		Routes  []routeRow `json:"routes"`
	}{seconds, total, all, rows[:min(q.limit, total)]})
}

type routeQuery struct {
	since, until time.Time
	sort         string
	direction    int
	limit        int
}

func parseRoutes(v url.Values, now time.Time) (q routeQuery, err error) {
	if q.since, err = parseTime("since", cmp.Or(v.Get("since"), "5m"), now); err != nil {
		return q, err
	}
	if q.until, err = parseTime("until", v.Get("until"), now); err != nil {
		return q, err
	}
	text := cmp.Or(v.Get("sort"), "-requests")
	q.sort, q.direction = strings.TrimPrefix(text, "-"), 1
	if q.sort != text {
		q.direction = -1
	}
	if routeColumns[q.sort] == nil {
		return q, fmt.Errorf("sort: column %.40q is unknown; allowed are %s, each with \"-\" before it for descending",
			text, strings.Join(slices.Sorted(maps.Keys(routeColumns)), ", "))
	}
	q.limit = defaultRows
	if text := v.Get("limit"); text != "" {
		if q.limit, err = strconv.Atoi(text); err != nil || q.limit < 1 || q.limit > maxRows {
			return q, fmt.Errorf("limit: %.40q is not a whole number from 1 to %d", text, maxRows)
		}
	}
	return q, nil
}

// routeSum adds up series of one route, or of all.
type routeSum struct {
	row     routeRow
	bounds  []float64
	buckets []uint64
}

func (sum *routeSum) add(sr *history.Series) {
	if sum.buckets == nil {
		sum.bounds, sum.buckets = sr.Bounds, make([]uint64, len(sr.Buckets))
	}
	count := 0.0
	for _, v := range sr.Values {
		if !math.IsNaN(v) {
			count += v
		}
	}
	sum.row.Requests += count
	if failed(sr.Attributes) {
		sum.row.Errors += count
	}
	if !slices.Equal(sum.bounds, sr.Bounds) {
		return // of a view that was changed: percentiles come from those that can be added
	}
	for b, column := range sr.Buckets {
		for _, n := range column {
			sum.buckets[b] += n
		}
	}
}

func (sum *routeSum) done(seconds float64) routeRow {
	row := sum.row
	if row.Requests > 0 {
		row.ErrorShare = row.Errors / row.Requests
	}
	if seconds > 0 {
		row.Rate = row.Requests / seconds
	}
	row.P50, row.P95, row.P99 = percentile(0.5, sum.bounds, sum.buckets), percentile(0.95, sum.bounds, sum.buckets), percentile(0.99, sum.bounds, sum.buckets)
	return row
}

// routeRows adds up the series of each route and method, and of all of them. It also returns the seconds that they cover.
func routeRows(res history.Result) (all routeRow, rows []routeRow, seconds float64) {
	rows = []routeRow{}
	if len(res.Times) == 0 {
		return all, rows, 0
	}
	seconds = res.Times[len(res.Times)-1].Sub(res.Start).Seconds()
	var whole routeSum
	var order []*routeSum
	byKey := make(map[[2]string]*routeSum)
	for i := range res.Series {
		sr := &res.Series[i]
		key := [2]string{sr.Attributes["http.route"], sr.Attributes["http.request.method"]}
		sum := byKey[key]
		if sum == nil {
			sum = &routeSum{row: routeRow{Route: key[0], Method: key[1]}}
			byKey[key] = sum
			order = append(order, sum)
		}
		sum.add(sr)
		whole.add(sr)
	}
	for _, sum := range order {
		if sum.row.Requests > 0 { // others are known from before the range
			rows = append(rows, sum.done(seconds))
		}
	}
	return whole.done(seconds), rows, seconds
}

// failed tells whether requests with these attributes count as errors, as the page counts them.
func failed(attrs map[string]string) bool {
	code, err := strconv.Atoi(attrs["http.response.status_code"])
	return attrs["error.type"] != "" || err == nil && code >= 500
}

// percentile is the q-quantile with the arithmetic of Prometheus' histogram_quantile for classic buckets, as quantile.js has it.
// Nil when there is none.
func percentile(q float64, bounds []float64, counts []uint64) *float64 {
	var total uint64
	for _, n := range counts {
		total += n
	}
	if total == 0 || len(bounds) == 0 {
		return nil
	}
	rank, below, b := q*float64(total), 0.0, 0
	for b < len(bounds) && below+float64(counts[b]) < rank {
		below += float64(counts[b])
		b++
	}
	var v float64
	switch {
	case b == len(bounds):
		v = bounds[b-1]
	case b == 0 && bounds[0] <= 0:
		v = bounds[0]
	default:
		start := 0.0
		if b > 0 {
			start = bounds[b-1]
		}
		v = start + (bounds[b]-start)*(rank-below)/float64(counts[b])
	}
	return &v
}
