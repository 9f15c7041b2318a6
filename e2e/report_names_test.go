package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/otlptranslator"

	"github.com/otelnet/agent/report"
	"github.com/otelnet/agent/report/remote"
)

// The Collector's own translator names every metric of this module; the report gives each its own name, unit and kind back.
func TestReportFindsEveryTranslatedName(t *testing.T) {
	kinds := map[report.Kind]otlptranslator.MetricType{
		report.Gauge: otlptranslator.MetricTypeNonMonotonicCounter, report.Counter: otlptranslator.MetricTypeMonotonicCounter,
		report.Histogram: otlptranslator.MetricTypeHistogram,
	}
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	var sets []map[string]string
	for _, m := range report.Known() {
		name, err := namer.Build(otlptranslator.Metric{Name: m.Name, Unit: m.Unit, Type: kinds[m.Kind]})
		if err != nil {
			t.Fatal(err)
		}
		suffixes := []string{""}
		if m.Kind == report.Histogram {
			suffixes = []string{"_bucket", "_count", "_sum"}
		}
		for _, s := range suffixes {
			sets = append(sets, map[string]string{"__name__": name + s, "job": "shop"})
		}
	}
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data any = map[string]any{"resultType": "matrix", "result": []any{}}
		if r.URL.Path == "/api/v1/series" {
			data = sets
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
	}))
	defer store.Close()
	src, err := remote.Prometheus(remote.Options{URL: store.URL})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := src.Describe(t.Context(), time.Now().Add(-time.Hour), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]report.Metric)
	for _, m := range scope.Metrics {
		found[m.Name] = m
	}
	for _, m := range report.Known() {
		if got := found[m.Name]; got.Name != m.Name || got.Unit != m.Unit || got.Kind != m.Kind {
			t.Errorf("%s: got %+v", m.Name, got)
		}
	}
	if len(found) != len(report.Known()) {
		t.Errorf("%d metrics found, want %d", len(found), len(report.Known()))
	}
}
