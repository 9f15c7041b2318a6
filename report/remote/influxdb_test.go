package remote_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/report"
	"github.com/otelnet/agent/report/remote"
)

// influxStore answers the source's questions about a gauge, a counter and a histogram that were written each 10 s.
type influxStore struct {
	limit   int // rows in an answer before it is cut off
	queries []string
}

func (db *influxStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.FormValue("q")
	db.queries = append(db.queries, r.FormValue("db")+": "+q)
	say := func(series ...any) {
		_ = json.NewEncoder(w).Encode(map[string]any{"results": []any{map[string]any{"series": series}}})
	}
	type object = map[string]any
	fields := func(name string, keys ...string) object {
		var rows [][]any
		for _, k := range keys {
			rows = append(rows, []any{k, "float"})
		}
		return object{"name": name, "columns": []string{"fieldKey", "fieldType"}, "values": rows}
	}
	switch {
	case strings.HasPrefix(q, "SHOW MEASUREMENTS"):
		say(object{"columns": []string{"name"}, "values": [][]any{{"go.goroutine.count"}, {"jobs"}, {"http.server.request.duration"}, {"jobs_exemplar"}}})
	case strings.HasPrefix(q, `SHOW TAG VALUES WITH KEY = "service.name"`):
		say(object{"columns": []string{"key", "value"}, "values": [][]any{{"service.name", "shop"}, {"service.name", "shop"}}})
	case strings.HasPrefix(q, "SHOW TAG VALUES"):
		say(object{"columns": []string{"key", "value"}, "values": [][]any{{"service.instance.id", "a"}}})
	case strings.HasPrefix(q, "SHOW FIELD KEYS"):
		say(fields("go.goroutine.count", "gauge", "start_time_unix_nano"), fields("jobs", "counter"), fields("jobs_exemplar", "gauge"),
			fields("http.server.request.duration", "+Inf", "0.1", "1", "count", "max", "min", "sum"), fields("of.another.service", "gauge"))
	default:
		db.selects(w, q, say)
	}
}

func (db *influxStore) selects(w http.ResponseWriter, q string, say func(...any)) {
	_, times, _ := strings.Cut(q, "time > ")
	var from, until int64
	fmt.Sscanf(times, "%dms AND time <= %dms", &from, &until)
	s := map[string]any{"tags": map[string]string{"service.instance.id": "a", "service.name": "shop", "http.response.status_code": "200"}}
	var columns []string
	var rows [][]any
	for at := noon.Add(-25 * time.Minute); !at.After(noon); at = at.Add(10 * time.Second) {
		ms, i := at.UnixMilli(), float64(at.Sub(noon.Add(-25*time.Minute))/(10*time.Second))
		if ms <= from || ms > until {
			continue
		}
		switch {
		case strings.Contains(q, `"jobs"`):
			columns, rows = []string{"time", "counter"}, append(rows, []any{ms, 20 * i})
		case strings.Contains(q, "duration"):
			// Of another view's bounds a column is left, empty here.
			columns = []string{"time", "+Inf", "0.1", "0.25", "1", "count", "max", "min", "sum"}
			rows = append(rows, []any{ms, 10 * i, 4 * i, nil, 9 * i, 10 * i, 3, 0.01, 5 * i})
		default:
			columns, rows = []string{"time", "gauge"}, append(rows, []any{ms, 7})
		}
	}
	if db.limit > 0 && len(rows) > db.limit {
		rows = rows[:db.limit]
		s["partial"] = true
	}
	s["columns"], s["values"] = columns, rows
	if len(rows) == 0 {
		fmt.Fprint(w, `{"results":[{"statement_id":0}]}`)
		return
	}
	say(s)
}

func (db *influxStore) report(t *testing.T, opt remote.Options, path string) *report.Report {
	t.Helper()
	s := httptest.NewServer(db)
	defer s.Close()
	opt.URL = s.URL + path
	src, err := remote.InfluxDB(opt)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Build(t.Context(), src, report.Options{Until: noon, Range: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestInfluxDB(t *testing.T) {
	for name, db := range map[string]*influxStore{"at once": {}, "in parts": {limit: 40}} {
		t.Run(name, func(t *testing.T) {
			r := db.report(t, remote.Options{}, "")
			near(t, "gauge", rowOf(t, r, "go.goroutine.count", report.Value).Avg, 7)
			near(t, "counter", rowOf(t, r, "jobs", report.Rate).Avg, 2)
			const m = "http.server.request.duration"
			near(t, "rate", rowOf(t, r, m, report.Rate).Avg, 1)
			near(t, "mean", rowOf(t, r, m, report.Mean).Avg, 0.5)
			near(t, "p50", rowOf(t, r, m, report.P50).Avg, 0.1+0.9*1/5)
			near(t, "coverage", r.Coverage.Share, 1)
			if r.Service != "shop" || len(r.Instances) != 1 || r.Instances[0] != "a" || r.Partial {
				t.Errorf("service %q, instances %q, missing %q", r.Service, r.Instances, r.Missing)
			}
			for _, row := range r.Rows {
				if strings.Contains(row.Metric, "another") || strings.Contains(row.Metric, "exemplar") {
					t.Errorf("row of %s", row.Metric)
				}
			}
		})
	}
}

// Names are quoted, so that a value is never part of the query.
func TestInfluxDBQuotes(t *testing.T) {
	db := &influxStore{}
	db.report(t, remote.Options{Service: `x' OR '1'='1`, Instance: `back\slash`, Select: map[string]string{`a"b`: "c"}}, "?db=metrics")
	for _, q := range db.queries {
		if !strings.HasPrefix(q, "metrics: ") {
			t.Errorf("another database: %s", q)
		}
		if strings.Contains(q, "SELECT") && !strings.Contains(q, `"service.name" = 'x\' OR \'1\'=\'1' AND "service.instance.id" = 'back\\slash' AND "a\"b" = 'c' AND time >`) {
			t.Errorf("asked %s", q)
		}
	}
}

func FuzzInfluxDBAnswer(f *testing.F) {
	f.Add(`{"results":[{"series":[{"name":"m","tags":{"service.instance.id":"a"},"columns":["name","value","time","+Inf","gauge"],"values":[["m","v",1795262400000,3,4]]}]}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		defer s.Close()
		src, err := remote.InfluxDB(remote.Options{URL: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := report.Build(t.Context(), src, report.Options{Until: noon}); err == nil {
			if err := r.Write(new(strings.Builder), report.HTML); err != nil {
				t.Error(err)
			}
		}
	})
}
