package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/report"
	"github.com/otelnet/agent/report/remote"
)

// promStore answers as Prometheus does, as far as the source asks: label sets, and raw samples of names that match, within a time.
type promStore struct {
	series  []promStored
	limit   int      // of samples in an answer
	queries []string // that were asked
	warning string   // of every answer; "" for none
}

type promStored struct {
	labels  map[string]string
	at      []int64 // ms
	values  []float64
	natives bool
}

var rawQuery = regexp.MustCompile(`^\{__name__=~"([^"]*)"(.*)\}\[(\d+)ms\]$`)

func (p *promStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(data any) {
		answer := map[string]any{"status": "success", "data": data}
		if p.warning != "" {
			answer["warnings"] = []string{p.warning}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
	number := func(name string) int64 {
		f, _ := strconv.ParseFloat(r.FormValue(name), 64)
		return int64(math.Round(f * 1000))
	}
	p.queries = append(p.queries, r.FormValue("query")+r.FormValue("match[]"))
	if r.URL.Path == "/api/v1/series" {
		sets := []map[string]string{}
		for _, s := range p.series {
			sets = append(sets, s.labels)
		}
		say(sets)
		return
	}
	result := []map[string]any{}
	until, from := number("time"), int64(0)
	match := rawQuery.FindStringSubmatch(r.FormValue("query"))
	kind := "matrix"
	if match == nil { // last_over_time(…[1d])
		kind = "vector"
		match = regexp.MustCompile(`"([^"]*)"`).FindStringSubmatch(r.FormValue("query"))
		from = until - 86_400_000
	} else {
		length, _ := strconv.ParseInt(match[3], 10, 64)
		from = until - length
	}
	pattern, _ := strconv.Unquote(`"` + match[1] + `"`)
	names := regexp.MustCompile("^(?:" + pattern + ")$")
	n := 0
	for _, s := range p.series {
		if !names.MatchString(s.labels["__name__"]) {
			continue
		}
		var values [][2]any
		for i, at := range s.at {
			if from <= at && at <= until { // both ends, as Prometheus 2 has it
				values = append(values, [2]any{float64(at) / 1000, strconv.FormatFloat(s.values[i], 'g', -1, 64)})
			}
		}
		n += len(values)
		switch {
		case s.natives:
			result = append(result, map[string]any{"metric": s.labels, "histograms": []any{1}})
		case len(values) > 0 && kind == "vector":
			result = append(result, map[string]any{"metric": s.labels, "value": values[len(values)-1]})
		case len(values) > 0:
			result = append(result, map[string]any{"metric": s.labels, "values": values})
		}
	}
	if p.limit > 0 && n > p.limit {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}`)
		return
	}
	say(map[string]any{"resultType": kind, "result": result})
}

// add stores a series with a sample each 15 s from back before noon on, as long as value gives numbers.
func (p *promStore) add(name string, back time.Duration, value func(i int) float64, labels ...string) {
	s := promStored{labels: map[string]string{"__name__": name, "job": "shop", "instance": "a"}}
	for i := 0; i < len(labels); i += 2 {
		s.labels[labels[i]] = labels[i+1]
	}
	for i := 0; ; i++ {
		at := noon.Add(-back).Add(time.Duration(i) * 15 * time.Second)
		v := value(i)
		if at.After(noon) || math.IsInf(v, 0) {
			break
		}
		if !math.IsNaN(v) {
			s.at, s.values = append(s.at, at.UnixMilli()), append(s.values, v)
		}
	}
	p.series = append(p.series, s)
}

func constant(v float64) func(int) float64 { return func(int) float64 { return v } }

func (p *promStore) report(t *testing.T, opt remote.Options, want report.Options) (*report.Report, error) {
	t.Helper()
	s := httptest.NewServer(p)
	defer s.Close()
	opt.URL = s.URL
	src, err := remote.Prometheus(opt)
	if err != nil {
		t.Fatal(err)
	}
	want.Until = noon
	if want.Range == 0 {
		want.Range = 10 * time.Minute
	}
	return report.Build(t.Context(), src, want)
}

func rowOf(t *testing.T, r *report.Report, metric string, stat report.Stat) report.Row {
	t.Helper()
	for _, row := range r.Rows {
		if row.Metric == metric && row.Part == "" && row.Stat == stat {
			return row
		}
	}
	t.Fatalf("no row %s %s in %d rows", metric, stat, len(r.Rows))
	return report.Row{}
}

func near(t *testing.T, what string, got report.Number, want float64) {
	t.Helper()
	if !(math.Abs(float64(got)-want) <= 1e-9) {
		t.Errorf("%s: got %v, want %v", what, float64(got), want)
	}
}

// What a counter counted is found, however it comes: from a process that was there all along, one that restarts under its name, a series
// that appears, a process that joins, and not from one that was only away from the store.
func TestPrometheusIncreases(t *testing.T) {
	const half = 40 // samples in ten minutes
	for _, tc := range []struct {
		name string
		add  func(p *promStore)
		want float64 // increase within the last ten minutes
	}{
		{"there all along", func(p *promStore) {
			p.add("c_total", 25*time.Minute, func(i int) float64 { return 1e6 + float64(3*i) })
		}, 3 * half},
		{"reset to 5 in the middle", func(p *promStore) {
			p.add("c_total", 20*time.Minute, func(i int) float64 {
				if i >= 60 {
					return 5 + float64(3*(i-60))
				}
				return float64(3 * i)
			})
		}, 3*(half-1) + 5},
		{"a series appears with 70", func(p *promStore) {
			p.add("c_total", 25*time.Minute, func(i int) float64 {
				if i < 80 {
					return math.NaN()
				}
				return 70
			})
		}, 70},
		{"another process joins with 70", func(p *promStore) {
			p.add("go_goroutine_count", 5*time.Minute, constant(1), "instance", "b")
			p.add("c_total", 5*time.Minute, constant(70), "instance", "b")
		}, 70},
		{"another process was away", func(p *promStore) {
			p.add("go_goroutine_count", 40*time.Minute, func(i int) float64 {
				if i > 10 && i < 140 {
					return math.NaN()
				}
				return 1
			}, "instance", "b")
			p.add("c_total", 5*time.Minute, func(i int) float64 { return 7000 + float64(i) }, "instance", "b")
		}, 20},
		{"the first sample of all", func(p *promStore) {
			p.series = nil
			p.add("go_goroutine_count", 9*time.Minute, constant(1))
			p.add("c_total", 9*time.Minute, func(i int) float64 { return 500 + float64(i) })
		}, 36},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &promStore{}
			p.add("go_goroutine_count", 25*time.Minute, constant(9))
			tc.add(p)
			r, err := p.report(t, remote.Options{}, report.Options{})
			if err != nil {
				t.Fatal(err)
			}
			watched := 600.0
			if tc.name == "the first sample of all" {
				watched = 540
			}
			near(t, "increase", rowOf(t, r, "c_total", report.Rate).Avg*report.Number(watched), tc.want)
			if r.Service != "shop" || r.Partial && watched == 600 {
				t.Errorf("service %q, missing %q", r.Service, r.Missing)
			}
		})
	}
}

// Buckets come as series of their own, in any order, and are put together by time.
func TestPrometheusHistogram(t *testing.T) {
	p := &promStore{}
	p.add("go_goroutine_count", 25*time.Minute, constant(9))
	n := func(each float64) func(i int) float64 { return func(i int) float64 { return 1000 + each*float64(i) } }
	p.add("http_server_request_duration_seconds_bucket", 25*time.Minute, n(10), "le", "+Inf", "http_response_status_code", "200")
	p.add("http_server_request_duration_seconds_bucket", 25*time.Minute, n(4), "le", "0.1", "http_response_status_code", "200")
	p.add("http_server_request_duration_seconds_bucket", 25*time.Minute, n(9), "le", "1", "http_response_status_code", "200")
	p.add("http_server_request_duration_seconds_sum", 25*time.Minute, n(5), "http_response_status_code", "200")
	p.add("http_server_request_duration_seconds_count", 25*time.Minute, n(10), "http_response_status_code", "200")
	r, err := p.report(t, remote.Options{}, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const m = "http.server.request.duration" // its own name again
	near(t, "rate", rowOf(t, r, m, report.Rate).Avg, 10./15)
	near(t, "mean", rowOf(t, r, m, report.Mean).Avg, 0.5)
	near(t, "p50", rowOf(t, r, m, report.P50).Avg, 0.1+0.9*1/5)
	near(t, "p99", rowOf(t, r, m, report.P99).Avg, 1)
	if u := rowOf(t, r, m, report.P50).Unit; u != "s" {
		t.Errorf("unit %q, want s", u)
	}
}

// An answer that would be too large is asked for in parts, and no sample at a seam counts twice or is lost.
func TestPrometheusAsksForLess(t *testing.T) {
	p := &promStore{limit: 30}
	p.add("go_goroutine_count", 25*time.Minute, constant(9))
	p.add("c_total", 25*time.Minute, func(i int) float64 { return float64(i * i) })
	r, err := p.report(t, remote.Options{}, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "rate", rowOf(t, r, "c_total", report.Rate).Avg, (100*100-60*60)/600.)
	if len(p.queries) < 8 {
		t.Errorf("asked only %d times: %q", len(p.queries), p.queries)
	}
}

func TestPrometheusSelects(t *testing.T) {
	two := &promStore{}
	two.add("target_info", 25*time.Minute, constant(1))
	two.add("target_info", 25*time.Minute, constant(1), "job", "cart")
	two.add("up", 25*time.Minute, constant(1), "job", "collector")
	_, err := two.report(t, remote.Options{}, report.Options{})
	if err == nil || !strings.HasSuffix(err.Error(), ": it has 2 services: cart, shop; choose one with -service") {
		t.Errorf("got %v", err)
	}

	p := &promStore{}
	p.add("go_goroutine_count", 25*time.Minute, constant(9))
	evil := `a"} or vector(1) #` + "\n"
	if _, err := p.report(t, remote.Options{Service: evil, Instance: `b\`, Select: map[string]string{"http.route": "/x"}}, report.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, q := range p.queries {
		if !strings.Contains(q, `,http_route="/x",instance="b\\",job="a\"} or vector(1) #\n"}`) {
			t.Errorf("asked %s", q)
		}
	}
}

func TestPrometheusSaysWhatItCannotRead(t *testing.T) {
	p := &promStore{}
	p.add("go_goroutine_count", 25*time.Minute, constant(9))
	p.series = append(p.series, promStored{labels: map[string]string{"__name__": "latency_seconds", "job": "shop", "instance": "a"}, natives: true})
	r, err := p.report(t, remote.Options{}, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Partial || !strings.Contains(strings.Join(r.Missing, "\n"), "latency_seconds has native histograms, which are not read") {
		t.Errorf("partial %v, missing %q", r.Partial, r.Missing)
	}
	p = &promStore{warning: "store s3\x1b[2J gave no answer"}
	p.add("go_goroutine_count", 25*time.Minute, constant(9))
	if r, err = p.report(t, remote.Options{}, report.Options{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"it warns: store s3 [2J gave no answer"}; !r.Partial || !slices.Contains(r.Missing, want[0]) {
		t.Errorf("a store with a warning: partial %v, missing %q; want %q", r.Partial, r.Missing, want)
	}
	_, err = (&promStore{}).report(t, remote.Options{Service: "shop"}, report.Options{})
	if !errors.Is(err, report.ErrNoSamples) {
		t.Errorf("an empty store: got %v", err)
	}
}

// Since Prometheus 3 a name may have dots: they stand for themselves, not for any letter. A total that is no number is none.
func TestPrometheusOddSeries(t *testing.T) {
	p := &promStore{}
	p.add("go_goroutine_count", 25*time.Minute, constant(9))
	p.add("queue.length", 25*time.Minute, constant(3))
	p.add("queue_length", 25*time.Minute, constant(100))
	p.add("jobs_total", 25*time.Minute, func(i int) float64 { return 15 * float64(i) })
	jobs := p.series[len(p.series)-1].values
	for i := 5; i < len(jobs); i += 10 {
		jobs[i] = math.NaN()
	}
	r, err := p.report(t, remote.Options{}, report.Options{Range: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "queue.length", rowOf(t, r, "queue.length", report.Value).Avg, 3)
	near(t, "queue_length", rowOf(t, r, "queue_length", report.Value).Avg, 100)
	near(t, "jobs", rowOf(t, r, "jobs_total", report.Rate).Avg, 1)
}

// Whatever is there instead, the error is one line.
func TestStoresThatAreNone(t *testing.T) {
	for _, body := range []string{
		"", "null", "[]", "{}", `{"status":"success"}`, `{"status":"success","data":7}`, `{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1]]}]}}`,
		`{"results":[]}`, `{"results":[{"series":[{"columns":["name"],"values":[[]]}]}]}`, `{"results":[{"error":"database not found: otel"}]}`, "<html>",
	} {
		url, _ := answering(t, 200, body)
		for _, open := range []func(remote.Options) (report.Source, error){remote.Prometheus, remote.InfluxDB} {
			src, err := open(remote.Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			r, err := report.Build(t.Context(), src, report.Options{Until: noon})
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: got %v, %v; want an error of one line", body, r, err)
			}
		}
	}
}

func FuzzPrometheusAnswer(f *testing.F) {
	f.Add(`[{"__name__":"go_goroutine_count","job":"a"}]`, `{"resultType":"matrix","result":[{"metric":{"__name__":"go_goroutine_count","job":"a"},"values":[[1795262400,"3"],[1795262405,"NaN"]]}]}`)
	f.Add(`[{"__name__":"h_bucket","le":"+Inf"}]`, `{"resultType":"matrix","result":[{"metric":{"__name__":"h_bucket","le":"+Inf"},"values":[[1795262400.5,"1e300"]]},{"metric":{"le":"-1"},"values":[]}]}`)
	f.Fuzz(func(t *testing.T, sets, data string) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := data
			if r.URL.Path == "/api/v1/series" {
				body = sets
			}
			fmt.Fprintf(w, `{"status":"success","data":%s}`, body)
		}))
		defer s.Close()
		src, err := remote.Prometheus(remote.Options{URL: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := report.Build(t.Context(), src, report.Options{Until: noon}); err == nil {
			for _, format := range []report.Format{report.Text, report.HTML, report.JSON, report.CSV} {
				if err := r.Write(new(strings.Builder), format); err != nil {
					t.Errorf("%s: %v", format, err)
				}
			}
		}
	})
}
