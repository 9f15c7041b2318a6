package agent

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	colmetric "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/otelnet/agent/internal/freeaddr"
)

// An outage over two lives of the service: what the first could not send arrives before what the second does, with one line when it
// begins and one for each end.
func TestSpoolOverARestart(t *testing.T) {
	clearEnv(t)
	addr := freeaddr.Loopback(t)
	dir := filepath.Join(t.TempDir(), "spool")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr)
	t.Setenv("OTELNET_SPOOL_DIR", dir)

	var log bytes.Buffer
	logged := WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
	a := start(t, logged)
	for range 3 {
		counter(t, a).Add(t.Context(), 1)
		if err := a.ForceFlush(t.Context()); err == nil || !strings.Contains(err.Error(), "kept on disk") {
			t.Errorf("ForceFlush without a Collector: %v, want that it is kept", err)
		}
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v, but nothing is lost", err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "keeping exports on disk") || !strings.Contains(lines[0], "connection refused") ||
		!strings.Contains(lines[1], "stay on disk for the next run") || !strings.Contains(lines[1], "requests=4") {
		t.Errorf("log of the first life:\n%s", log.String())
	}

	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	received := &grpcReceiver{requests: make(chan *colmetric.ExportMetricsServiceRequest, 20)}
	server := grpc.NewServer()
	colmetric.RegisterMetricsServiceServer(server, received)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	defer func() {
		server.Stop()
		<-served
	}()
	log.Reset()
	a = start(t, logged)
	counter(t, a).Add(t.Context(), 10)
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	close(received.requests)
	var sums []int64
	var last *colmetric.ExportMetricsServiceRequest
	for last = range received.requests {
		sums = append(sums, pointSum(last, "test.events"))
	}
	if want := []int64{1, 2, 3, 3, 10, 10}; !slices.Equal(sums, want) {
		t.Errorf("arrived test.events = %v, want %v: the first life's four exports, then the second's two", sums, want)
	}
	lines = strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], "earlier run has left exports on disk") {
		t.Errorf("log of the second life:\n%s", log.String())
	}
}

// A Collector that takes the request and never answers is as good as none: what it was sent is on disk, and Shutdown is no later for it.
func TestSpoolShutdownWithoutAnAnswer(t *testing.T) {
	clearEnv(t)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	a := start(t, WithSpoolDir(t.TempDir()))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := a.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v, but nothing is lost", err)
	}
}

// Spans that wait in memory behind an export without an answer come on disk too, and arrive in the next life.
func TestSpoolOfSpansWithoutAnAnswer(t *testing.T) {
	clearEnv(t)
	received := &spanReceiver{}
	var answers atomic.Bool
	came := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answers.Load() {
			received.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		came <- struct{}{}
		<-r.Context().Done()
	}))
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	dir := t.TempDir()
	a := start(t, WithSpoolDir(dir))
	end := func(name string) {
		_, span := a.TracerProvider().Tracer("test").Start(t.Context(), name)
		span.End()
	}
	end("span 0")
	<-came
	end("span 1")
	end("span 2")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := a.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v, but nothing is lost", err)
	}

	answers.Store(true)
	a = start(t, WithSpoolDir(dir))
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	server.Close()
	if want := []string{"span 0", "span 1", "span 2"}; !slices.Equal(received.names, want) {
		t.Errorf("arrived %q, want %q", received.names, want)
	}
}

// The agent's own client heeds the certificates that the exporter's would.
func TestSpoolOverHTTPS(t *testing.T) {
	clearEnv(t)
	requests := make(chan *colmetric.ExportMetricsServiceRequest, 10)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		request := &colmetric.ExportMetricsServiceRequest{}
		if err != nil || proto.Unmarshal(raw, request) != nil {
			t.Error("not a request")
		}
		requests <- request
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", ca)
	a := start(t, WithSpoolDir(t.TempDir()))
	counter(t, a).Add(t.Context(), 5)
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := <-requests
	if got := pointSum(first, "test.events"); got != 5 {
		t.Errorf("received test.events = %d, want 5", got)
	}
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := <-requests
	if got, sent := pointSum(second, "otelnet.agent.spool.sent"), pointSum(second, "otelnet.agent.spool.dropped"); got != 1 || sent != 0 {
		t.Errorf("the spool says %d sent and %d dropped, want 1 and 0", got, sent)
	}
	reasons := map[string]bool{}
	eachPoint(second, "otelnet.agent.spool.dropped", func(p *metricpb.NumberDataPoint) {
		for _, kv := range p.GetAttributes() {
			if kv.GetKey() == "otelnet.reason" {
				reasons[kv.GetValue().GetStringValue()] = true
			}
		}
	})
	if len(reasons) != 5 {
		t.Errorf("reasons %v, want all five, so that a first drop is a rise", reasons)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSpoolRefusedAtStart(t *testing.T) {
	clearEnv(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		opts []Option
		want string
	}{
		{[]Option{WithSpoolDir(file)}, "not a directory"},
		{[]Option{WithSpoolDir(t.TempDir()), WithSpoolMaxBytes(10)}, "WithSpoolMaxBytes(10): allowed: 65536 or more"},
		{[]Option{WithSpoolDir(t.TempDir()), WithSpoolMaxAge(-1)}, "WithSpoolMaxAge(-1ns): allowed: more than 0"},
	} {
		a, err := Start(t.Context(), append(test.opts, WithoutGlobals())...)
		if err == nil {
			_ = a.Shutdown(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("err = %v, want %q", err, test.want)
		}
	}
}

// Spans go through a spool of their own: those of an outage arrive before those that are made after it, and after a restart.
func TestSpoolOfSpans(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			clearEnv(t)
			addr, dir := freeaddr.Loopback(t), t.TempDir()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_METRICS_EXPORTER", "none")
			t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
			a := start(t, WithSpoolDir(dir))
			for i := range 3 {
				_, span := a.TracerProvider().Tracer("test").Start(t.Context(), fmt.Sprint("span ", i))
				span.End()
				_ = a.ForceFlush(t.Context())
			}
			if err := a.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "traces-0")); err != nil {
				t.Error(err)
			}

			received := &spanReceiver{}
			_, stop := received.serve(t, protocol, addr)
			a = start(t, WithSpoolDir(dir))
			if err := a.ForceFlush(t.Context()); err != nil {
				t.Errorf("what the first life left waits for a span of the second: %v", err)
			}
			_, span := a.TracerProvider().Tracer("test").Start(t.Context(), "span 3")
			span.End()
			if err := a.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			stop()
			if want := []string{"span 0", "span 1", "span 2", "span 3"}; !slices.Equal(received.names, want) {
				t.Errorf("arrived %q, want %q", received.names, want)
			}
		})
	}
}

// spanReceiver remembers the names of spans. What is read of it is read after its server has ended.
type spanReceiver struct {
	coltrace.UnimplementedTraceServiceServer
	names []string
}

// serve has it listen at addr until stop, which has to be called.
func (r *spanReceiver) serve(t *testing.T, protocol, addr string) (at string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/traces", r)
	server, web := grpc.NewServer(), &http.Server{Handler: mux}
	coltrace.RegisterTraceServiceServer(server, r)
	served := make(chan error, 1)
	go func() {
		if protocol == "grpc" {
			served <- server.Serve(ln)
		} else {
			served <- web.Serve(ln)
		}
	}()
	return ln.Addr().String(), func() {
		server.Stop()
		web.Close()
		<-served
	}
}

func (r *spanReceiver) Export(_ context.Context, request *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	for _, rs := range request.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				r.names = append(r.names, s.GetName())
			}
		}
	}
	return &coltrace.ExportTraceServiceResponse{}, nil
}

func (r *spanReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(req.Body)
	request := &coltrace.ExportTraceServiceRequest{}
	if err != nil || proto.Unmarshal(raw, request) != nil {
		http.Error(w, "not a request", http.StatusBadRequest)
		return
	}
	_, _ = r.Export(req.Context(), request)
}

func eachPoint(request *colmetric.ExportMetricsServiceRequest, name string, f func(*metricpb.NumberDataPoint)) {
	for _, rm := range request.GetResourceMetrics() {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				if m.GetName() == name {
					for _, p := range m.GetSum().GetDataPoints() {
						f(p)
					}
				}
			}
		}
	}
}
