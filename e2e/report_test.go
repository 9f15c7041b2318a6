package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/e2e/internal/stack"
	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/report"
)

const (
	reportStep  = 5 * time.Second
	reportRange = 10 * time.Minute
)

// past is a service's last 24 minutes, snapshot by snapshot: traffic that comes and goes, an incident with an alert, a leak, a
// gap, a counter that is reset and a series that appears late.
type past struct {
	start  time.Time
	counts map[string][]uint64 // by status
	sums   map[string]float64
	orders int64
	bytes  [2]int64
}

var bucketBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}

func (p *past) snapshot(i int) *metricdata.ResourceMetrics {
	at := p.start.Add(time.Duration(i) * reportStep)
	begin := p.start.Add(-time.Minute)
	set := func(kv ...string) attribute.Set {
		var attrs []attribute.KeyValue
		for j := 0; j < len(kv); j += 2 {
			attrs = append(attrs, attribute.String(kv[j], kv[j+1]))
		}
		return attribute.NewSet(attrs...)
	}
	incident := i >= 200 && i < 240
	statuses := []string{"200"}
	if i >= 150 { // no request had failed before
		statuses = append(statuses, "500")
	}
	hist := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for _, status := range statuses {
		if p.counts[status] == nil {
			p.counts[status] = make([]uint64, len(bucketBounds)+1)
		}
		for b := range p.counts[status] {
			n := uint64((i*7 + b*13) % 11)
			if incident {
				n += uint64(3 * b)
			}
			if status == "500" {
				n /= 5
			}
			p.counts[status][b] += n
			p.sums[status] += float64(n) * append(bucketBounds, 4)[b] * 0.8
		}
		hist.DataPoints = append(hist.DataPoints, metricdata.HistogramDataPoint[float64]{
			Attributes: set("http.response.status_code", status, "http.route", "/pay"), StartTime: begin, Time: at,
			Bounds: bucketBounds, BucketCounts: slices.Clone(p.counts[status]), Count: sumOf(p.counts[status]), Sum: p.sums[status],
		})
	}
	if p.orders += int64(i % 4); i == 180 {
		p.orders = 2
	}
	p.bytes[0] += int64(1000 * (i % 17))
	p.bytes[1] += int64(9000 * (i % 5))
	point := func(v int64, kv ...string) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Attributes: set(kv...), StartTime: begin, Time: at, Value: v}
	}
	state := int64(0)
	if i >= 205 && i < 210 {
		state = 1
	} else if i >= 210 && i < 245 {
		state = 2
	}
	sum := func(monotonic bool, points ...metricdata.DataPoint[int64]) metricdata.Sum[int64] {
		return metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: monotonic, DataPoints: points}
	}
	return &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("service.instance.id", "shop-1")),
		ScopeMetrics: []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: "e2e"}, Metrics: []metricdata.Metrics{
			{Name: "http.server.request.duration", Unit: "s", Data: hist},
			{Name: "otelnet.connection.io", Unit: "By", Data: sum(true,
				point(p.bytes[0], "network.io.direction", "receive", "otelnet.side", "server"), point(p.bytes[1], "network.io.direction", "transmit", "otelnet.side", "server"))},
			{Name: "shop.orders", Unit: "{order}", Data: sum(true, point(p.orders, "currency", "EUR"))},
			{Name: "otelnet.go.cgo.calls", Unit: "{call}", Data: sum(true, point(0))},
			{Name: "otelnet.server.active_connections", Unit: "{connection}", Data: sum(false, point(int64(40+20*math.Sin(float64(i)/9))), point(int64(i%5), "otelnet.listener", "admin"))},
			{Name: "go.goroutine.count", Unit: "{goroutine}", Data: sum(false, point(int64(100+i%23)))},
			{Name: "otelnet.go.memory.heap.live", Unit: "By", Data: sum(false, point(int64(200e6+1e6*i+(i*i*7919)%1000003)))},
			{Name: "go.memory.limit", Unit: "By", Data: sum(false, point(1e9))},
			{Name: "shop.temperature", Unit: "Cel", Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{
				{Attributes: set(), Time: at, Value: 20 + math.Sin(float64(i))},
			}}},
			{Name: "otelnet.alert.state", Unit: "{state}", Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{
				point(state, "alert", "Slow", "severity", "crit", "team", "pay"),
			}}},
		}}},
	}
}

func sumOf(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

var buildOtelnet = sync.OnceValues(func() (string, error) {
	path := filepath.Join(stack.Root(), "e2e", ".cache", "otelnet")
	out, err := exec.Command("go", "build", "-C", stack.Root(), "-o", path, "./cmd/otelnet").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build otelnet: %w\n%s", err, out)
	}
	return path, nil
})

// otelnetReport runs the tool and returns what it wrote and its exit status.
func otelnetReport(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	tool, err := buildOtelnet()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tool, append([]string{"report"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// The same samples go to a process's own history and by OTLP through real Collectors to the real Prometheus, VictoriaMetrics and InfluxDB.
// The tool's reports from the four give the same numbers for every metric, to nine digits: what is left is the order of additions.
func TestReportsFromAllSourcesAgree(t *testing.T) {
	p := startPipeline(t)
	victoria := stack.StartVictoriaMetrics(t, p.dir)
	toVictoria := stack.StartTier(t, p.dir, "collector-victoria", []string{"gateway.yaml"}, "PROMETHEUS_ENDPOINT="+victoria.URL)
	store, err := history.New(history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 288
	until := time.Now().Truncate(time.Second)
	service := past{
		start:  until.Add(-(n - 1) * reportStep),
		counts: map[string][]uint64{}, sums: map[string]float64{},
	}
	var exporters []*otlpmetricgrpc.Exporter
	for _, c := range []*stack.Collector{p.collector, toVictoria} {
		exporter, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint(c.GRPCEndpoint), otlpmetricgrpc.WithInsecure())
		if err != nil {
			t.Fatal(err)
		}
		defer exporter.Shutdown(context.Background())
		exporters = append(exporters, exporter)
	}
	for i := range n {
		rm := service.snapshot(i)
		if i >= 252 && i < 259 { // 40 s that nobody saw
			continue
		}
		store.Append(service.start.Add(time.Duration(i)*reportStep), rm)
		for _, exporter := range exporters {
			if err := exporter.Export(t.Context(), rm); err != nil {
				t.Fatal(err)
			}
		}
	}
	newest := float64(service.counts["200"][0])
	stack.Until(t, time.Minute, "the last sample in all stores", func(ctx context.Context) error {
		for name, store := range map[string]*stack.Prometheus{"prometheus": p.prometheus, "victoria-metrics": victoria} {
			got, err := store.Query(ctx, `http_server_request_duration_seconds_bucket{le="0.005",http_response_status_code="200"}`)
			if err != nil || len(got) != 1 || got[0].Value != newest {
				return fmt.Errorf("%s: %v, %w", name, got, err)
			}
		}
		influx, err := p.influx.Query(ctx, `SELECT last("0.005") FROM "http.server.request.duration" WHERE "http.response.status_code" = '200'`)
		if err != nil || len(influx) != 1 || influx[0].Columns["last"] != newest {
			return fmt.Errorf("influxdb: %v, %w", influx, err)
		}
		return nil
	})

	server, err := admin.New(admin.Config{Addr: "127.0.0.1:0", History: store, Service: admin.Service{Name: "shop", Instance: "shop-1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown(context.Background())

	reports := make(map[string]*report.Report)
	for name, from := range map[string]string{
		"agent": "agent=" + server.URL(), "prometheus": "prometheus=" + p.prometheus.URL, "victoria-metrics": "prometheus=" + victoria.URL,
		"influxdb": "influxdb=" + p.influx.URL,
	} {
		stdout, stderr, status := otelnetReport(t, "-from", from, "-range", reportRange.String(), "-until", until.Format(time.RFC3339), "-format", "json")
		if status != 0 {
			t.Fatalf("%s: status %d: %s", name, status, stderr)
		}
		reports[name] = &report.Report{}
		if err := json.Unmarshal([]byte(stdout), reports[name]); err != nil {
			t.Fatal(err)
		}
		// The same once more as a page, to be looked at.
		if _, stderr, status := otelnetReport(t, "-from", from, "-range", reportRange.String(), "-until", until.Format(time.RFC3339), "-format", "html",
			"-o", filepath.Join(p.dir, name+".html")); status != 0 {
			t.Errorf("%s: html: status %d: %s", name, status, stderr)
		}
	}
	want := reports["agent"]
	if len(want.Rows) < 15 || len(want.Alerts) != 1 || len(want.Worst) == 0 || len(want.Trends) == 0 || len(want.Coverage.Gaps) != 1 {
		t.Fatalf("the agent's report has %d rows, %d alerts, %d worst minutes, %d trends, %d gaps: the comparison would prove little",
			len(want.Rows), len(want.Alerts), len(want.Worst), len(want.Trends), len(want.Coverage.Gaps))
	}
	for _, name := range []string{"prometheus", "victoria-metrics", "influxdb"} {
		for _, d := range differences(want, reports[name], name != "influxdb") {
			t.Errorf("%s: %s", name, d)
		}
	}

	t.Run("bad input", func(t *testing.T) { reportBadInput(t, p, until) })
}

// promNames are the names by which Prometheus has what the test records and the tool does not know.
var promNames = map[string]string{"shop.orders": "shop_orders_total", "shop.temperature": "shop_temperature_celsius"}

// differences compares two reports number by number.
func differences(want, got *report.Report, prom bool) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	number := func(what string, a, b report.Number) {
		if a.Known() != b.Known() || a.Known() && math.Abs(float64(a-b)) > 1e-9*(math.Abs(float64(a))+1e-3) {
			say("%s: %v, the agent has %v", what, float64(b), float64(a))
		}
	}
	rows := make(map[string]*report.Row)
	for i := range got.Rows {
		r := &got.Rows[i]
		rows[r.Metric+"|"+r.Part+"|"+string(r.Stat)] = r
	}
	for i := range want.Rows {
		w := &want.Rows[i]
		name := w.Metric
		if prom && promNames[name] != "" {
			name = promNames[name]
		}
		what := name + "|" + w.Part + "|" + string(w.Stat)
		g := rows[what]
		if g == nil {
			say("%s: no such row", what)
			continue
		}
		for _, c := range []struct {
			column string
			a, b   report.Number
		}{
			{"avg", w.Avg, g.Avg},
			{"min", w.Min, g.Min},
			{"max", w.Max, g.Max},
			{"previous avg", w.PrevAvg, g.PrevAvg},
			{"previous min", w.PrevMin, g.PrevMin},
			{"previous max", w.PrevMax, g.PrevMax},
			{"Δavg", w.ChangeAvg, g.ChangeAvg},
			{"Δmin", w.ChangeMin, g.ChangeMin},
			{"Δmax", w.ChangeMax, g.ChangeMax},
			{"step", w.Step, g.Step},
		} {
			number(what+" "+c.column, c.a, c.b)
		}
		for _, c := range []struct {
			column string
			a, b   report.Number
		}{{"slope of avg", w.SlopeAvg, g.SlopeAvg}, {"slope of min", w.SlopeMin, g.SlopeMin}, {"slope of max", w.SlopeMax, g.SlopeMax}} {
			if math.Abs(float64(c.a-c.b)) > 1e-6*(math.Abs(float64(c.a))+math.Abs(float64(w.Avg))) { // differences of nearly equal numbers
				say("%s %s: %v, the agent has %v", what, c.column, float64(c.b), float64(c.a))
			}
		}
		if !w.StepAt.Equal(g.StepAt) {
			say("%s step: at %s, the agent has %s", what, g.StepAt, w.StepAt)
		}
		for j := range w.Points.Avg {
			number(fmt.Sprintf("%s point %d", what, j), w.Points.Avg[j], g.Points.Avg[j])
			number(fmt.Sprintf("%s least of point %d", what, j), w.Points.Min[j], g.Points.Min[j])
			number(fmt.Sprintf("%s most of point %d", what, j), w.Points.Max[j], g.Points.Max[j])
		}
		delete(rows, what)
	}
	for what := range rows {
		say("%s: the agent has no such row", what)
	}
	if want.Verdict != got.Verdict {
		say("verdict %q, the agent has %q", got.Verdict, want.Verdict)
	}
	number("coverage", want.Coverage.Share, got.Coverage.Share)
	number("coverage before", want.Previous.Share, got.Previous.Share)
	same := func(what string, a, b any) {
		x, err := json.Marshal(a)
		y, err2 := json.Marshal(b)
		if err != nil || err2 != nil || !bytes.Equal(x, y) {
			say("%s: %s, the agent has %s", what, y, x)
		}
	}
	same("gaps", want.Coverage.Gaps, got.Coverage.Gaps)
	same("alerts", want.Alerts, got.Alerts)
	same("quiet", want.Quiet, got.Quiet)
	same("missing", want.Missing, got.Missing)
	same("instances", want.Instances, got.Instances)
	for i := range want.Worst {
		if i < len(got.Worst) {
			w, g := want.Worst[i], got.Worst[i]
			same("worst minute", w.From, g.From)
			number("requests of the worst minute", w.Requests, g.Requests)
			number("failed in the worst minute", w.Failed, g.Failed)
			number("slow in the worst minute", w.Slow, g.Slow)
			number("p99 of the worst minute", w.P99, g.P99)
		}
	}
	if len(want.Routes) != 1 || len(got.Routes) != 1 {
		say("%d routes, the agent has %d; want one", len(got.Routes), len(want.Routes))
	} else { // what a store adds up by itself has the samples at the range's ends as a whole
		w, g := want.Routes[0], got.Routes[0]
		for _, n := range [][2]report.Number{{w.Requests, g.Requests}, {w.FailedPart, g.FailedPart}, {w.P50, g.P50}, {w.P99, g.P99}, {w.PrevP99, g.PrevP99}} {
			if math.Abs(float64(n[0]-n[1])) > 0.01*math.Abs(float64(n[0])) {
				say("route %v, the agent has %v", g, w)
				break
			}
		}
	}
	if len(want.Worst) != len(got.Worst) || len(want.Trends) != len(got.Trends) {
		say("%d worst minutes and %d forecasts, the agent has %d and %d", len(got.Worst), len(got.Trends), len(want.Worst), len(want.Trends))
	}
	return out
}

// reportBadInput asks the stores for what they cannot give.
func reportBadInput(t *testing.T, p *pipeline, until time.Time) {
	at := "-until=" + until.Format(time.RFC3339)
	prometheus, influx := "-from=prometheus="+p.prometheus.URL, "-from=influxdb="+p.influx.URL
	for _, tc := range []struct {
		args   []string
		stderr string
		prints bool // a report all the same
	}{
		{[]string{prometheus, "-until=2020-01-01T00:00:00Z"}, "no samples", false},
		{[]string{influx, "-until=2020-01-01T00:00:00Z"}, "no samples", false},
		{[]string{prometheus, at, "-service=nobody"}, "no samples", false},
		{[]string{influx, at, "-service=nobody"}, "no samples", false},
		{[]string{prometheus, at, "-range=10m", "-metric=no.such"}, `has no metric "no.such"`, false},
		{[]string{influx, at, "-range=10m", "-metric=no.such"}, `has no metric "no.such"`, false},
		{[]string{influx + "?db=none", at}, "database not found: none", false},
		{[]string{"-from=prometheus=" + p.influx.URL, at}, "404 Not Found for api/v1/series: is this a Prometheus API?", false},
		{[]string{"-from=influxdb=" + p.prometheus.URL, at}, "404 Not Found for query: is this an InfluxDB 1.x?", false},
		{[]string{"-from=agent=" + p.prometheus.URL, at}, "404 Not Found for report: is this the page of an agent?", false},
		{[]string{"-from=agent=" + p.influx.URL, at}, "404 Not Found for report: is this the page of an agent?", false},
		{[]string{prometheus, at, "-range=1h"}, "report: partial: samples cover 23 min 15 s of 1 h (39 %)", true},
		{[]string{influx, at, "-range=1h"}, "report: partial: samples cover 23 min 15 s of 1 h (39 %)", true},
	} {
		stdout, stderr, status := otelnetReport(t, tc.args...)
		if status != 1 || !strings.Contains(stderr, tc.stderr) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q; want 1 and one line with %q", tc.args, status, stderr, tc.stderr)
		}
		if tc.prints != strings.Contains(stdout, "PARTIAL") || !tc.prints && stdout != "" {
			t.Errorf("%v: printed %.300q", tc.args, stdout)
		}
	}
}

// A service as it is: the agent looks each second, an export goes out each second, at moments of their own. What the three reports say
// of the same minutes differs by what happens between two samples, and by no more.
func TestReportsOfARunningServiceAgree(t *testing.T) {
	p := startPipeline(t)
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})
	begun := time.Now()
	for time.Since(begun) < 80*time.Second {
		stack.Send(t, demo.Client, demo.URL+"/api/data", 10)
	}
	until := time.Now().Truncate(time.Second)
	stack.Until(t, 30*time.Second, "a sample after the range", func(ctx context.Context) error {
		samples, err := p.prometheus.Query(ctx, "max(timestamp("+requestCount+"))")
		if err != nil {
			return err
		}
		if len(samples) != 1 || samples[0].Value < float64(until.Unix()+2) {
			return fmt.Errorf("the newest is %v", samples)
		}
		rows, err := p.influx.Query(ctx, fmt.Sprintf(`SELECT count("gauge") FROM "go.goroutine.count" WHERE time > %ds`, until.Unix()+1))
		if err == nil && len(rows) == 0 {
			err = errors.New("InfluxDB has none")
		}
		return err
	})
	reports := make(map[string]*report.Report)
	for name, url := range map[string]string{"agent": demo.Admin, "prometheus": p.prometheus.URL, "influxdb": p.influx.URL} {
		stdout, stderr, status := otelnetReport(t, "-from", name+"="+url, "-range", "1m", "-until", until.Format(time.RFC3339), "-format", "json", "-service", "demo-service")
		if status != 0 {
			t.Fatalf("%s: status %d: %s", name, status, stderr)
		}
		reports[name] = &report.Report{}
		if err := json.Unmarshal([]byte(stdout), reports[name]); err != nil {
			t.Fatal(err)
		}
	}
	find := func(r *report.Report, metric, part string, stat report.Stat) report.Row {
		for _, row := range r.Rows {
			if row.Metric == metric && row.Part == part && row.Stat == stat {
				return row
			}
		}
		t.Fatalf("no row %s %s %s", metric, part, stat)
		return report.Row{}
	}
	for _, c := range []struct {
		metric, part string
		stat         report.Stat
		within       float64 // of the agent's number
	}{
		{"http.server.request.duration", "", report.Rate, 0.02},
		{"http.server.request.duration", "", report.Mean, 0.02},
		{"http.server.request.duration", "", report.P50, 0.02},
		{"http.server.request.duration", "", report.P99, 0.05},
		{"otelnet.connection.io", "receive", report.Rate, 0.02},
		{"otelnet.connection.io", "transmit", report.Rate, 0.02},
		{"otelnet.server.active_connections", "", report.Value, 0.02},
		{"go.goroutine.count", "", report.Value, 0.05},
		{"otelnet.process.unix.file_descriptor.limit", "", report.Value, 0},
		{"process.memory.usage", "", report.Value, 0.05},
	} {
		want := find(reports["agent"], c.metric, c.part, c.stat).Avg
		for _, name := range []string{"prometheus", "influxdb"} {
			if got := find(reports[name], c.metric, c.part, c.stat).Avg; !(math.Abs(float64(got-want)) <= c.within*math.Abs(float64(want))) {
				t.Errorf("%s %s %s: %s has %v, the agent %v: more than %.0f %% apart", c.metric, c.part, c.stat, name, float64(got), float64(want), 100*c.within)
			}
		}
	}
	// The stores have what the agent has: no metric is lost on the way or under another name. Only what a process had counted before
	// its first export is not an increase to a store, so metrics that rose at the start alone have no rows there.
	idle := make(map[string]bool)
	for _, row := range reports["agent"].Rows {
		if row.Stat == report.Rate && row.Part == "" && row.Avg == 0 {
			idle[row.Metric] = true
		}
	}
	labels := func(r *report.Report) (out []string) {
		for _, row := range r.Rows {
			if !idle[row.Metric] {
				out = append(out, row.Label)
			}
		}
		slices.Sort(out)
		return out
	}
	want := labels(reports["agent"])
	for _, name := range []string{"prometheus", "influxdb"} {
		if got := labels(reports[name]); !slices.Equal(want, got) {
			t.Errorf("%s has the rows %q, the agent %q", name, got, want)
		}
	}
}
