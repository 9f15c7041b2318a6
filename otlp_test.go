package agent

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	colmetric "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// What leaves the process is decoded here by OTLP's own protobuf types, which know nothing of the SDK.

func TestOTLPOverGRPC(t *testing.T) {
	clearEnv(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	received := &grpcReceiver{requests: make(chan *colmetric.ExportMetricsServiceRequest, 10)}
	server := grpc.NewServer()
	colmetric.RegisterMetricsServiceServer(server, received)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+ln.Addr().String())
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=net%20ops")

	a := start(t)
	counter(t, a).Add(t.Context(), 12345)
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pointSum(<-received.requests, "test.events"); got != 12345 {
		t.Errorf("received test.events = %d, want 12345", got)
	}
	if got := received.tenant; len(got) != 1 || got[0] != "net ops" {
		t.Errorf("header x-tenant = %q, want %q", got, "net ops")
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

type grpcReceiver struct {
	colmetric.UnimplementedMetricsServiceServer
	requests chan *colmetric.ExportMetricsServiceRequest
	tenant   []string
}

func (r *grpcReceiver) Export(
	ctx context.Context, request *colmetric.ExportMetricsServiceRequest,
) (*colmetric.ExportMetricsServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	r.tenant = md.Get("x-tenant")
	r.requests <- request
	return &colmetric.ExportMetricsServiceResponse{}, nil
}

func TestOTLPOverHTTP(t *testing.T) {
	clearEnv(t)
	requests := make(chan *colmetric.ExportMetricsServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		request := &colmetric.ExportMetricsServiceRequest{}
		if err := proto.Unmarshal(raw, request); err != nil {
			t.Error(err)
		}
		if r.URL.Path != "/v1/metrics" || r.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("request to %s with encoding %q, want /v1/metrics and gzip", r.URL.Path, r.Header.Get("Content-Encoding"))
		}
		requests <- request
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")

	a := start(t)
	counter(t, a).Add(t.Context(), 12345)
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pointSum(<-requests, "test.events"); got != 12345 {
		t.Errorf("received test.events = %d, want 12345", got)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A text that is no UTF-8, in the resource or in one point of one metric, must not keep all else from arriving.
func TestOTLPInvalidText(t *testing.T) {
	clearEnv(t)
	requests := make(chan *colmetric.ExportMetricsServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		request := &colmetric.ExportMetricsServiceRequest{}
		if err != nil || proto.Unmarshal(raw, request) != nil {
			t.Error("not a request")
		}
		requests <- request
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	a := start(t, WithServiceName("shop\xff"))
	counter(t, a).Add(t.Context(), 3, metric.WithAttributes(attribute.String("a", "\xfe"), attribute.StringSlice("b", []string{"\xfd", "ok"})))
	counter(t, a).Add(t.Context(), 4)
	gauge, err := a.MeterProvider().Meter("test").Float64Histogram("test.sizes")
	if err != nil {
		t.Fatal(err)
	}
	gauge.Record(t.Context(), 1, metric.WithAttributes(attribute.String("c\xfc", "x")))
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pointSum(<-requests, "test.events"); got != 7 {
		t.Errorf("received test.events = %d, want 7", got)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// The same of spans, to whose attributes a stranger's URL belongs: the batch arrives, over either protocol and through a spool.
func TestOTLPInvalidTextInSpans(t *testing.T) {
	for _, test := range []struct {
		protocol string
		spool    bool
	}{{"grpc", false}, {"grpc", true}, {"http/protobuf", false}, {"http/protobuf", true}} {
		t.Run(fmt.Sprintf("%s, spool %t", test.protocol, test.spool), func(t *testing.T) {
			clearEnv(t)
			received := &spanReceiver{}
			addr, stop := received.serve(t, test.protocol, "127.0.0.1:0")
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", test.protocol)
			t.Setenv("OTEL_METRICS_EXPORTER", "none")
			t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
			opts := []Option{WithServiceName("shop\xff")}
			if test.spool {
				opts = append(opts, WithSpoolDir(t.TempDir()))
			}
			a := start(t, opts...)
			bad := trace.WithAttributes(attribute.String("url.path", "/\xff"), attribute.StringSlice("a\xfe", []string{"\xfd", "ok"}))
			tracer := a.TracerProvider().Tracer("test")
			_, good := tracer.Start(t.Context(), "good")
			_, span := tracer.Start(t.Context(), "bad\xfc", bad, trace.WithLinks(trace.Link{
				SpanContext: good.SpanContext(), Attributes: []attribute.KeyValue{attribute.String("link", "\xfb")},
			}))
			span.AddEvent("event\xfa", bad)
			span.SetStatus(codes.Error, "status\xf9")
			span.End()
			good.End()
			if err := a.ForceFlush(t.Context()); err != nil {
				t.Error(err)
			}
			if err := a.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			stop()
			if want := []string{"bad\uFFFD", "good"}; !slices.Equal(received.names, want) {
				t.Errorf("arrived %q, want %q", received.names, want)
			}
		})
	}
}

// pointSum adds up the points of an integer sum.
func pointSum(request *colmetric.ExportMetricsServiceRequest, name string) int64 {
	var n int64
	for _, rm := range request.GetResourceMetrics() {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				if m.GetName() != name {
					continue
				}
				for _, dp := range m.GetSum().GetDataPoints() {
					n += dp.GetValue().(*metricpb.NumberDataPoint_AsInt).AsInt
				}
			}
		}
	}
	return n
}
