package otelnet

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	otel.SetErrorHandler(&handled)
	goleak.VerifyTestMain(m)
}

// handled keeps what the package reported to OpenTelemetry's error handler.
var handled errorLog

type errorLog struct {
	mu   sync.Mutex
	errs []string
}

func (l *errorLog) Handle(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err.Error())
}

// take returns what was reported since the last call.
func (l *errorLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := l.errs
	l.errs = nil
	return errs
}

// meter is a MeterProvider of a test's own and what it has recorded.
type meter struct {
	t        testing.TB
	provider *sdkmetric.MeterProvider
	reader   *sdkmetric.ManualReader
}

func newMeter(t testing.TB) *meter {
	t.Helper()
	r := sdkmetric.NewManualReader()
	m := &meter{t: t, reader: r, provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(r))}
	t.Cleanup(func() { _ = m.provider.Shutdown(context.Background()) })
	return m
}

func (m *meter) option() Option { return WithMeterProvider(m.provider) }

// metrics collects now.
func (m *meter) metrics() map[string]metricdata.Metrics {
	m.t.Helper()
	var rm metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &rm); err != nil {
		m.t.Fatalf("collect: %v", err)
	}
	out := map[string]metricdata.Metrics{}
	for _, sm := range rm.ScopeMetrics {
		for _, x := range sm.Metrics {
			out[x.Name] = x
		}
	}
	return out
}

// sum adds up the points of a sum, or the counts of a histogram, that have all the attributes.
func (m *meter) sum(name string, with ...attribute.KeyValue) int64 {
	m.t.Helper()
	total := int64(0)
	switch d := m.metrics()[name].Data.(type) {
	case nil:
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			if hasAll(p.Attributes, with) {
				total += p.Value
			}
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			if hasAll(p.Attributes, with) {
				total += int64(p.Count)
			}
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			if hasAll(p.Attributes, with) {
				total += p.Value
			}
		}
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			if hasAll(p.Attributes, with) {
				total += p.Sum
			}
		}
	default:
		m.t.Fatalf("metric %s has data of type %T", name, d)
	}
	return total
}

// seconds adds up the points of a sum of seconds, or the values of a histogram of them, that have all the attributes.
func (m *meter) seconds(name string, with ...attribute.KeyValue) float64 {
	m.t.Helper()
	total := 0.0
	switch d := m.metrics()[name].Data.(type) {
	case nil:
	case metricdata.Sum[float64]:
		for _, p := range d.DataPoints {
			if hasAll(p.Attributes, with) {
				total += p.Value
			}
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			if hasAll(p.Attributes, with) {
				total += p.Sum
			}
		}
	default:
		m.t.Fatalf("metric %s has data of type %T", name, d)
	}
	return total
}

// attrSets returns the attributes of each point of a metric.
func (m *meter) attrSets(name string) []attribute.Set {
	m.t.Helper()
	var sets []attribute.Set
	switch d := m.metrics()[name].Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Sum[float64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	}
	return sets
}

func hasAll(set attribute.Set, want []attribute.KeyValue) bool {
	for _, kv := range want {
		if v, ok := set.Value(kv.Key); !ok || v != kv.Value {
			return false
		}
	}
	return true
}

// eventually waits until what is asked for has happened; the other side of a socket takes its time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// listen returns a listener of ours on loopback.
func listen(t testing.TB, opts ...ListenerOption) net.Listener {
	t.Helper()
	ln, err := Listen("tcp", "127.0.0.1:0", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// pair returns the two ends of a connection through ln, the accepted one first.
func pair(t testing.TB, ln net.Listener) (server, client net.Conn) {
	t.Helper()
	type result struct {
		c   net.Conn
		err error
	}
	accepted := make(chan result, 1)
	go func() {
		c, err := ln.Accept()
		accepted <- result{c, err}
	}()
	client, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	r := <-accepted
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.c.Close() })
	return r.c, client
}

// mustRead reads exactly n bytes.
func mustRead(t testing.TB, r io.Reader, n int) {
	t.Helper()
	if _, err := io.ReadFull(r, make([]byte, n)); err != nil {
		t.Fatalf("read %d bytes: %v", n, err)
	}
}

func mustWrite(t testing.TB, w io.Writer, n int) {
	t.Helper()
	if got, err := w.Write(make([]byte, n)); err != nil || got != n {
		t.Fatalf("write %d bytes: %d, %v", n, got, err)
	}
}

// quietTLSServer answers on loopback with TLS and logs nothing.
func quietTLSServer() *httptest.Server {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	return srv
}

func writeFile(t testing.TB, path string, size int) {
	t.Helper()
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
}

// needKernelCounts skips the test where the platform has no kernel counts, and fails it where they should be.
func needKernelCounts(t *testing.T, s *ConnStats) {
	t.Helper()
	switch {
	case s.kernelCounts():
	case runtime.GOOS == "linux" && runtime.GOARCH != "386" && runtime.GOARCH != "s390x":
		t.Fatal("the bytes of a TCP connection are not counted by the kernel here, though it can")
	default:
		t.Skip("no kernel counts on this platform")
	}
}
