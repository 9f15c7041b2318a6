package agent

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	colmetric "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"

	"github.com/otelnet/agent/internal/freeaddr"
)

// What a first try with a Collector often meets. The receivers are real ones, since their errors' words are what is looked for.
func TestHints(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	overGRPC := grpc.NewServer()
	colmetric.RegisterMetricsServiceServer(overGRPC, &grpcReceiver{requests: make(chan *colmetric.ExportMetricsServiceRequest, 10)})
	served := make(chan error, 1)
	go func() { served <- overGRPC.Serve(ln) }()
	t.Cleanup(func() {
		overGRPC.Stop()
		<-served
	})
	quiet := log.New(&bytes.Buffer{}, "", 0)
	overHTTP := httptest.NewUnstartedServer(http.NotFoundHandler())
	overHTTP.Config.ErrorLog = quiet
	overHTTP.Start()
	t.Cleanup(overHTTP.Close)
	overTLS := httptest.NewUnstartedServer(http.NotFoundHandler())
	overTLS.Config.ErrorLog = quiet
	overTLS.EnableHTTP2 = true
	overTLS.StartTLS()
	t.Cleanup(overTLS.Close)

	addr := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for _, test := range []struct{ name, protocol, endpoint, want string }{
		{"TLS to plain gRPC", "grpc", "https://" + ln.Addr().String(), "begin with http://"},
		{"gRPC to the port of HTTP", "grpc", "http://" + addr(overHTTP), "http/protobuf"},
		{"gRPC to a stranger's certificate", "grpc", "https://" + addr(overTLS), "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		{"gRPC to nobody", "grpc", "http://" + freeaddr.Loopback(t), "is the Collector running?"},
		{"TLS to plain HTTP", "http/protobuf", "https://" + addr(overHTTP), "begin with http://"},
		{"HTTP to a stranger's certificate", "http/protobuf", "https://" + addr(overTLS), "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		{"another path", "http/protobuf", "http://" + addr(overHTTP), "/v1/metrics"},
		{"HTTP to nobody", "http/protobuf", "http://" + freeaddr.Loopback(t), "is the Collector running?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", test.protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", test.endpoint)
			var out bytes.Buffer
			a := start(t, WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if err := a.Shutdown(ctx); err == nil {
				t.Error("the last export was lost, and Shutdown gave no error")
			}
			_, hint, _ := strings.Cut(out.String(), "hint=")
			if !strings.Contains(hint, test.want) {
				t.Errorf("hint %q, want one of %q in:\n%s", hint, test.want, out.String())
			}
		})
	}
}

// A gRPC server answers HTTP/1 with the frames of HTTP/2 and closes, so the client may also see only the latter.
func TestHintOfHTTPToGRPC(t *testing.T) {
	text := `failed to upload metrics: Post "http://127.0.0.1:4317/v1/metrics": net/http: HTTP/1.x transport connection broken: ` +
		`malformed HTTP response "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00"`
	if got := hintOf(text); !strings.Contains(got, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc") {
		t.Errorf("hint %q, want the other protocol", got)
	}
	if got := hintOf("no space left on device"); got != "" {
		t.Errorf("hint %q where there is none", got)
	}
}
