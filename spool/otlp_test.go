package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	colmetric "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/otelnet/agent/internal/freeaddr"
)

// The real exporters, real servers on loopback, and OTLP's own types to read what arrives.

// snapshot is one export: a gauge with this value and this time.
func snapshot(i int) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{
		Resource: resource.Empty(),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
			Name: "interval",
			Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Value: int64(i), Time: time.Unix(int64(1000+i), 0)}}},
		}}}},
	}
}

// inbox is what a server has taken.
type inbox struct {
	colmetric.UnimplementedMetricsServiceServer
	mu      sync.Mutex
	points  []string
	tenants []string
	answer  func() (*colmetric.ExportMetricsServiceResponse, error)
}

func (b *inbox) take(request *colmetric.ExportMetricsServiceRequest, tenant string) (*colmetric.ExportMetricsServiceResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer != nil {
		if answer, err := b.answer(); answer != nil || err != nil {
			return answer, err
		}
	}
	b.tenants = append(b.tenants, tenant)
	for _, rm := range request.GetResourceMetrics() {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				for _, p := range m.GetGauge().GetDataPoints() {
					b.points = append(b.points, fmt.Sprint(p.GetValue().(*metricpb.NumberDataPoint_AsInt).AsInt, "@", p.GetTimeUnixNano()/1e9))
				}
			}
		}
	}
	return &colmetric.ExportMetricsServiceResponse{}, nil
}

func (b *inbox) has() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.points)
}

func (b *inbox) is(answer func() (*colmetric.ExportMetricsServiceResponse, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

func (b *inbox) Export(ctx context.Context, request *colmetric.ExportMetricsServiceRequest) (*colmetric.ExportMetricsServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return b.take(request, strings.Join(md.Get("x-tenant"), ","))
}

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	one := record{request: body}
	if r.Header.Get("Content-Encoding") == "gzip" {
		one.encoding = gzipped
	}
	plain, unpackErr := unpack(one)
	request := &colmetric.ExportMetricsServiceRequest{}
	if err := errors.Join(err, unpackErr, proto.Unmarshal(plain, request)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := b.take(request, r.Header.Get("x-tenant"))
	switch status.Code(err) {
	case codes.OK:
	case codes.Unavailable:
		w.Header().Set("Retry-After", "60") // longer than any test
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	default:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Write(reply)
}

// transport is one of the two protocols.
type transport struct {
	name     string
	serve    func(t *testing.T, addr string, b *inbox) (at string, stop func())
	exporter func(t *testing.T, s *Spool, addr string) sdkmetric.Exporter
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

var transports = []transport{
	{
		"grpc",
		func(t *testing.T, addr string, b *inbox) (string, func()) {
			ln := listen(t, addr)
			server := grpc.NewServer()
			colmetric.RegisterMetricsServiceServer(server, b)
			served := make(chan error, 1)
			go func() { served <- server.Serve(ln) }()
			return ln.Addr().String(), func() {
				server.Stop()
				<-served
			}
		},
		func(t *testing.T, s *Spool, addr string) sdkmetric.Exporter {
			e, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint(addr), otlpmetricgrpc.WithInsecure(),
				otlpmetricgrpc.WithHeaders(map[string]string{"x-tenant": "ops"}),
				otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(s.UnaryClientInterceptor())))
			if err != nil {
				t.Fatal(err)
			}
			return e
		},
	},
	{
		"http",
		serveHTTP,
		func(t *testing.T, s *Spool, addr string) sdkmetric.Exporter { return httpExporter(t, s, addr) },
	},
	{
		"http with gzip",
		serveHTTP,
		func(t *testing.T, s *Spool, addr string) sdkmetric.Exporter {
			return httpExporter(t, s, addr, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
		},
	},
}

func serveHTTP(t *testing.T, addr string, b *inbox) (string, func()) {
	server := httptest.NewUnstartedServer(b)
	server.Listener.Close()
	server.Listener = listen(t, addr)
	server.Start()
	return server.Listener.Addr().String(), server.Close
}

func httpExporter(t *testing.T, s *Spool, addr string, opts ...otlpmetrichttp.Option) sdkmetric.Exporter {
	base := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(base.CloseIdleConnections)
	e, err := otlpmetrichttp.New(t.Context(), append(opts, otlpmetrichttp.WithEndpoint(addr), otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithHeaders(map[string]string{"x-tenant": "ops"}),
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: s.RoundTripper(base)}))...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func eachTransport(t *testing.T, test func(t *testing.T, tr transport)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) { test(t, tr) })
	}
}

func TestExportersOverAnOutage(t *testing.T) {
	eachTransport(t, func(t *testing.T, tr transport) {
		dir, b := t.TempDir(), &inbox{}
		addr, stop := tr.serve(t, freeaddr.Loopback(t), b)
		s, told := openSpool(t, Config{Dir: dir}, osOpen)
		e := tr.exporter(t, s, addr)
		if err := e.Export(t.Context(), snapshot(0)); err != nil {
			t.Fatal(err)
		}
		stop()
		for i := 1; i <= 5; i++ {
			wantQueued(t, e.Export(t.Context(), snapshot(i)), i)
		}
		// A process that ends in good order while the receiver is away, and the one after it.
		wantQueued(t, s.Close(t.Context()), 5)
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		s, told2 := openSpool(t, Config{Dir: dir}, osOpen)
		e = tr.exporter(t, s, addr)
		if err := e.Export(Prime(t.Context()), &metricdata.ResourceMetrics{Resource: resource.Empty()}); err != nil {
			t.Fatal(err)
		}
		_, stop = tr.serve(t, addr, b)
		defer stop()
		flushed(t, s)
		if err := e.Export(t.Context(), snapshot(6)); err != nil {
			t.Error(err)
		}
		if got, want := b.has(), []string{"0@1000", "1@1001", "2@1002", "3@1003", "4@1004", "5@1005", "6@1006"}; !slices.Equal(got, want) {
			t.Errorf("arrived: %v, want %v", got, want)
		}
		for _, tenant := range b.tenants {
			if tenant != "ops" {
				t.Errorf("a request arrived with the header x-tenant %q", tenant)
			}
		}
		if err := errors.Join(s.Close(t.Context()), e.Shutdown(t.Context())); err != nil {
			t.Error(err)
		}
		if all := append(told.all(), told2.all()...); len(all) > 0 {
			t.Errorf("told %q", all)
		}
	})
}

func TestExportersAndAnswers(t *testing.T) {
	eachTransport(t, func(t *testing.T, tr transport) {
		b := &inbox{}
		addr, stop := tr.serve(t, freeaddr.Loopback(t), b)
		defer stop()
		s, told := openSpool(t, Config{Dir: t.TempDir()}, osOpen)
		e := tr.exporter(t, s, addr)

		b.is(func() (*colmetric.ExportMetricsServiceResponse, error) {
			return &colmetric.ExportMetricsServiceResponse{PartialSuccess: &colmetric.ExportMetricsPartialSuccess{
				RejectedDataPoints: 3, ErrorMessage: "too old",
			}}, nil
		})
		if err := e.Export(t.Context(), snapshot(0)); err == nil || !strings.Contains(err.Error(), "too old") {
			t.Errorf("a partial success: the exporter says %v", err)
		}
		b.is(func() (*colmetric.ExportMetricsServiceResponse, error) {
			return nil, status.Error(codes.InvalidArgument, "no such tenant")
		})
		err := e.Export(t.Context(), snapshot(1))
		var queued *QueuedError
		if err == nil || errors.As(err, &queued) || !strings.Contains(err.Error(), "no such tenant") {
			t.Errorf("refused for good: the exporter says %v", err)
		}
		b.is(func() (*colmetric.ExportMetricsServiceResponse, error) {
			return nil, status.Error(codes.Unavailable, "try later")
		})
		err = e.Export(t.Context(), snapshot(2))
		wantQueued(t, err, 1)
		if !strings.Contains(err.Error(), "try later") {
			t.Errorf("busy: the exporter says %v", err)
		}
		st := s.Stats()
		if st.Sent != 1 || st.Rejected != 3 || st.Dropped[ReasonRefused] != 1 || st.Requests != 1 {
			t.Errorf("%+v, want 1 sent with 3 rejected points, 1 refused, 1 waiting: the exporter must not repeat a request itself", st)
		}
		b.is(nil)
		err = s.Close(t.Context())
		if tr.name == "grpc" {
			if err != nil || !slices.Equal(b.has(), []string{"2@1002"}) {
				t.Errorf("Close: %v, arrived %v", err, b.has())
			}
		} else {
			wantQueued(t, err, 1) // the receiver asked for a pause with Retry-After
		}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := told.all(); len(n) > 0 {
			t.Errorf("told %q beside the exporter", n)
		}
	})
}

// flushed flushes. The attempt that was under way when the server began to listen may still fail, no further one.
func flushed(t *testing.T, s *Spool) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// gRPC pauses for a second to two minutes between attempts to connect, and fails calls meanwhile; the spool must not wait for that.
func TestGRPCReconnectsAtOnce(t *testing.T) {
	tr, b := transports[0], &inbox{}
	addr, stop := tr.serve(t, freeaddr.Loopback(t), b)
	stop()
	s, _ := openSpool(t, Config{Dir: t.TempDir()}, osOpen)
	e := tr.exporter(t, s, addr)
	for i := range 4 {
		wantQueued(t, e.Export(t.Context(), snapshot(i)), i+1)
		_ = s.Flush(t.Context())
	}
	_, stop = tr.serve(t, addr, b)
	defer stop()
	flushed(t, s)
	if err := errors.Join(s.Close(t.Context()), e.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
	if got := b.has(); len(got) != 4 {
		t.Errorf("arrived: %v", got)
	}
}

// What was kept over one protocol goes out over the other.
func TestProtocolChanges(t *testing.T) {
	for _, from := range transports {
		for _, to := range transports {
			dir, b := t.TempDir(), &inbox{}
			addr, stop := to.serve(t, freeaddr.Loopback(t), b)
			stop()
			s, _ := openSpool(t, Config{Dir: dir}, osOpen)
			e := from.exporter(t, s, addr)
			wantQueued(t, e.Export(t.Context(), snapshot(1)), 1)
			wantQueued(t, s.Close(t.Context()), 1)
			_ = e.Shutdown(t.Context())
			_, stop = to.serve(t, addr, b)
			s, _ = openSpool(t, Config{Dir: dir}, osOpen)
			e = to.exporter(t, s, addr)
			if err := e.Export(Prime(t.Context()), &metricdata.ResourceMetrics{Resource: resource.Empty()}); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Close(t.Context()), e.Shutdown(t.Context())); err != nil {
				t.Error(err)
			}
			if got := b.has(); !slices.Equal(got, []string{"1@1001"}) {
				t.Errorf("from %s to %s: arrived %v", from.name, to.name, got)
			}
			stop()
		}
	}
}

// BenchmarkExport compares an export of a few hundred series without and with a spool, the receiver being there.
func BenchmarkExport(b *testing.B) {
	large := snapshot(0)
	for i := range 500 {
		more := snapshot(i).ScopeMetrics[0].Metrics[0]
		more.Name = fmt.Sprint("a.metric.with.a.usual.name.", i)
		large.ScopeMetrics[0].Metrics = append(large.ScopeMetrics[0].Metrics, more)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer()
	colmetric.RegisterMetricsServiceServer(server, discard{})
	go server.Serve(ln)
	defer server.Stop()
	for _, spooled := range []bool{false, true} {
		b.Run(fmt.Sprintf("spool=%v", spooled), func(b *testing.B) {
			opts := []otlpmetricgrpc.Option{otlpmetricgrpc.WithEndpoint(ln.Addr().String()), otlpmetricgrpc.WithInsecure()}
			if spooled {
				s, err := Open(Config{Dir: b.TempDir(), Name: "metrics"})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close(context.Background())
				opts = append(opts, otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(s.UnaryClientInterceptor())))
			}
			e, err := otlpmetricgrpc.New(b.Context(), opts...)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Export(b.Context(), large); err != nil {
					b.Fatal(err)
				}
			}
			_ = e.Shutdown(context.Background())
		})
	}
}

type discard struct {
	colmetric.UnimplementedMetricsServiceServer
}

func (discard) Export(context.Context, *colmetric.ExportMetricsServiceRequest) (*colmetric.ExportMetricsServiceResponse, error) {
	return &colmetric.ExportMetricsServiceResponse{}, nil
}

// A receiver that has moved is followed, by what waits too.
func TestRedirect(t *testing.T) {
	b := &inbox{}
	target := httptest.NewServer(b)
	defer target.Close()
	var down atomic.Bool
	down.Store(true)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, target.URL+r.URL.Path, http.StatusPermanentRedirect)
	}))
	defer front.Close()
	s, told := openSpool(t, Config{Dir: t.TempDir()}, osOpen)
	e := httpExporter(t, s, front.Listener.Addr().String())
	for i := range 3 {
		wantQueued(t, e.Export(t.Context(), snapshot(i)), i+1)
	}
	down.Store(false)
	flushed(t, s)
	if err := e.Export(t.Context(), snapshot(3)); err != nil {
		t.Error(err)
	}
	if want := []string{"0@1000", "1@1001", "2@1002", "3@1003"}; !slices.Equal(b.has(), want) {
		t.Errorf("arrived %q, want %q", b.has(), want)
	}
	if st := s.Stats(); st.Sent != 4 || st.Dropped[ReasonRefused] != 0 || len(told.all()) != 0 {
		t.Errorf("%+v, told %q; want 4 sent and nothing to tell", st, told.all())
	}
	if err := errors.Join(s.Close(t.Context()), e.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
}
