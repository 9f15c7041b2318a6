package admin_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/admin"
)

// Ten seconds, two routes, one with a failure. The percentiles are worked out by hand from the merged buckets.
func TestRoutes(t *testing.T) {
	h := newHistory(t)
	of := func(route, method string, status int) []attribute.KeyValue {
		return []attribute.KeyValue{
			attribute.String("http.route", route), attribute.String("http.request.method", method), attribute.Int("http.response.status_code", status),
		}
	}
	join := func(ms ...metricdata.Metrics) *metricdata.ResourceMetrics {
		all := ms[0].Data.(metricdata.Histogram[float64])
		for _, m := range ms[1:] {
			all.DataPoints = append(all.DataPoints, m.Data.(metricdata.Histogram[float64]).DataPoints...)
		}
		ms[0].Data = all
		return snapshot(ms[0])
	}
	h.Append(at(0), join(requests([]uint64{5, 0, 0}, of("/a", "GET", 200)...), requests([]uint64{0, 7, 0}, of("/old", "GET", 200)...)))
	h.Append(at(10), join(
		requests([]uint64{20, 0, 0}, of("/a", "GET", 200)...), requests([]uint64{0, 5, 0}, of("/a", "GET", 503)...),
		requests([]uint64{0, 7, 0}, of("/old", "GET", 200)...), requests([]uint64{0, 0, 40}, of("<b>", "POST", 404)...),
	))
	s := start(t, admin.Config{History: h})
	const since = "&since=2026-11-21T12:00:00Z"
	const a = `{"route":"/a","method":"GET","requests":20,"rate":2,"errors":5,"errorShare":0.25,"p50":0.06666666666666667,"p95":0.82,"p99":0.964}`
	const b = `{"route":"<b>","method":"POST","requests":40,"rate":4,"errors":0,"errorShare":0,"p50":1,"p95":1,"p99":1}`
	const all = `{"route":"","method":"","requests":60,"rate":6,"errors":5,"errorShare":0.08333333333333333,"p50":1,"p95":1,"p99":1}`
	for path, want := range map[string]string{
		"/api/routes?sort=-requests" + since:     `{"seconds":10,"total":2,"all":` + all + `,"routes":[` + b + `,` + a + `]}`,
		"/api/routes?sort=-errorShare" + since:   `{"seconds":10,"total":2,"all":` + all + `,"routes":[` + a + `,` + b + `]}`,
		"/api/routes?sort=p99&limit=1" + since:   `{"seconds":10,"total":2,"all":` + all + `,"routes":[` + a + `]}`,
		"/api/routes?since=2026-11-21T11:00:00Z": `{"seconds":10,"total":2,"all":` + all + `,"routes":[` + b + `,` + a + `]}`, // from the first snapshot on
		"/api/routes?since=2026-11-21T12:01:00Z": `{"seconds":0,"total":0,"all":{"route":"","method":"","requests":0,"rate":0,"errors":0,"errorShare":0,"p50":null,"p95":null,"p99":null},"routes":[]}`,
	} {
		var got, wanted any
		if err := json.Unmarshal([]byte(get(t, s, path).body), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got, cmp.Comparer(func(x, y float64) bool { return x-y < 1e-9 && y-x < 1e-9 })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for path, want := range map[string]string{
		"/api/routes?sort=x":     `sort: column "x" is unknown; allowed are errorShare, errors, method, p50, p95, p99, rate, requests, route, each with "-" before it for descending`,
		"/api/routes?limit=0":    `limit: "0" is not a whole number from 1 to 10000`,
		"/api/routes?since=noon": `since: "noon" is not a time; allowed are a duration back from now (5m), RFC 3339, or milliseconds since 1970`,
	} {
		if got := get(t, s, path).failure(t); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
