package gofunc

import "testing"

func TestOwn(t *testing.T) {
	for function, want := range map[string]bool{
		"net/http.(*conn).serve": false, "time.Sleep": false, "runtime.main": false, "go/ast.Walk": false, "aeshashbody": false,
		"main.main": true, "github.com/a/b.Listen": true, "go.opentelemetry.io/otel.Tracer": true, "shop/cart.Add": true,
		"slices.SortFunc[go.shape.[]github.com/a/b.T]": false, "golang.org/x/net/http2.(*serverConn).serve": true,
		"github.com/otelnet/agent/otelnet.(*tcpConn).Read": false, "github.com/otelnet/agent/otelnet/otelnetgrpc.F": true,
		"github.com/otelnet/agent/capture.F": true, "vendor/golang.org/x/net/idna.F": false, "": false,
		"type:.eq.net/http.connectMethodKey": false, "type:.hash.main.key": false,
	} {
		if got := Own(function); got != want {
			t.Errorf("%s: got %v, want %v", function, got, want)
		}
	}
}

func TestPlumbing(t *testing.T) {
	for function, want := range map[string]bool{
		"internal/poll.(*FD).Read": true, "net.(*netFD).Read": true, "net/http.(*conn).serve": false, "runtime.selectgo": true, "main.main": false,
	} {
		if got := Plumbing(function); got != want {
			t.Errorf("%s: got %v, want %v", function, got, want)
		}
	}
}
