package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// A service that reaches no Collector writes files, which are rotated every few exports. A Collector with from-files.yaml takes them in
// while they are written, is killed, and goes on behind where it was: each export is in the store once, with its own time. So it is with
// a file that was there before, whose only line is an export of many series.
func TestCollectorReadsMetricsFiles(t *testing.T) {
	dir := stack.Dir(t)
	prometheus := stack.StartPrometheus(t, dir)
	files := filepath.Join(dir, "service*.jsonl")
	const series = 8000
	if err := os.WriteFile(filepath.Join(dir, "service-large.jsonl"), largeExport(series), 0o644); err != nil {
		t.Fatal(err)
	}
	collector := stack.StartTier(t, dir, "collector", []string{stack.CollectorConfig(), "from-files.yaml"},
		"METRICS_FILES="+files, "PROMETHEUS_ENDPOINT="+prometheus.URL, "INFLUXDB_ENDPOINT=http://"+stack.FreeAddr(t))
	w := stack.StartWitness(t, dir,
		"OTEL_METRICS_EXPORTER=file", "OTELNET_METRICS_FILE="+filepath.Join(dir, "service.jsonl"),
		"OTELNET_METRICS_FILE_MAX_BYTES=65536", "OTELNET_METRICS_FILE_MAX_FILES=50")
	w.Pass(t, 8)
	collector.Kill()
	w.Pass(t, 8)
	collector.Start(t)
	w.Pass(t, 4)
	w.Stop(t)

	rotated, err := filepath.Glob(files)
	if err != nil || len(rotated) < 4 {
		t.Fatalf("files: %q, %v; want four or more, or nothing is proved", rotated, err)
	}
	want := w.Intervals(t)
	stack.Until(t, 30*time.Second, "every interval in Prometheus", func(ctx context.Context) error {
		got, err := prometheus.Samples(ctx, "e2e_interval")
		if err != nil {
			return err
		}
		if err := sameIntervals(got, want); err != nil {
			return fmt.Errorf("%w; %d samples of %d intervals", err, len(got), len(want))
		}
		return nil
	})
	stack.Until(t, 30*time.Second, "the large export in Prometheus", func(ctx context.Context) error {
		got, err := prometheus.Query(ctx, "count(e2e_large)")
		if err != nil {
			return err
		}
		if len(got) != 1 || got[0].Value != series {
			return fmt.Errorf("%v series, want %d", got, series)
		}
		return nil
	})
	t.Logf("%d intervals out of %d files", len(want), len(rotated))
}

// largeExport is one line with that many series.
func largeExport(series int) []byte {
	b := []byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"e2e.large","gauge":{"dataPoints":[`)
	for i := range series {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"attributes":[{"key":"series","value":{"stringValue":"%d of many, and a long text beside it to take up room"}}],"timeUnixNano":"%d","asInt":"%d"}`,
			i, time.Now().UnixNano(), i)
	}
	return append(b, "]}}]}]}]}\n"...)
}
