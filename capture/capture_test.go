package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/otelnet"
)

// quick is a configuration whose captures take a moment.
func quick(t *testing.T) Config {
	t.Helper()
	return Config{
		Dir: filepath.Join(t.TempDir(), "captures"), CPUTime: 50 * time.Millisecond, MeterProvider: noop.NewMeterProvider(),
		Connections: func(otelnet.Filter) ([]otelnet.ConnInfo, int) {
			return []otelnet.ConnInfo{{ID: 7, State: "active", Peer: "192.0.2.1:443"}}, 1
		},
		History: someHistory(t),
	}
}

func someHistory(t *testing.T) *history.Store {
	t.Helper()
	store, err := history.New(history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-time.Minute)
	for i := range 10 {
		store.Append(begin.Add(time.Duration(5*i)*time.Second), &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
			Metrics: []metricdata.Metrics{{Name: "m", Data: metricdata.Gauge[int64]{
				DataPoints: []metricdata.DataPoint[int64]{{Attributes: attribute.NewSet(), Value: int64(i)}},
			}}},
		}}})
	}
	return store
}

// start makes a Capturer that ends with the test.
func start(t *testing.T, cfg Config) *Capturer {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the test's has ended
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

// contents reads a stored file, decompressed where its name says so.
func contents(t *testing.T, c *Capturer, id, file string) []byte {
	t.Helper()
	f, err := c.Open(id, file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if filepath.Ext(file) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestCapture(t *testing.T) {
	cfg := quick(t)
	cfg.FlightRecorder = true
	c := start(t, cfg)
	m, err := c.Capture(t.Context(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Reason != Manual || m.State != StateDone || !m.Quiet || m.Took < cfg.CPUTime {
		t.Errorf("got %+v, want one that a person asked for, in quiet times, done after the profile", m)
	}
	for i, k := range order[:len(order)-1] {
		if i >= len(m.Artefacts) {
			t.Fatalf("%s and what comes after it is missing", k)
		}
		if a := m.Artefacts[i]; a.Kind != k || a.Status != StatusOK || a.Size == 0 || a.File != k.File() {
			t.Errorf("artefact %d: got %+v, want %s stored", i, a, k)
		}
	}
	for _, k := range []Kind{Goroutine, Heap, CPU, Mutex} {
		if p, err := profile.ParseData(contents(t, c, m.ID, k.File())); err != nil {
			t.Errorf("%s: %v", k, err)
		} else if err := p.CheckValid(); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
	if trace := contents(t, c, m.ID, Trace.File()); !bytes.HasPrefix(trace, []byte("go 1.")) {
		t.Errorf("the trace begins with %q", trace[:min(len(trace), 16)])
	}
	var table struct {
		Total       int
		Connections []otelnet.ConnInfo
	}
	if err := json.Unmarshal(contents(t, c, m.ID, Connections.File()), &table); err != nil || table.Total != 1 ||
		len(table.Connections) != 1 || table.Connections[0].Peer != "192.0.2.1:443" {
		t.Errorf("got the table %+v and error %v, want the one connection, once", table, err)
	}
	var metrics struct{ Series []struct{ Values []float64 } }
	if err := json.Unmarshal(contents(t, c, m.ID, Metrics.File()), &metrics); err != nil || len(metrics.Series) != 1 ||
		len(metrics.Series[0].Values) < 10 || metrics.Series[0].Values[9] != 9 {
		t.Errorf("got the metrics %+v and error %v, want the ten values of m", metrics, err)
	}
	var stored Manifest
	if err := json.Unmarshal(contents(t, c, m.ID, ManifestFile), &stored); err != nil || stored.ID != m.ID || stored.Took != m.Took {
		t.Errorf("the manifest on disk is %+v, error %v, want that of memory: %+v", stored, err, m)
	}
	if base, ok := c.Baseline(); !ok || base.ID != m.ID {
		t.Errorf("baseline: got %q, want the quiet capture %q", base.ID, m.ID)
	}
	if all := c.Captures(); len(all) != 1 || all[0].ID != m.ID {
		t.Errorf("got %d captures, want this one", len(all))
	}
	for _, name := range []string{"../" + m.ID + "/cpu.pb.gz", "goroutineleak.pb.gz", "", "."} {
		if _, err := c.Open(m.ID, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open %q: got %v, want that it does not exist", name, err)
		}
	}
	modes(t, cfg.Dir, m.ID)
}

// modes checks that nobody else can read what is stored, and that nothing half done is left.
func modes(t *testing.T, dir, id string) {
	t.Helper()
	want := func(path string, mode fs.FileMode) {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != mode {
			t.Errorf("%s has mode %o, want %o", path, got, mode)
		}
	}
	want(dir, 0o700)
	want(filepath.Join(dir, id), 0o700)
	list, err := os.ReadDir(filepath.Join(dir, id))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		want(filepath.Join(dir, id, e.Name()), 0o600)
		if filepath.Ext(e.Name()) == temporary {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}
