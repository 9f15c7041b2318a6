package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/internal/otlpjson"
)

func TestFileExporter(t *testing.T) {
	clearEnv(t)
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	t.Setenv("OTEL_METRICS_EXPORTER", "file")
	t.Setenv("OTELNET_METRICS_FILE", path)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4317") // must not matter
	a := start(t)
	counter(t, a).Add(t.Context(), 7)
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), WithoutGlobals()); err == nil || !strings.Contains(err.Error(), "another process writes it") {
		t.Errorf("a second writer of the file: %v", err)
	}
	counter(t, a).Add(t.Context(), 1)
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var sums []float64
	err = otlpjson.Read(f, func(s otlpjson.Snapshot) error {
		for _, sm := range s.Metrics.ScopeMetrics {
			for _, m := range sm.Metrics {
				if m.Name == "test.events" {
					sums = append(sums, m.Data.(metricdata.Sum[float64]).DataPoints[0].Value)
				}
			}
		}
		return nil
	})
	if want := []float64{7, 8}; err != nil || !slices.Equal(sums, want) {
		t.Errorf("the file holds %v, %v, want %v: the flush and the last export", sums, err, want)
	}
}

func TestFileExporterRefused(t *testing.T) {
	clearEnv(t)
	for _, test := range []struct {
		path, want string
		opts       []Option
	}{
		{"", `OTEL_METRICS_EXPORTER: "file" needs to know which: set OTELNET_METRICS_FILE or WithMetricsFile too`, nil},
		{filepath.Join(t.TempDir(), "no", "such"), "no such file or directory", nil},
		{"", "MaxBytes is 5; allowed: 65536 or more", []Option{WithMetricsFile(filepath.Join(t.TempDir(), "a"), 5, 0)}},
	} {
		t.Setenv("OTEL_METRICS_EXPORTER", "file")
		t.Setenv("OTELNET_METRICS_FILE", test.path)
		a, err := Start(t.Context(), append(test.opts, WithoutGlobals())...)
		if err == nil {
			_ = a.Shutdown(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.path, err, test.want)
		}
	}
}
