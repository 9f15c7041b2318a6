package alertproc

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// warned returns what handled gathered since the last call.
func warned(t *testing.T) func() []string {
	all := handled(t)
	n := 0
	return func() []string {
		var lines []string
		if text := all(); text != "" {
			lines = strings.Split(text, "\n")
		}
		news := lines[n:]
		n = len(lines)
		return news
	}
}

func TestUnknownMetricIsWarnedOfOnce(t *testing.T) {
	got := warned(t)
	cfg := Config{
		Known: []string{"http.server.request.duration", "later"},
		Groups: []Group{{Name: "g", Every: 10 * time.Second, Rules: []Rule{
			{Alert: "Misspelt", Metric: "http.server.requst.duration", Value: Value{Aggregation: Rate, Over: time.Minute}, Warn: Above(1)},
			{Alert: "AsInPrometheus", Metric: "http_server_request_duration_seconds", Value: Value{Aggregation: Rate, Over: time.Minute}, Warn: Above(1)},
			{Alert: "Own", Metric: "shop.orders", Warn: Above(1)},
			{Alert: "Own2", Metric: "shop.orders", Warn: Above(2)},
			{Alert: "Known", Metric: "later", Warn: Above(1)},
			{Alert: "There", Metric: "m", Warn: Above(1)},
		}}},
	}
	sc := newScene(t, cfg)
	sc.at(0, gauge(values{"": 0}))
	misspelt := []string{
		`alertproc: rule "Misspelt": the metric "http.server.requst.duration" is unknown: it is in no snapshot yet; did you mean "http.server.request.duration"?`,
		`alertproc: rule "AsInPrometheus": the metric "http_server_request_duration_seconds" is unknown: it is in no snapshot yet; did you mean "http.server.request.duration"?`,
	}
	if diff := cmp.Diff(misspelt, got()); diff != "" {
		t.Errorf("at the load (-want +got):\n%s", diff)
	}
	for i := 1; i < 6; i++ {
		sc.at(float64(10*i), gauge(values{"": 0}))
	}
	if w := got(); len(w) != 0 {
		t.Errorf("within the first minute: %q", w)
	}
	sc.at(60, gauge(values{"": 0}))
	want := []string{`alertproc: rules "Own", "Own2": the metric "shop.orders" is unknown: it is in no snapshot yet`}
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Errorf("after a minute (-want +got):\n%s", diff)
	}
	unknown := func() (all []string) {
		for _, r := range sc.p.Rules()[0].Rules {
			if len(r.Unknown) > 0 && r.Health == "unknown" && r.LastError == "unknown metric, in no snapshot yet: "+r.Unknown[0] {
				all = append(all, r.Name)
			}
		}
		return all
	}
	if diff := cmp.Diff([]string{"Misspelt", "AsInPrometheus", "Own", "Own2", "Known"}, unknown()); diff != "" {
		t.Errorf("unknown by status (-want +got):\n%s", diff)
	}
	sc.at(70, gauge(values{"": 0}), named("shop.orders", gauge(values{"": 5}))) // it appears later
	if diff := cmp.Diff([]string{"Misspelt", "AsInPrometheus", "Known"}, unknown()); diff != "" {
		t.Errorf("unknown by status after it came (-want +got):\n%s", diff)
	}
	if alerts := sc.p.Alerts(); len(alerts) != 2 {
		t.Errorf("%d alerts, want those of Own and Own2", len(alerts))
	}
	sc.at(300, gauge(values{"": 0}))
	if w := got(); len(w) != 0 {
		t.Errorf("warned again: %q", w)
	}
}

// A bad of a ratio that was never seen is 0, and no reason for the rule not to work.
func TestUnknownBadOfARatio(t *testing.T) {
	handled(t)
	sc := newScene(t, oneRule(Rule{
		Ratio: &Ratio{Bad: Selector{Metric: "bad"}, Total: Selector{Metric: "m"}, Over: time.Minute}, Warn: Above(0.5),
	}))
	sc.at(0, counter(values{"": 0}))
	sc.at(10, counter(values{"": 10}))
	if s := sc.status(); s.Health != "ok" || s.LastError != "" || len(s.Unknown) != 1 || s.Unknown[0] != "bad" {
		t.Errorf("status: %+v", s)
	}
}

func TestUnknownOfAFile(t *testing.T) {
	cfg, err := Load("f", strings.NewReader(ruleFile("alert: A", "metric: go.gorutine.count", "warn: {above: 1}")+
		"  - alert: B\n    ratio: {bad: {metric: own}, total: {metric: go.goroutine.count}}\n    over: 1m\n    warn: {above: 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Known = []string{"go.goroutine.count"}
	want := []string{`f:5: rule "A": unknown metric "go.gorutine.count"; did you mean "go.goroutine.count"?`, `f:8: rule "B": unknown metric "own"`}
	if diff := cmp.Diff(want, Unknown(cfg)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The SDK itself lumps the series together.
func TestOverflowIsItsOwnAndToldOnce(t *testing.T) {
	got := warned(t)
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithCardinalityLimit(3))
	defer provider.Shutdown(t.Context())
	c, err := provider.Meter("test").Int64UpDownCounter("m")
	if err != nil {
		t.Fatal(err)
	}
	sc := newScene(t, oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: always}))
	add := func(n int64, attrs ...attribute.KeyValue) { c.Add(t.Context(), n, metric.WithAttributes(attrs...)) }
	evaluate := func(second float64) {
		t.Helper()
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &rm); err != nil {
			t.Fatal(err)
		}
		if err := sc.p.Evaluate(t.Context(), start.Add(time.Duration(second)*time.Second), &rm); err != nil {
			t.Fatal(err)
		}
	}
	add(1) // without the attribute
	add(2, attribute.String("a", "x"))
	evaluate(0)
	if w := got(); len(w) != 0 {
		t.Errorf("warned too early: %q", w)
	}
	add(3, attribute.String("a", "y"))
	add(4, attribute.String("a", "z"))
	evaluate(10)
	evaluate(20)
	want := []string{`alertproc: rule "A": m has more series than the SDK's cardinality limit: the rest are one series with otel.metric.overflow, which rules see as one of its own`}
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	values := map[string]float64{}
	for _, a := range sc.p.Alerts() {
		values[a.Labels["a"]+a.Labels[overflowAttribute]] = a.Value
	}
	if diff := cmp.Diff(map[string]float64{"": 1, "x": 2, "true": 7}, values); diff != "" {
		t.Errorf("values by instance (-want +got):\n%s", diff)
	}
}
