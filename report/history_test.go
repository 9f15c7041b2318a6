package report_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/report"
)

// recording feeds a store with snapshots that are written down.
type recording struct {
	store   *history.Store
	metrics []metricdata.Metrics
}

func newRecording(tb testing.TB, cfg history.Config) *recording {
	tb.Helper()
	store, err := history.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return &recording{store: store}
}

func (r *recording) at(t time.Time) {
	r.store.Append(t, &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: r.metrics}}})
	r.metrics = nil
}

func (r *recording) counter(name, unit string, value int64, attrs ...attribute.KeyValue) {
	r.metrics = append(r.metrics, metricdata.Metrics{Name: name, Unit: unit, Data: metricdata.Sum[int64]{
		Temporality: metricdata.CumulativeTemporality, IsMonotonic: true,
		DataPoints: []metricdata.DataPoint[int64]{{Attributes: attribute.NewSet(attrs...), Value: value}},
	}})
}

func (r *recording) gauge(name, unit string, value float64, attrs ...attribute.KeyValue) {
	r.metrics = append(r.metrics, metricdata.Metrics{Name: name, Unit: unit, Data: metricdata.Gauge[float64]{
		DataPoints: []metricdata.DataPoint[float64]{{Attributes: attribute.NewSet(attrs...), Value: value}},
	}})
}

func (r *recording) histogram(name string, sum float64, counts []uint64, attrs ...attribute.KeyValue) {
	r.metrics = append(r.metrics, metricdata.Metrics{Name: name, Unit: "s", Data: metricdata.Histogram[float64]{
		Temporality: metricdata.CumulativeTemporality,
		DataPoints: []metricdata.HistogramDataPoint[float64]{{
			Attributes: attribute.NewSet(attrs...), Bounds: []float64{0.1, 0.2, 0.4}, BucketCounts: counts, Sum: sum,
		}},
	}})
}

func (r *recording) source() report.Source {
	return report.FromHistory(r.store, report.Service{Name: "checkout", Instance: "one"})
}

// A counter falls to 3 (it was reset), a second series appears with 50: both count from zero, at their moment.
func TestResetsAndFirstIncrements(t *testing.T) {
	rec := newRecording(t, history.Config{})
	total := int64(1000)
	for i := range 241 { // 20 minutes
		at := noon.Add(time.Duration(i-240) * 5 * time.Second)
		total += 10
		if i == 180 {
			total = 3
		}
		rec.counter("c", "{x}", total, attribute.String("k", "a"))
		if i >= 200 {
			rec.counter("c", "{x}", int64(50*(i-199)), attribute.String("k", "b"))
		}
		rec.at(at)
	}
	r := build(t, rec.source(), report.Options{Range: 10 * time.Minute}) // snapshots 121 to 240
	c := row(t, r, "c", "", report.Rate)
	near(t, "avg", c.Avg, float64(119*10+3+41*50)/600, 1e-9)
	near(t, "max", c.Max, 12, 1e-9)
	near(t, "min", c.Min, 1.3, 1e-9) // the window of the reset: 10 and 3 in 10 s
	near(t, "avg before", c.PrevAvg, 2, 1e-9)
	if r.Instances[0] != "one" || r.Service != "checkout" || !r.Coverage.Share.Known() || r.Coverage.Share != 1 {
		t.Errorf("got %v %q, coverage %v", r.Instances, r.Service, r.Coverage)
	}
}

// A store that was saved and read again: what the second process counted is a beginning, not a fall, and its gauges are no line from
// those of the first.
func TestRestart(t *testing.T) {
	cfg := history.Config{File: t.TempDir() + "/history"}
	rec := newRecording(t, cfg)
	now := time.Now().Truncate(time.Second).Add(-time.Second)
	add := func(from, until int, start int64, level float64) {
		for i := from; i <= until; i += 5 {
			rec.counter("c", "", start+int64(i-from), attribute.String("k", "a"))
			rec.gauge("g", "", level)
			rec.at(now.Add(time.Duration(i) * time.Second))
		}
	}
	add(-600, -300, 700000, 10)
	if err := rec.store.Save(); err != nil {
		t.Fatal(err)
	}
	rec = newRecording(t, cfg)
	add(-295, 0, 4, 1000)
	r := build(t, rec.source(), report.Options{Range: 5 * time.Minute, Until: now})
	c, g := row(t, r, "c", "", report.Rate), row(t, r, "g", "", report.Value)
	near(t, "rate", c.Avg, (295+4)/300., 1e-9)
	near(t, "gauge min", g.Min, 1000, 0)
	near(t, "gauge avg", g.Avg, 1000, 1e-9)
	if len(r.Coverage.Gaps) != 1 || r.Coverage.Gaps[0].Until.Sub(r.Coverage.Gaps[0].From) != 5*time.Second {
		t.Errorf("gaps: %v, want the moment between the processes", r.Coverage.Gaps)
	}
}

// Percentiles are those of all requests, whatever their route and whenever they came: 90 fast ones in one series and minute, 10 slow
// ones in another. An average of percentiles would be far off.
func TestPercentilesAreOfMergedBuckets(t *testing.T) {
	rec := newRecording(t, history.Config{})
	fast, slow := []uint64{0, 0, 0, 0}, []uint64{0, 0, 0, 0}
	for i := range 121 {
		if i == 70 {
			fast[0] += 90
		}
		if i == 110 {
			slow[2] += 10
		}
		rec.histogram("http.server.request.duration", 0.05*float64(fast[0]), fast, attribute.Int("http.response.status_code", 200))
		rec.histogram("http.server.request.duration", 0.3*float64(slow[2]), slow, attribute.Int("http.response.status_code", 500))
		rec.at(noon.Add(time.Duration(i-120) * 5 * time.Second))
	}
	r := build(t, rec.source(), report.Options{Range: 5 * time.Minute})
	const m = "http.server.request.duration"
	near(t, "p50", row(t, r, m, "", report.P50).Avg, 0.1*50/90, 1e-9)
	near(t, "p95", row(t, r, m, "", report.P95).Avg, 0.2+0.2*5/10, 1e-9)
	near(t, "p99", row(t, r, m, "", report.P99).Avg, 0.2+0.2*9/10, 1e-9)
	near(t, "p99 max", row(t, r, m, "", report.P99).Max, 0.2+0.2*0.99, 1e-9) // the slow window alone
	near(t, "p99 min", row(t, r, m, "", report.P99).Min, 0.1*0.99, 1e-9)
	near(t, "mean", row(t, r, m, "", report.Mean).Avg, (90*0.05+10*0.3)/100, 1e-9)
	near(t, "share", row(t, r, m, "failed", report.Share).Avg, 0.1, 1e-9)
	near(t, "rate", row(t, r, m, "", report.Rate).Avg, 100./300, 1e-9)
	near(t, "change of p99", row(t, r, m, "", report.P99).ChangeAvg, nan, 0) // no request in the range before
	if len(r.Worst) == 0 || !r.Worst[0].From.Equal(noon.Add(-time.Minute)) || r.Worst[0].Failed != 10 || r.Worst[0].Requests != 10 {
		t.Errorf("worst: %+v, want the last minute with its ten failed requests", r.Worst)
	}
}

// Routes are told apart: what failed on one is not seen in the other, now or before.
func TestRoutes(t *testing.T) {
	rec := newRecording(t, history.Config{})
	pay, look := []uint64{0, 0, 0, 0}, []uint64{0, 0, 0, 0}
	lost := []uint64{0, 0, 0, 0}
	for i := range 241 {
		look[0] += 10
		pay[1]++
		if i > 120 && i%2 == 0 { // in the range only
			lost[2]++
		}
		const m = "http.server.request.duration"
		method := attribute.String("http.request.method", "POST")
		rec.histogram(m, 0, look, attribute.String("http.route", "/look"), method, attribute.Int("http.response.status_code", 200))
		rec.histogram(m, 0, pay, attribute.String("http.route", "/pay"), method, attribute.Int("http.response.status_code", 200))
		rec.histogram(m, 0, lost, attribute.String("http.route", "/pay"), method, attribute.String("error.type", "timeout"))
		rec.at(noon.Add(time.Duration(i-240) * 5 * time.Second))
	}
	r := build(t, rec.source(), report.Options{Range: 10 * time.Minute})
	if len(r.Routes) != 2 || r.Routes[0].Route != "/pay" || r.Routes[1].Route != "/look" || r.Routes[0].Method != "POST" {
		t.Fatalf("got %+v, want /pay, where requests fail, before /look", r.Routes)
	}
	first, second := r.Routes[0], r.Routes[1]
	near(t, "requests of /pay", first.Requests, 180./600, 1e-9)
	near(t, "failed", first.Failed, 60, 1e-9)
	near(t, "failed share", first.FailedPart, 60./180, 1e-9)
	near(t, "failed share before", first.PrevFailedPart, 0, 0)
	near(t, "p99", first.P99, 0.2+0.2*(0.99*180-120)/60, 1e-9)
	near(t, "p99 before", first.PrevP99, 0.1+0.1*0.99, 1e-9)
	near(t, "requests of /look", second.Requests, 2, 1e-9)
	near(t, "failed of /look", second.Failed, 0, 0)
}

// An alert's stretch goes from pending over firing to the first sample without it; each level and label set has its own.
func TestAlerts(t *testing.T) {
	rec := newRecording(t, history.Config{})
	states := func(i int) (warn, crit float64) { // in units of 5 s from the range's start
		switch {
		case i >= 10 && i < 12:
			return 1, 0
		case i >= 12 && i < 24:
			return 2, 0
		case i >= 40 && i < 42:
			return 1, 0 // never fires
		case i >= 50:
			return 2, 2 // still does at the end
		}
		return 0, 0
	}
	for i := -60; i <= 60; i++ {
		warn, crit := states(i)
		rec.gauge("otelnet.alert.state", "{state}", warn, attribute.String("alert", "Slow"), attribute.String("severity", "warn"), attribute.String("team", "a"))
		rec.gauge("otelnet.alert.state", "{state}", crit, attribute.String("alert", "Slow"), attribute.String("severity", "crit"), attribute.String("team", "a"))
		rec.at(noon.Add(time.Duration(i-60) * 5 * time.Second))
	}
	var asked []string
	r := build(t, rec.source(), report.Options{Range: 5 * time.Minute, About: func(a *report.Alert, from, until time.Time) {
		asked = append(asked, fmt.Sprintf("%s %s %s", a.Severity, from.UTC().Format("04:05"), until.UTC().Format("04:05")))
		a.Why = "because"
	}})
	var got []string
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Format("04:05")
	}
	for _, a := range r.Alerts {
		got = append(got, fmt.Sprintf("%s %s team=%s %s %s %s %g %s", a.Name, a.Severity, a.Labels["team"], at(a.Since), at(a.Fired), at(a.Ended), a.Firing, a.Why))
	}
	want := []string{
		"Slow warn team=a 55:50 56:00 57:00 60 because",
		"Slow warn team=a 58:20 - 58:30 0 because",
		"Slow crit team=a 59:10 59:10 - 50 because",
		"Slow warn team=a 59:10 59:10 - 50 because",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if asked[0] != "warn 55:50 57:00" {
		t.Errorf("asked about %q", asked)
	}
	if r.Level != report.Bad || !strings.HasPrefix(r.Verdict, "3 alerts fired, 1 min 50 s in alert") {
		t.Errorf("%s: %q", r.Level, r.Verdict)
	}
}

// What the history could not keep is said.
func TestHistorysLossesAreSaid(t *testing.T) {
	rec := newRecording(t, history.Config{MaxSeries: 1})
	for i := range 121 {
		rec.gauge("a", "", 1)
		rec.gauge("b", "", 1)
		rec.metrics = append(rec.metrics, metricdata.Metrics{Name: "e", Data: metricdata.ExponentialHistogram[float64]{}})
		rec.at(noon.Add(time.Duration(i-120) * 5 * time.Second))
	}
	r := build(t, rec.source(), report.Options{Range: 5 * time.Minute})
	if all := strings.Join(r.Missing, "\n"); !r.Partial || !strings.Contains(all, "no room for 121 samples") || !strings.Contains(all, "exponential histograms") {
		t.Errorf("partial %v, missing %q", r.Partial, r.Missing)
	}
}

// service is a process with n series, a quarter of them busy histograms, that has been watched for an hour and a half.
func service(tb testing.TB, n int) *recording {
	rec := newRecording(tb, history.Config{Keep: 90 * time.Minute, MaxBytes: 64 << 20})
	bounds := []float64{.001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	hist := make([]metricdata.HistogramDataPoint[float64], n/4)
	ints := make([]metricdata.DataPoint[int64], n/2)
	floats := make([]metricdata.DataPoint[float64], n/4)
	for i := range hist {
		hist[i] = metricdata.HistogramDataPoint[float64]{
			Attributes: attribute.NewSet(attribute.Int("http.response.status_code", 200+i%5*100), attribute.Int("route", i)),
			Bounds:     bounds, BucketCounts: make([]uint64, len(bounds)+1),
		}
	}
	for i := range ints {
		ints[i].Attributes = attribute.NewSet(attribute.Int("i", i))
	}
	for i := range floats {
		floats[i].Attributes = attribute.NewSet(attribute.Int("i", i))
	}
	for tick := range 1080 {
		for i := range hist {
			for b := range hist[i].BucketCounts {
				hist[i].BucketCounts[b] += uint64((i + b + tick) % 4)
			}
			hist[i].Sum += 0.37
		}
		for i := range ints {
			ints[i].Value += int64(i * tick % 13)
		}
		for i := range floats {
			floats[i].Value = math.Sin(float64(i + tick))
		}
		for part := range 10 { // metrics of some series each
			cut := func(n int) (int, int) { return part * n / 10, (part + 1) * n / 10 }
			lo, hi := cut(len(hist))
			name := fmt.Sprintf("h%d", part)
			if part == 0 {
				name = "http.server.request.duration"
			}
			rec.metrics = append(rec.metrics, metricdata.Metrics{Name: name, Unit: "s", Data: metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: hist[lo:hi]}})
			lo, hi = cut(len(ints))
			rec.metrics = append(rec.metrics, metricdata.Metrics{Name: fmt.Sprintf("c%d", part), Data: metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true, DataPoints: ints[lo:hi]}})
			lo, hi = cut(len(floats))
			rec.metrics = append(rec.metrics, metricdata.Metrics{Name: fmt.Sprintf("g%d", part), Data: metricdata.Gauge[float64]{DataPoints: floats[lo:hi]}})
		}
		rec.at(noon.Add(time.Duration(tick-1079) * 5 * time.Second))
	}
	return rec
}

// An hour of 500 series from the process's own history.
func BenchmarkAnHourOf500Series(b *testing.B) {
	src := service(b, 500).source()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := report.Build(b.Context(), src, report.Options{Range: time.Hour, Until: noon}); err != nil {
			b.Fatal(err)
		}
	}
}

// While reports are made one after the other, snapshots go on being taken. None waits for longer than one read of the history.
func BenchmarkAppendDuringReports(b *testing.B) {
	rec := service(b, 500)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := report.Build(ctx, rec.source(), report.Options{Range: time.Hour, Until: noon}); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
		}
	}()
	rm := &metricdata.ResourceMetrics{}
	var slowest time.Duration
	at := noon
	for b.Loop() {
		time.Sleep(time.Millisecond) // as a tick has its distance
		at = at.Add(time.Second)
		start := time.Now()
		rec.store.Append(at, rm)
		slowest = max(slowest, time.Since(start))
	}
	b.ReportMetric(float64(slowest.Microseconds()), "slowest-µs")
	stop()
	<-done
}
