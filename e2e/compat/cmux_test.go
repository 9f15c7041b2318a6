package compat

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/soheilhy/cmux"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/otelnet/agent/e2e/internal/stack"
	"github.com/otelnet/agent/otelnet"
	"github.com/otelnet/agent/otelnet/otelnetgrpc"
)

// cmux serves HTTP/1 and gRPC at one port, and gives each server connections that do not show what they wrap. Requests and calls are
// joined to the right ones all the same.
func TestMultiplexedPort(t *testing.T) {
	m := newMeter()
	name := fmt.Sprint(t.Name(), time.Now().UnixNano())
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", m.option(), otelnet.WithName(name))
	if err != nil {
		t.Fatal(err)
	}
	port := cmux.New(ln)
	calls := grpc.NewServer(grpc.StatsHandler(otelnetgrpc.NewServerHandler()))
	testpb.RegisterTestServiceServer(calls, testService{})
	pages := &http.Server{Handler: otelnet.NewHandler(http.HandlerFunc(sayOK), "pages", m.option())}
	otelnet.Instrument(pages)
	toCalls := port.MatchWithWriters(cmux.HTTP2MatchHeaderFieldSendSettings("content-type", "application/grpc"))
	toPages := port.Match(cmux.HTTP1Fast())
	ended := make(chan error, 3)
	go func() { ended <- calls.Serve(toCalls) }()
	go func() { ended <- pages.Serve(toPages) }()
	go func() { ended <- port.Serve() }()
	t.Cleanup(func() {
		calls.Stop()
		pages.Close()
		ln.Close()
		for range 3 {
			<-ended
		}
	})

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	cc, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	const requests, rpcs = 7, 5
	for range requests {
		resp, err := client.Get("http://" + ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	for range rpcs {
		if _, err := testpb.NewTestServiceClient(cc).UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	}

	byProtocol := func() map[string]uint64 {
		counts := map[string]uint64{}
		for _, row := range otelnet.Connections(otelnet.Filter{Match: name, State: "all"}) {
			counts[row.Protocol+" "+row.Route] += row.Requests
		}
		return counts
	}
	want := map[string]uint64{"HTTP/1.1 ": requests, "HTTP/2.0 /grpc.testing.TestService/UnaryCall": rpcs}
	stack.Until(t, patience, "requests by protocol and route", func(context.Context) error {
		if diff := cmp.Diff(want, byProtocol()); diff != "" {
			return fmt.Errorf("-want +got:\n%s", diff)
		}
		return nil
	})
}
