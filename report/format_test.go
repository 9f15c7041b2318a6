package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otelnet/agent/report"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a small report with something of everything: a leak towards a limit, a gap, an alert, a metric with parts.
func sample(t *testing.T) *report.Report {
	t.Helper()
	var times []int64
	for _, at := range every(2*time.Hour, 5*time.Second) {
		if h := hours(at) * 60; h <= -32 || h >= -30 {
			times = append(times, at)
		}
	}
	src := newMemory(times).
		gauge("otelnet.go.memory.heap.live", "By", func(h float64) float64 { return 1e9 + 2e8*h + 1e6*math.Sin(1000*h) }).
		gauge("go.memory.limit", "By", func(float64) float64 { return 2e9 }).
		gauge("go.goroutine.count", "{goroutine}", func(h float64) float64 { return math.Round(200 + 20*math.Sin(9*h)) }).
		gauge("otelnet.alert.state", "{state}", func(h float64) float64 {
			switch m := h * 60; {
			case m > -20 && m <= -19:
				return 1
			case m > -19 && m <= -12:
				return 2
			}
			return 0
		}).
		counter("otelnet.tcp.retransmits", "{segment}", func(h float64) float64 { return math.Round(2 + math.Sin(40*h)) }).
		counter("otelnet.go.cgo.calls", "{call}", func(float64) float64 { return 0 })
	src.series["otelnet.alert.state"][0].Attributes = map[string]string{"alert": "Slow", "severity": "crit", "team": "shop"}
	src.scope.Version = "1.8.2"
	src.scope.Instances = []string{"10.0.3.17:8080"}

	m := report.Metric{Name: "http.server.request.duration", Unit: "s", Kind: report.Histogram}
	src.scope.Metrics = append(src.scope.Metrics, m)
	for _, code := range []string{"200", "500"} {
		s := report.Series{
			Attributes: map[string]string{"http.response.status_code": code}, Begin: times[0], Times: times[1:],
			Bounds: []float64{0.01, 0.05, 0.1, 0.5, 1}, Buckets: make([][]uint64, 6),
		}
		for _, at := range s.Times {
			incident := hours(at)*60 > -20 && hours(at)*60 < -12
			counts := [6]uint64{40, 50, 10, 0, 0, 0}
			switch {
			case code == "500" && incident:
				counts = [6]uint64{0, 0, 0, 5, 5, 2}
			case code == "500":
				counts = [6]uint64{}
			case incident:
				counts = [6]uint64{10, 20, 20, 30, 8, 0}
			}
			sum, n := 0.0, 0.0
			for b, c := range counts {
				s.Buckets[b] = append(s.Buckets[b], c)
				n += float64(c)
				sum += float64(c) * append(s.Bounds, 2)[b] * 0.75
			}
			s.Values, s.Sums = append(s.Values, n), append(s.Sums, sum)
		}
		src.series[m.Name] = append(src.series[m.Name], s)
	}
	r := build(t, src, report.Options{Range: time.Hour, About: func(a *report.Alert, _, _ time.Time) {
		a.Why = "value 0.31 above 0.1 for 10s"
		a.Captures = []report.Link{{Text: "cpu", URL: "/api/captures/7/cpu.pprof"}, {Text: "trace", URL: "/api/captures/7/trace.out"}}
	}})
	r.Generated = noon
	return r
}

func TestFormats(t *testing.T) {
	r := sample(t)
	for _, f := range []report.Format{report.Text, report.HTML, report.JSON, report.CSV} {
		var got bytes.Buffer
		if err := r.Write(&got, f); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "sample."+string(f))
		if *update {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got), go test -update writes it anew:\n%.3000s", f, diff)
		}
	}
}

// A report that went through JSON is the same report, so what a running agent answers can be written in any format.
func TestJSONKeepsAll(t *testing.T) {
	r := sample(t)
	var body bytes.Buffer
	if err := r.Write(&body, report.JSON); err != nil {
		t.Fatal(err)
	}
	var back report.Report
	if err := json.Unmarshal(body.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	numbers := cmp.Comparer(func(a, b report.Number) bool { return a == b || !a.Known() && !b.Known() })
	if diff := cmp.Diff(r, &back, numbers, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Each format has the same rows with the same numbers.
func TestAllFormatsHaveTheSameTable(t *testing.T) {
	r := sample(t)
	out := make(map[report.Format]string)
	for _, f := range []report.Format{report.Text, report.HTML, report.CSV} {
		var b strings.Builder
		if err := r.Write(&b, f); err != nil {
			t.Fatal(err)
		}
		out[f] = b.String()
	}
	records, err := csv.NewReader(strings.NewReader(out[report.CSV])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != len(r.Rows)+1 {
		t.Errorf("csv: %d records, want a head and %d rows", len(records), len(r.Rows))
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if !strings.Contains(out[report.Text], "\n"+row.Label+" ") {
			t.Errorf("text has no line for %s", row.Label)
		}
		if !strings.Contains(out[report.HTML], ">"+row.Label+"<") {
			t.Errorf("html has no row for %s", row.Label)
		}
	}
}

// Names and labels come from stores that others write to.
func TestForeignTextStaysText(t *testing.T) {
	const evil = "<script>alert(1)</script>\"'\u2028\n\x1b[2J"
	src := newMemory(every(30*time.Minute, 5*time.Second)).gauge("=HYPERLINK("+evil, "{x}"+evil, func(h float64) float64 { return h }).
		gauge("otelnet.alert.state", "", func(float64) float64 { return 2 })
	src.scope.Service, src.scope.Source, src.scope.Notes = evil, evil, []string{evil}
	src.series["otelnet.alert.state"][0].Attributes = map[string]string{"alert": evil, evil: evil}
	r := build(t, src, report.Options{Range: 10 * time.Minute, About: func(a *report.Alert, _, _ time.Time) {
		a.Why = evil
		a.Captures = []report.Link{{Text: evil, URL: "javascript:alert(1)"}}
	}})
	for _, f := range []report.Format{report.Text, report.HTML, report.CSV} {
		var b strings.Builder
		if err := r.Write(&b, f); err != nil {
			t.Fatal(err)
		}
		if f == report.HTML && (strings.Contains(b.String(), "<script") || strings.Contains(b.String(), `href="javascript:`)) {
			t.Error("html: foreign text became markup")
		}
		if f != report.HTML && strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: an escape character got through", f)
		}
		if f == report.CSV && (!strings.Contains(b.String(), "\n\"'=HYPERLINK") || !strings.HasPrefix(b.String(), "# <script>")) {
			t.Errorf("csv: %.300q", b.String())
		}
	}
}

// The page is well-formed, runs nothing, asks for nothing, and its style is the one that the policy names.
func TestHTMLStandsAlone(t *testing.T) {
	var b bytes.Buffer
	if err := sample(t).Write(&b, report.HTML); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, no := range []string{"<script", "<link", " style=", "url(", "@import", "<img", "onload"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
	css := page[strings.Index(page, "<style>")+len("<style>") : strings.Index(page, "</style>")]
	if !strings.Contains(report.Policy(), hash(css)) || !strings.Contains(report.Policy(), "default-src 'none'") {
		t.Errorf("policy %q does not name the style's hash %s", report.Policy(), hash(css))
	}
	charts := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	if len(charts) < 10 {
		t.Errorf("%d charts, want one for each row", len(charts))
	}
	for _, chart := range charts {
		if err := xml.Unmarshal([]byte(chart), new(struct{})); err != nil {
			t.Errorf("not well-formed: %v\n%s", err, chart)
		}
	}
}

func TestParseFormat(t *testing.T) {
	if _, err := report.ParseFormat("pdf"); err == nil || err.Error() != `format: "pdf" is unknown; allowed are html, text, json and csv` {
		t.Errorf("got %v", err)
	}
	if err := sample(t).Write(io.Discard, "pdf"); err == nil {
		t.Error("Write took a format that there is not")
	}
}

// FuzzReport takes what an agent might answer: a report that passes its check can be written in every format.
func FuzzReport(f *testing.F) {
	text, err := os.ReadFile("testdata/sample.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"from":"2026-11-21T11:00:00Z","until":"2026-11-21T11:01:00Z","point":60,"rows":[{"unit":"s","points":{"avg":[1e308],"min":[null],"max":[-1e308]}}],"alerts":[{}],"worst":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r report.Report
		if json.Unmarshal(text, &r) != nil || r.Check() != nil {
			return
		}
		for _, format := range []report.Format{report.Text, report.HTML, report.JSON, report.CSV} {
			if err := r.Write(io.Discard, format); err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
	})
}
