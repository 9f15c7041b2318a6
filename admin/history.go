package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/otelnet/agent/history"
)

const (
	defaultPoints = 300
	maxPoints     = 4000
	maxMetrics    = 32
	maxText       = 256 // of a metric or attribute name, or a filter
)

// history answers /api/history.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	q, err := s.historyQuery(r.URL.Query(), time.Now())
	if err != nil {
		badParameter(w, err)
		return
	}
	leave, ok := takeTurn(w, r, s.building, viewWait)
	if !ok {
		return
	}
	defer leave()
	res := s.cfg.History.Query(q)
	if r.URL.Query().Get("view") == "page" {
		dropSums(&res)
	}
	body := res.AppendJSON(nil)
	leave()
	s.deliver(w, len(body), func() { send(w, r, body) })
}

// historyQuery reads the parameters of /api/history.
func (s *Server) historyQuery(v url.Values, now time.Time) (history.Query, error) {
	var q history.Query
	var err error
	if q.Since, err = parseTime("since", v.Get("since"), now); err != nil {
		return q, err
	}
	if q.Until, err = parseTime("until", v.Get("until"), now); err != nil {
		return q, err
	}
	if q.Cumulative, err = parseBool("cumulative", v.Get("cumulative")); err != nil {
		return q, err
	}
	switch view := v.Get("view"); {
	case view == "page":
		q.Select = pageView
	case view != "":
		return q, fmt.Errorf("view: %.40q is unknown; allowed is page", view)
	default:
		if q.Select, err = parseSelectors(v); err != nil {
			return q, err
		}
	}
	q.Step, err = s.parseStep(v, q, now)
	return q, err
}

// parseTime reads a moment: a duration back from now, RFC 3339, or milliseconds since 1970. Empty is the zero time.
func parseTime(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 && ms < 1<<53 {
		return time.UnixMilli(ms), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%s: %.40q is not a time; allowed are a duration back from now (5m), RFC 3339, or milliseconds since 1970", name, text)
}

func parseBool(name, text string) (bool, error) {
	switch text {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	}
	return false, fmt.Errorf("%s: %.40q is unknown; allowed are true and false", name, text)
}

// parseSelectors reads metric (repeatable) and by. Without by each series stands by itself; an empty by merges all of a metric.
func parseSelectors(v url.Values) ([]history.Selector, error) {
	names := v["metric"]
	if len(names) > maxMetrics {
		return nil, fmt.Errorf("metric: %d names; at most %d are allowed", len(names), maxMetrics)
	}
	by, each := []string(nil), !v.Has("by")
	if text := v.Get("by"); text != "" {
		by = strings.Split(text, ",")
	}
	for _, name := range append(by, names...) {
		if name == "" || len(name) > maxText {
			return nil, fmt.Errorf("metric, by: a name of %d bytes; allowed are 1 to %d", len(name), maxText)
		}
	}
	if len(names) == 0 && !each {
		return nil, fmt.Errorf("by: needs a metric to go with")
	}
	var sel []history.Selector
	for _, name := range names {
		sel = append(sel, history.Selector{Metric: name, By: by, Each: each})
	}
	return sel, nil
}

// steps are what points are rounded up to, so that steps fall on the marks of a clock and do not move between two calls.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// parseStep reads step, or works it out of points: the most points that the answer may have.
func (s *Server) parseStep(v url.Values, q history.Query, now time.Time) (time.Duration, error) {
	if text := v.Get("step"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > 24*time.Hour {
			return 0, fmt.Errorf("step: %.40q is not a duration from 0s (each snapshot) to 24h", text)
		}
		return d, nil
	}
	points := defaultPoints
	if text := v.Get("points"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPoints {
			return 0, fmt.Errorf("points: %.40q is not a whole number from 1 to %d", text, maxPoints)
		}
		points = n
	}
	if oldest := s.cfg.History.Stats().Oldest; q.Since.Before(oldest) {
		q.Since = oldest
	}
	if q.Until.IsZero() {
		q.Until = now
	}
	want := q.Until.Sub(q.Since) / time.Duration(points)
	for _, step := range steps {
		if want <= step {
			return step, nil
		}
	}
	return steps[len(steps)-1], nil
}
