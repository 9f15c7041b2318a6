package otelnetgrpc_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/otelnet/agent/otelnet"
	"github.com/otelnet/agent/otelnet/otelnetgrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// row waits until the one connection with this name satisfies ok.
func row(t *testing.T, name string, ok func(otelnet.ConnInfo) bool) otelnet.ConnInfo {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		rows := otelnet.Connections(otelnet.Filter{Match: name, State: "all"})
		if len(rows) == 1 && ok(rows[0]) {
			return rows[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s in vain; the table has %+v", rows)
		}
	}
}

// failing is a health service with one method that fails.
type failing struct{ *health.Server }

func (failing) List(context.Context, *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	return nil, status.Error(codes.Internal, "no")
}

// ends counts the calls whose end a server's handlers before it have heard of.
type ends struct{ n atomic.Int64 }

func (*ends) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*ends) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*ends) HandleConn(context.Context, stats.ConnStats)                       {}

func (e *ends) HandleRPC(_ context.Context, event stats.RPCStats) {
	if _, ok := event.(*stats.End); ok {
		e.n.Add(1)
	}
}

// wait waits for n of them: a call has ended for its client before the server's handlers hear of it.
func (e *ends) wait(t *testing.T, n int64) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); e.n.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server's handlers heard of %d ends in 30 s, want %d", e.n.Load(), n)
		}
	}
}

// runs tells the connections of this run of a test from those of the one before, which the table still has.
var runs atomic.Int64

// Calls and their errors show at both ends of the connection, with otelgrpc beside, which counts the same calls.
func TestCallsAreJoinedToConnections(t *testing.T) {
	ctx := t.Context()
	run := runs.Add(1)
	front, back := fmt.Sprintf("grpc front %d.", run), fmt.Sprintf("grpc back %d.", run)
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer mp.Shutdown(context.Background())

	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", otelnet.WithName(front), otelnet.WithMeterProvider(mp))
	if err != nil {
		t.Fatal(err)
	}
	var ended ends
	srv := grpc.NewServer(
		grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithMeterProvider(mp))),
		grpc.StatsHandler(otelnetgrpc.NewServerHandler()),
		grpc.StatsHandler(&ended))
	grpc_health_v1.RegisterHealthServer(srv, failing{health.NewServer()})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() { srv.Stop(); <-served }()

	dialer, err := otelnet.NewDialer(nil, otelnet.WithName(back), otelnet.WithMeterProvider(mp))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+ln.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }),
		grpc.WithStatsHandler(otelnetgrpc.NewClientHandler()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := grpc_health_v1.NewHealthClient(conn)

	for range 3 {
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Fatalf("an unknown service: got %v, want NotFound", err)
	}
	if err := conn.Invoke(ctx, "/made.Up/Method", &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{}); status.Code(err) != codes.Unimplemented {
		t.Fatalf("an unknown method: got %v, want Unimplemented", err)
	}
	ended.wait(t, 4)
	ids := make(map[string]uint64)
	for _, name := range []string{front, back} { // from here on both are watched
		ids[name] = row(t, name, func(otelnet.ConnInfo) bool { return true }).ID
		if _, err := otelnet.WatchRequests(ids[name]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.List(ctx, &grpc_health_v1.HealthListRequest{}); status.Code(err) != codes.Internal {
		t.Fatalf("a method that fails: got %v, want Internal", err)
	}
	ended.wait(t, 5)
	const last = "/grpc.health.v1.Health/List"
	// NotFound is an answer for the server, and an error for who asked. A method that the server lacks never reaches it.
	wants := map[string]struct{ requests, errors uint64 }{front: {5, 1}, back: {6, 3}}
	for name, want := range wants {
		got := row(t, name, func(r otelnet.ConnInfo) bool { return r.Requests == want.requests && r.Errors == want.errors })
		if got.Route != last || got.Protocol != "HTTP/2.0" {
			t.Errorf("%s: got route %q over %q, want %q over HTTP/2.0", name, got.Route, got.Protocol, last)
		}
		log := otelnet.RequestLog{}
		for deadline := time.Now().Add(30 * time.Second); log.Total == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			log, err = otelnet.WatchRequests(ids[name])
		}
		if err != nil || log.Total != 1 || log.Requests[0].Route != last || log.Requests[0].ErrorType != "Internal" || log.Requests[0].DurationSeconds <= 0 {
			t.Errorf("%s: got the calls %+v, %v; want the last one, which failed", name, log, err)
		}
	}

	calls := counted(t, reader)
	for deadline := time.Now().Add(30 * time.Second); calls < 5 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		calls = counted(t, reader)
	}
	if calls != 5 {
		t.Errorf("calls that otelgrpc counted: got %d, want 5", calls)
	}
	conn.Close()
	for name, want := range wants {
		if got := row(t, name, func(r otelnet.ConnInfo) bool { return r.State == "closed" }); got.Requests != want.requests {
			t.Errorf("%s: got %d requests after the close, want %d", name, got.Requests, want.requests)
		}
	}
}

// counted is how many calls otelgrpc has recorded for the server.
func counted(t *testing.T, reader sdkmetric.Reader) (calls uint64) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && (m.Name == "rpc.server.call.duration" || m.Name == "rpc.server.duration") {
				for _, p := range h.DataPoints {
					calls += p.Count
				}
			}
		}
	}
	return calls
}

// Connections that are not otelnet's are left alone.
func TestForeignConnections(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.StatsHandler(otelnetgrpc.NewServerHandler()))
	grpc_health_v1.RegisterHealthServer(srv, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() { srv.Stop(); <-served }()
	conn, err := grpc.NewClient("passthrough:///"+ln.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(otelnetgrpc.NewClientHandler()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
}

// listAddr is an address that cannot be compared.
type listAddr []string

func (listAddr) Network() string { return "list" }
func (listAddr) String() string  { return "list" }

// A dialer of the program's own may have addresses that no map takes: calls over it are left alone.
func TestAddressThatCannotBeCompared(t *testing.T) {
	h := otelnetgrpc.NewClientHandler()
	ctx := h.TagConn(context.Background(), &stats.ConnTagInfo{LocalAddr: listAddr{"a"}, RemoteAddr: listAddr{"b"}})
	ctx = h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: "/a.B/C"})
	h.HandleRPC(ctx, &stats.OutHeader{Client: true, LocalAddr: listAddr{"a"}, RemoteAddr: listAddr{"b"}})
	h.HandleRPC(ctx, &stats.OutHeader{Client: true})
	h.HandleRPC(ctx, &stats.End{Client: true})
}
