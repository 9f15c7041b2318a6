package runtimemetrics

import (
	"context"
	"os"
	"path/filepath"
	"runtime/metrics"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newReader returns a reader and a provider over it that are shut down with the test.
func newReader(t testing.TB, opts ...sdkmetric.ManualReaderOption) (*sdkmetric.ManualReader, *sdkmetric.MeterProvider) {
	t.Helper()
	reader := sdkmetric.NewManualReader(opts...)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter))
	t.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Errorf("shut provider down: %v", err)
		}
	})
	return reader, provider
}

// startTest starts a Collector that is stopped with the test.
func startTest(t testing.TB, opts ...Option) *Collector {
	t.Helper()
	c, err := Start(opts...)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return c
}

// startIn starts a Collector that takes root for the file system, as far as the container's files go.
func startIn(t testing.TB, root string, opts ...Option) *Collector {
	t.Helper()
	cfg := newConfig(opts)
	cfg.root = root
	c, err := start(cfg, metrics.All())
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return c
}

// containerRoot is the file system of a container with every limit.
func containerRoot(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"proc/self/cgroup":         "0::/\n",
		"proc/self/mountinfo":      "30 25 0:26 / /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw,nsdelegate\n",
		"sys/fs/cgroup/cpu.max":    "150000 100000\n",
		"sys/fs/cgroup/cpu.stat":   "usage_usec 7134221\nnr_periods 1200\nnr_throttled 300\nthrottled_usec 4500000\n",
		"sys/fs/cgroup/memory.max": "268435456\n",
	} {
		writeFile(t, root, name, content)
	}
	return root
}

func writeFile(t testing.TB, root, name, content string) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// collect returns what a reader gets now, by metric name.
func collect(t testing.TB, reader sdkmetric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatalf("collect: %v", err)
	}
	got := make(map[string]metricdata.Metrics)
	for _, sm := range rm.ScopeMetrics {
		if sm.Scope.Name != ScopeName {
			t.Errorf("scope: got %q, want %q", sm.Scope.Name, ScopeName)
		}
		for _, m := range sm.Metrics {
			if _, twice := got[m.Name]; twice {
				t.Errorf("metric %s came twice", m.Name)
			}
			got[m.Name] = m
		}
	}
	return got
}

// value returns the point of name whose attributes are exactly attrs, and false if there is none.
func value(t testing.TB, got map[string]metricdata.Metrics, name string, attrs ...attribute.KeyValue) (float64, bool) {
	t.Helper()
	want := attribute.NewSet(attrs...)
	for set, v := range values(t, got[name]) {
		if set == want.Equivalent() {
			return v, true
		}
	}
	return 0, false
}

func mustValue(t testing.TB, got map[string]metricdata.Metrics, name string, attrs ...attribute.KeyValue) float64 {
	t.Helper()
	v, ok := value(t, got, name, attrs...)
	if !ok {
		t.Fatalf("%s%v: no such point", name, attrs)
	}
	return v
}

// values returns the points of a metric by attribute set; a histogram counts with its Count.
func values(t testing.TB, m metricdata.Metrics) map[attribute.Distinct]float64 {
	t.Helper()
	got := make(map[attribute.Distinct]float64)
	switch d := m.Data.(type) {
	case nil:
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			got[p.Attributes.Equivalent()] = float64(p.Value)
		}
	case metricdata.Sum[float64]:
		for _, p := range d.DataPoints {
			got[p.Attributes.Equivalent()] = p.Value
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			got[p.Attributes.Equivalent()] = float64(p.Value)
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			got[p.Attributes.Equivalent()] = float64(p.Count)
		}
	default:
		t.Fatalf("%s: unexpected data %T", m.Name, d)
	}
	return got
}
