package admin_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/history"
)

// columns is the answer of /api/history as a client reads it.
type columns struct {
	Start  *int64
	Times  []int64
	Gaps   [][2]int64
	Series []struct {
		Metric, Unit, Kind string
		Attributes         map[string]string
		Values, Sums       []*float64
		Bounds             []float64
		Buckets            [][]uint64
	}
}

func read(t *testing.T, a answer) columns {
	t.Helper()
	if a.StatusCode != http.StatusOK {
		t.Fatalf("got %d: %s", a.StatusCode, a.body)
	}
	var c columns
	if err := json.Unmarshal([]byte(a.body), &c); err != nil {
		t.Fatalf("%v in %.300s", err, a.body)
	}
	return c
}

func numbers(v []*float64) []any {
	out := []any{}
	for _, f := range v {
		if f == nil {
			out = append(out, nil)
		} else {
			out = append(out, *f)
		}
	}
	return out
}

func filled(t *testing.T) *history.Store {
	h := newHistory(t)
	ok, bad := attribute.Int("http.response.status_code", 200), attribute.Int("http.response.status_code", 500)
	merged := func(a, b []uint64) metricdata.Metrics {
		m, n := requests(a, ok, attribute.String("http.route", "/a")), requests(b, bad, attribute.String("http.route", "/\"<b>"))
		x, y := m.Data.(metricdata.Histogram[float64]), n.Data.(metricdata.Histogram[float64])
		x.DataPoints = append(x.DataPoints, y.DataPoints...)
		m.Data = x
		return m
	}
	g := metricdata.Metrics{Name: "g", Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{{Value: math.Inf(1)}}}}
	h.Append(at(0), snapshot(merged([]uint64{1, 0, 0}, []uint64{0, 0, 1}), g))
	h.Append(at(1), snapshot(merged([]uint64{3, 0, 0}, []uint64{0, 0, 2}), g))
	h.Append(at(31), snapshot(merged([]uint64{3, 5, 0}, []uint64{0, 0, 2}), g))
	return h
}

func TestHistoryColumns(t *testing.T) {
	s := start(t, admin.Config{History: filled(t)})
	const metric = "metric=http.server.request.duration"

	c := read(t, get(t, s, "/api/history?step=0s&by=&"+metric))
	if diff := cmp.Diff([]int64{at(0).UnixMilli(), at(1).UnixMilli(), at(31).UnixMilli()}, c.Times); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][2]int64{{at(1).UnixMilli(), at(31).UnixMilli()}}, c.Gaps); diff != "" || c.Start != nil {
		t.Errorf("start %v, gaps (-want +got):\n%s", c.Start, diff)
	}
	if len(c.Series) != 1 {
		t.Fatalf("merged: got %d series, want 1", len(c.Series))
	}
	one := c.Series[0]
	if diff := cmp.Diff([]any{nil, 3.0, 5.0}, numbers(one.Values)); diff != "" {
		t.Errorf("merged counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]uint64{{0, 2, 0}, {0, 0, 5}, {0, 1, 0}}, one.Buckets); diff != "" {
		t.Errorf("merged buckets (-want +got):\n%s", diff)
	}
	if one.Unit != "s" || one.Kind != "histogram" || len(one.Sums) != 3 || cmp.Diff([]float64{0.1, 1}, one.Bounds) != "" {
		t.Errorf("merged: got %+v", one)
	}

	c = read(t, get(t, s, "/api/history?step=0s&cumulative=true&"+metric))
	if len(c.Series) != 2 || c.Series[1].Attributes["http.route"] != `/"<b>` || cmp.Diff([]any{1.0, 2.0, 2.0}, numbers(c.Series[1].Values)) != "" {
		t.Errorf("each, cumulative: got %+v", c.Series)
	}
	if len(c.Series[1].Buckets) != 3 || len(c.Series[1].Buckets[0]) != 0 {
		t.Errorf("an all-zero bucket: got %v, want []", c.Series[1].Buckets)
	}

	c = read(t, get(t, s, "/api/history?step=0s&by=http.response.status_code&"+metric))
	if len(c.Series) != 2 || cmp.Diff(map[string]string{"http.response.status_code": "200"}, c.Series[0].Attributes) != "" {
		t.Errorf("by status: got %+v", c.Series)
	}

	if c = read(t, get(t, s, "/api/history?metric=g")); numbers(c.Series[0].Values)[0] != nil {
		t.Errorf("infinity: got %v, want null, which JSON has", numbers(c.Series[0].Values))
	}
	if c = read(t, get(t, s, "/api/history")); len(c.Series) != 3 {
		t.Errorf("everything: got %d series, want 3", len(c.Series))
	}
	if c = read(t, get(t, s, "/api/history?metric=none")); c.Series == nil || len(c.Series) != 0 {
		t.Errorf("an unknown metric: got %v, want an empty list", c.Series)
	}
	for _, since := range []string{at(0).Format(time.RFC3339), "1795262400000"} {
		c = read(t, get(t, s, "/api/history?step=0s&since="+url.QueryEscape(since)))
		if len(c.Times) != 2 || c.Start == nil || *c.Start != at(0).UnixMilli() {
			t.Errorf("since %s: got %d times from %v, want 2 from %d", since, len(c.Times), c.Start, at(0).UnixMilli())
		}
	}
	if c = read(t, get(t, s, "/api/history?step=1m")); len(c.Times) != 1 || c.Times[0] != at(31).UnixMilli() {
		t.Errorf("a step of 1m: got times %v, want the last", c.Times)
	}
	if c = read(t, get(t, s, "/api/history?view=page")); len(c.Series) != 3 || c.Series[0].Sums != nil {
		t.Errorf("the page's view: got %+v, want buckets of all and counts by status, without sums", c.Series)
	}
}

func TestHistoryIsCompressed(t *testing.T) {
	s := start(t, admin.Config{History: filled(t)})
	for encoding, want := range map[string]string{"gzip": "gzip", "gzip;q=0": "", "br, gzip;q=0.5": "gzip", "identity": ""} {
		res := do(t, s, http.MethodGet, "/page/app.js", func(r *http.Request) { r.Header.Set("Accept-Encoding", encoding) })
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %s: got %q, want %q", encoding, got, want)
		}
	}
	small := do(t, s, http.MethodGet, "/api/v1/alerts", func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
	if small.Header.Get("Content-Encoding") != "" {
		t.Error("an answer of one packet is compressed, which gains nothing")
	}
}

func TestBadParameters(t *testing.T) {
	s := start(t, admin.Config{Connections: connections(nil), Alerts: alerts{}})
	for path, want := range map[string][]string{
		"/api/history?since=yesterday":                        {"since", "yesterday", "5m", "RFC 3339"},
		"/api/history?until=-5m":                              {"until", "-5m"},
		"/api/history?step=soon":                              {"step", "0s", "24h"},
		"/api/history?step=-1s":                               {"step"},
		"/api/history?points=0":                               {"points", "1 to 4000"},
		"/api/history?points=5000":                            {"points", "1 to 4000"},
		"/api/history?points=1e3":                             {"points"},
		"/api/history?view=all":                               {"view", "page"},
		"/api/history?cumulative=yes":                         {"cumulative", "true and false"},
		"/api/history?by=x":                                   {"by", "metric"},
		"/api/history?metric=":                                {"metric", "1 to 256"},
		"/api/history?metric=" + strings.Repeat("m", 300):     {"300", "256"},
		"/api/history?" + strings.Repeat("metric=m&", 40):     {"40", "32"},
		"/api/stream?since=never":                             {"since", "never"},
		"/api/connections?sort=size":                          {"sort", "size", "sentBytes"},
		"/api/connections?state=gone":                         {"state", "gone", "open", "closed", "idle"},
		"/api/connections?limit=x":                            {"limit"},
		"/api/connections?limit=-1":                           {"limit"},
		"/api/connections?limit=99999":                        {"limit", "10000"},
		"/api/connections?filter=" + strings.Repeat("f", 300): {"filter", "256"},
		"/api/v1/rules?type=any":                              {"type", "any", "alert", "record"},
		"/api/v1/rules?exclude_alerts=perhaps":                {"exclude_alerts"},
		"/debug/pprof/profile?seconds=0":                      {"seconds", "300"},
		"/debug/pprof/profile?seconds=9999":                   {"seconds", "300"},
		"/debug/pprof/trace?seconds=NaN":                      {"seconds"},
		"/debug/pprof/heap?debug=3":                           {"debug", "0", "1", "2"},
		"/debug/pprof/heap?seconds=5":                         {"seconds", "profile", "trace"},
	} {
		res := get(t, s, path)
		text := res.failure(t)
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%.60s: got %d, want 400", path, res.StatusCode)
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%.60s: %q does not say %s", path, text, w)
			}
		}
	}
}
