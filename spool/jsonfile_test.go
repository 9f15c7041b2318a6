package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	colmetric "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/otelnet/agent/internal/otlpjson"
)

func openFileAt(t *testing.T, c FileConfig) *File {
	t.Helper()
	f, err := OpenFile(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// exportTo sends snapshots through the real exporter.
func exportTo(t *testing.T, f *File, all ...*metricdata.ResourceMetrics) {
	t.Helper()
	e, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint("passthrough:///file"), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(f.UnaryClientInterceptor())))
	if err != nil {
		t.Fatal(err)
	}
	for _, rm := range all {
		if err := e.Export(t.Context(), rm); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// intervals reads the files in order with the reader that `otelnet rules replay` has.
func intervals(t *testing.T, paths ...string) (numbers []int) {
	t.Helper()
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		err = otlpjson.Read(bytes.NewReader(b), func(s otlpjson.Snapshot) error {
			g := s.Metrics.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[float64])
			n := int(g.DataPoints[0].Value)
			if want := time.Unix(int64(1000+n), 0); !s.At.Equal(want) {
				return fmt.Errorf("interval %d is of %v, want %v", n, s.At, want)
			}
			numbers = append(numbers, n)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return numbers
}

func TestFileIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	f := openFileAt(t, FileConfig{Path: path})
	exportTo(t, f, snapshot(1), snapshot(2), snapshot(3))
	if got, want := intervals(t, path), []int{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	if _, err := OpenFile(FileConfig{Path: path}); err == nil || !strings.Contains(err.Error(), "another process writes it") {
		t.Errorf("a second writer: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(&colmetric.ExportMetricsServiceRequest{}); err == nil {
		t.Error("a closed file was written to")
	}
	// It is appended to, and half a line of a killed process is taken off.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, b[:len(b)/5]...), 0o600); err != nil {
		t.Fatal(err)
	}
	exportTo(t, openFileAt(t, FileConfig{Path: path}), snapshot(4))
	if got, want := intervals(t, path), []int{1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("after a restart: %v, want %v", got, want)
	}
}

// The time of writing is at the front, and the line is still one that readers of OTLP take: they must ignore a field they do not know.
func TestLinesBeginDifferently(t *testing.T) {
	for name, request := range map[string]*colmetric.ExportMetricsServiceRequest{
		"empty":   {},
		"metrics": {ResourceMetrics: []*metricpb.ResourceMetrics{{ScopeMetrics: []*metricpb.ScopeMetrics{{Metrics: []*metricpb.Metric{{Name: "m"}}}}}}},
	} {
		line, err := encode(request, time.Unix(7, 9))
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"otelnetWrittenUnixNano":"7000000009"`; !strings.HasPrefix(string(line), want) {
			t.Errorf("%s: %s does not begin with %s", name, line, want)
		}
		var got colmetric.ExportMetricsServiceRequest
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line, &got); err != nil || !proto.Equal(&got, request) {
			t.Errorf("%s: %s is read as %v, %v", name, line, &got, err)
		}
	}
}

func TestFileRotates(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics.jsonl")
	f := openFileAt(t, FileConfig{Path: path, MaxBytes: MinFileMaxBytes, MaxFiles: 3})
	const exports = 1500
	var all []*metricdata.ResourceMetrics
	for i := range exports {
		all = append(all, snapshot(i))
	}
	exportTo(t, f, all...)
	if got, want := files(t, dir), []string{"metrics.1.jsonl", "metrics.2.jsonl", "metrics.jsonl", "metrics.jsonl.lock"}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	for _, name := range files(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() > MinFileMaxBytes {
			t.Errorf("%s has %d bytes, allowed %d; %v", name, info.Size(), MinFileMaxBytes, err)
		}
	}
	got := intervals(t, filepath.Join(dir, "metrics.2.jsonl"), filepath.Join(dir, "metrics.1.jsonl"), path)
	if len(got) < 500 || got[len(got)-1] != exports-1 || !slices.IsSorted(got) || got[len(got)-1]-got[0] != len(got)-1 {
		t.Errorf("the files hold %d intervals from %d to %d, want the newest without a gap", len(got), got[0], got[len(got)-1])
	}
	one := openFileAt(t, FileConfig{Path: filepath.Join(dir, "one"), MaxBytes: MinFileMaxBytes, MaxFiles: 1})
	exportTo(t, one, all...)
	if got := intervals(t, filepath.Join(dir, "one")); got[len(got)-1] != exports-1 {
		t.Errorf("with one file the last interval is %d, want %d", got[len(got)-1], exports-1)
	}
}

// Whatever others do to the file, as logrotate does, what comes next is in the file of that name, in whole lines.
func TestFileFollowsItsName(t *testing.T) {
	for name, disturb := range map[string]func(path string) error{
		"removed":   os.Remove,
		"renamed":   func(path string) error { return os.Rename(path, path+".old") },
		"truncated": func(path string) error { return os.Truncate(path, 0) }, // logrotate's copytruncate
		"cut short": func(path string) error { return os.Truncate(path, 50) },
		"replaced":  func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "metrics.jsonl")
			f := openFileAt(t, FileConfig{Path: path, MaxBytes: MinFileMaxBytes, MaxFiles: 1})
			exportTo(t, f, snapshot(1), snapshot(2))
			if err := disturb(path); err != nil {
				t.Fatal(err)
			}
			exportTo(t, f, snapshot(3), snapshot(4))
			if got, want := intervals(t, path), []int{3, 4}; !slices.Equal(got, want) {
				t.Errorf("read %v, want %v", got, want)
			}
		})
	}
}

// OTLP's JSON differs from protobuf's in the ids of traces, and wants numbers for enums.
func TestFileIsOTLP(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	f := openFileAt(t, FileConfig{Path: path})
	rm := snapshot(1)
	rm.ScopeMetrics[0].Metrics[0].Data = metricdata.Sum[int64]{
		Temporality: metricdata.CumulativeTemporality, IsMonotonic: true,
		DataPoints: []metricdata.DataPoint[int64]{{Value: 1 << 60, Time: time.Unix(1, 0), Exemplars: []metricdata.Exemplar[int64]{{
			TraceID: []byte("\x01\x23\x45\x67\x89\xab\xcd\xef\xff\x00\x11\x22\x33\x44\x55\x66"), SpanID: []byte("\xfe\xdc\xba\x98\x76\x54\x32\x10"),
			Time: time.Unix(1, 0),
		}}}},
	}
	exportTo(t, f, rm)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) || bytes.Count(b, []byte("\n")) != 1 {
		t.Errorf("not one line of JSON: %s", b)
	}
	for _, want := range []string{
		`"traceId":"0123456789abcdefff00112233445566"`, `"spanId":"fedcba9876543210"`,
		`"asInt":"1152921504606846976"`, `"aggregationTemporality":2`, `"timeUnixNano":"1000000000"`, `"isMonotonic":true`,
	} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the line lacks %s:\n%s", want, b)
		}
	}
}

func TestFileRefused(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		config FileConfig
		want   string
	}{
		{FileConfig{}, "Path must be set"},
		{FileConfig{Path: filepath.Join(dir, "missing", "metrics.jsonl")}, "no such file or directory"},
		{FileConfig{Path: dir}, "is a directory"},
		{FileConfig{Path: filepath.Join(dir, "a"), MaxBytes: 5}, "MaxBytes is 5; allowed: 65536 or more"},
		{FileConfig{Path: filepath.Join(dir, "a"), MaxFiles: -1}, "MaxFiles is -1; allowed: 1 or more"},
	} {
		f, err := OpenFile(test.config)
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.config, err, test.want)
		}
	}
}
