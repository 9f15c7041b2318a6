package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"

	"github.com/otelnet/agent/e2e/internal/stack"
	"github.com/otelnet/agent/otelnet"
)

const (
	serverUserTimeout = 17 * time.Second
	clientUserTimeout = 23 * time.Second
)

// gRPC in both directions, with the server's keepalive. grpc-go sets TCP_USER_TIMEOUT on a *net.TCPConn only and passes over any
// other connection without a word; Control sets it for a connection of ours, and is kept by the listener and the dialer.
func TestGRPC(t *testing.T) {
	m := newMeter()
	lc := net.ListenConfig{Control: userTimeout(serverUserTimeout)}
	inner, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := otelnet.NewListener(inner, m.option(), otelnet.WithName(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	seen := &seenConns{Listener: ln}
	srv := grpc.NewServer(grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Second, Timeout: patience}))
	testpb.RegisterTestServiceServer(srv, testService{})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(seen) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	wire := startRelay(t, ln.Addr().String())

	dialer, err := otelnet.NewDialer(&net.Dialer{Control: userTimeout(clientUserTimeout)}, m.option())
	if err != nil {
		t.Fatal(err)
	}
	cc, err := grpc.NewClient("passthrough:///"+wire.addr(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return seen.keep(dialer.DialContext(ctx, "tcp", addr))
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: patience, PermitWithoutStream: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	client := testpb.NewTestServiceClient(cc)

	var payloads flow // as the server sends and receives them
	for i := range 20 {
		send, receive := 1+i*10_000, 200_000-i*10_000
		unary(ctx, t, client, send, receive)
		payloads.Sent, payloads.Received = payloads.Sent+int64(receive), payloads.Received+int64(send)
	}
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		send, receive := 1+i*1000, 50_000-i*1000
		exchange(t, stream, send, receive)
		payloads.Sent, payloads.Received = payloads.Sent+int64(receive), payloads.Received+int64(send)
	}

	// While the stream is idle, each side's keepalive frames are all that moves. They count as well.
	quiet := wire.server()
	const ping = 17 // bytes of an HTTP/2 PING frame, and of its answer
	stack.Until(t, patience, "two pings of the server and their answers", func(context.Context) error {
		now := wire.server()
		if now.Sent < quiet.Sent+2*ping || now.Received < quiet.Received+2*ping {
			return fmt.Errorf("from %+v to %+v", quiet, now)
		}
		return nil
	})
	exchange(t, stream, 1, 1)
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("end of the stream: got %v, want EOF", err)
	}

	for side, want := range map[otelnet.Side]time.Duration{otelnet.SideServer: serverUserTimeout, otelnet.SideClient: clientUserTimeout} {
		if got := getsockopt(t, seen.only(t, side), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); got != int(want.Milliseconds()) {
			t.Errorf("TCP_USER_TIMEOUT of the %s: got %d ms, want %d", side, got, want.Milliseconds())
		}
	}
	m.wantFlow(t, otelnet.SideServer, wire.server)
	m.wantFlow(t, otelnet.SideClient, wire.client)
	if got := wire.server(); got.Sent < payloads.Sent || got.Received < payloads.Received {
		t.Errorf("the relay saw %+v, less than the payloads alone, %+v", got, payloads)
	}
	cc.Close()
	m.wantTotal(t, 0, "otelnet.server.active_connections")
	m.wantTotal(t, 0, "otelnet.client.active_connections")
	m.wantSent(t, otelnet.SideServer, wire.server)
	m.wantSent(t, otelnet.SideClient, wire.client)
	m.wantTotal(t, 1, "otelnet.server.connections")
}

// userTimeout is a Control for a listener or dialer. An accepted connection inherits what its listener has.
func userTimeout(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		return errors.Join(err, failed)
	}
}

// getsockopt asks through the SyscallConn that our connections have.
func getsockopt(t *testing.T, c net.Conn, level, option int) int {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	var failed error
	if err := raw.Control(func(fd uintptr) { value, failed = unix.GetsockoptInt(int(fd), level, option) }); err != nil {
		t.Fatal(err)
	}
	if failed != nil {
		t.Fatal(failed)
	}
	return value
}

// seenConns remembers what was accepted and dialled, on its way into a library.
type seenConns struct {
	net.Listener
	mu       sync.Mutex
	accepted []net.Conn
	dialled  []net.Conn
}

func (s *seenConns) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err == nil {
		s.mu.Lock()
		s.accepted = append(s.accepted, c)
		s.mu.Unlock()
	}
	return c, err
}

func (s *seenConns) keep(c net.Conn, err error) (net.Conn, error) {
	if err == nil {
		s.mu.Lock()
		s.dialled = append(s.dialled, c)
		s.mu.Unlock()
	}
	return c, err
}

// only returns the one connection of that side.
func (s *seenConns) only(t *testing.T, side otelnet.Side) net.Conn {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := s.accepted
	if side == otelnet.SideClient {
		conns = s.dialled
	}
	if len(conns) != 1 {
		t.Fatalf("connections of the %s: got %d, want 1", side, len(conns))
	}
	return conns[0]
}

// testService answers each message with a payload of the size that was asked for.
type testService struct {
	testpb.UnimplementedTestServiceServer
}

func (testService) UnaryCall(_ context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{Payload: payload(int(in.GetResponseSize()))}, nil
}

func (testService) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		size := int(in.GetResponseParameters()[0].GetSize())
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: payload(size)}); err != nil {
			return err
		}
	}
}

func payload(size int) *testpb.Payload { return &testpb.Payload{Body: make([]byte, size)} }

// unary sends and asks for so many bytes.
func unary(ctx context.Context, t *testing.T, client testpb.TestServiceClient, send, receive int) {
	t.Helper()
	out, err := client.UnaryCall(ctx, &testpb.SimpleRequest{Payload: payload(send), ResponseSize: int32(receive)})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(out.GetPayload().GetBody()); got != receive {
		t.Fatalf("payload: got %d bytes, want %d", got, receive)
	}
}

// exchange does the same within a stream.
func exchange(t *testing.T, stream testpb.TestService_FullDuplexCallClient, send, receive int) {
	t.Helper()
	err := stream.Send(&testpb.StreamingOutputCallRequest{
		Payload:            payload(send),
		ResponseParameters: []*testpb.ResponseParameters{{Size: int32(receive)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(out.GetPayload().GetBody()); got != receive {
		t.Fatalf("payload: got %d bytes, want %d", got, receive)
	}
}
