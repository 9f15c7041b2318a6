package otelnetgrpc_test

import (
	"context"
	"net"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/otelnet/agent/otelnet"
	"github.com/otelnet/agent/otelnet/otelnetgrpc"
)

// A server whose calls are counted by otelgrpc and joined to connections by otelnet.
func ExampleNewServerHandler() {
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", otelnet.WithName("rpc"))
	if err != nil {
		return
	}
	srv := grpc.NewServer(
		grpc.StatsHandler(otelgrpc.NewServerHandler()),
		grpc.StatsHandler(otelnetgrpc.NewServerHandler()))
	go srv.Serve(ln)
	srv.Stop()
}

// A client does the same with a Dialer.
func ExampleNewClientHandler() {
	dialer, err := otelnet.NewDialer(nil)
	if err != nil {
		return
	}
	conn, err := grpc.NewClient("passthrough:///127.0.0.1:9090",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr)
		}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithStatsHandler(otelnetgrpc.NewClientHandler()))
	if err != nil {
		return
	}
	defer conn.Close()
}
