package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what senders compress with

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
)

// metricsServer answers exports.
type metricsServer struct {
	collectorpb.UnimplementedMetricsServiceServer
	got func(*collectorpb.ExportMetricsServiceRequest)
}

func (s *metricsServer) Export(_ context.Context, r *collectorpb.ExportMetricsServiceRequest) (*collectorpb.ExportMetricsServiceResponse, error) {
	s.got(r)
	return &collectorpb.ExportMetricsServiceResponse{}, nil
}

// serveMetrics takes OTLP until stop.
func serveMetrics(addr string, got func(*collectorpb.ExportMetricsServiceRequest)) (at string, stop func(), err error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	return ln.Addr().String(), serveMetricsOn(ln, got), nil
}

func serveMetricsOn(ln net.Listener, got func(*collectorpb.ExportMetricsServiceRequest)) (stop func()) {
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	collectorpb.RegisterMetricsServiceServer(server, &metricsServer{got: got})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	return func() { server.Stop(); <-done }
}

// sinkAddrs is what the sink prints when it is ready.
type sinkAddrs struct{ GRPC, HTTP string }

// serveSink takes OTLP and remote writes, and keeps nothing, until in ends.
func serveSink(out io.Writer, in io.Reader) error {
	grpcAddr, stop, err := serveMetrics("127.0.0.1:0", func(*collectorpb.ExportMetricsServiceRequest) {})
	if err != nil {
		return err
	}
	defer stop()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})}
	go server.Serve(ln)
	defer server.Close()
	if err := json.NewEncoder(out).Encode(sinkAddrs{grpcAddr, ln.Addr().String()}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// sink is that in a process of its own, so that its CPU time is nobody else's.
type sink struct {
	cmd        *exec.Cmd
	in         io.Closer
	grpc, http string
}

func startSink(ctx context.Context) (*sink, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-sink")
	cmd.Env = append(os.Environ(), sinkVar+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &sink{cmd: cmd, in: in}
	var addrs sinkAddrs
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&addrs); err != nil {
		s.stop()
		return nil, fmt.Errorf("the sink did not start: %w", err)
	}
	s.grpc, s.http = addrs.GRPC, addrs.HTTP
	return s, nil
}

// sinkVar makes the test's program be the sink.
const sinkVar = "SCALE_SINK"

func (s *sink) stop() {
	s.in.Close()
	_ = s.cmd.Wait()
}
