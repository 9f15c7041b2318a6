// Package otelnetgrpc joins gRPC calls to the connections that carry them.
//
// gRPC hides its connections, so that package otelnet counts their bytes, handshakes and ends, but no requests. A
// stats.Handler of this package tells it; the table then has the number of calls, those that failed and the last method:
//
//	ln, err := otelnet.Listen("tcp", ":9090")
//	srv := grpc.NewServer(
//		grpc.StatsHandler(otelgrpc.NewServerHandler()), // spans and metrics of the calls
//		grpc.StatsHandler(otelnetgrpc.NewServerHandler()),
//	)
//	err = srv.Serve(ln)
//
// It records no metric of its own: those of calls are otelgrpc's. A call costs a few atomic operations and one
// allocation or two; a connection costs one walk of the table when it opens.
package otelnetgrpc

import (
	"context"
	"net"
	"reflect"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/otelnet/agent/otelnet"
)

// NewServerHandler returns a handler for grpc.StatsHandler. The server's listener must come from otelnet; calls over any
// other are left alone. A call fails if its status is one that the semantic conventions call an error of a server:
// Unknown, DeadlineExceeded, Unimplemented, Internal, Unavailable or DataLoss. Calls of methods that the server does not
// have are not counted, as gRPC tells nothing of them.
func NewServerHandler() stats.Handler { return &handler{} }

// NewClientHandler returns a handler for grpc.WithStatsHandler. The connections must come from an otelnet.Dialer, given
// to gRPC by grpc.WithContextDialer. A call fails if it ends with any status but OK or Canceled.
func NewClientHandler() stats.Handler { return &handler{client: true} }

type handler struct {
	client bool
	conns  sync.Map // a client's open connections by local address, which is all that a call is told
}

type (
	connKey struct{}
	callKey struct{}
)

// joined is what a connection's context keeps.
type joined struct {
	conn  *otelnet.ConnStats
	local net.Addr
}

// call is one RPC, from its begin to its end. Events of one call come one after the other.
type call struct {
	conn   *otelnet.ConnStats // while it is joined to one
	server *otelnet.ConnStats // a server's, which is known from the start
	method string
}

// TagConn finds the connection in otelnet's table.
func (h *handler) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	conn, ok := otelnet.ConnByAddr(info.LocalAddr, info.RemoteAddr)
	if !ok {
		return ctx
	}
	if h.client {
		h.conns.Store(info.LocalAddr, conn)
	}
	return context.WithValue(ctx, connKey{}, &joined{conn: conn, local: info.LocalAddr})
}

// HandleConn forgets a client's connection that has ended.
func (h *handler) HandleConn(ctx context.Context, event stats.ConnStats) {
	if _, ok := event.(*stats.ConnEnd); !ok || !h.client {
		return
	}
	if j, ok := ctx.Value(connKey{}).(*joined); ok {
		h.conns.Delete(j.local)
	}
}

// TagRPC prepares a call. A server's is on the connection of its context; a client's gets one later.
func (h *handler) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	c := &call{method: info.FullMethodName}
	if !h.client {
		j, ok := ctx.Value(connKey{}).(*joined)
		if !ok {
			return ctx
		}
		c.server = j.conn
	}
	return context.WithValue(ctx, callKey{}, c)
}

// HandleRPC follows the call.
func (h *handler) HandleRPC(ctx context.Context, event stats.RPCStats) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return
	}
	switch e := event.(type) {
	case *stats.Begin:
		// Not in TagRPC: a call of an unknown method has neither begin nor end.
		if c.server != nil && !e.Client {
			c.begin(c.server)
		}
	case *stats.OutHeader:
		if e.Client && h.client {
			if conn := h.connAt(e.LocalAddr); conn != nil {
				c.begin(conn)
			}
		}
	case *stats.End:
		if e.Client == h.client {
			c.end(h.failed(e.Error), e)
		}
	}
}

// connAt finds a client's connection, nil if it is none of ours. An address of a dialer's own kind may be one that no map
// takes as a key.
func (h *handler) connAt(local net.Addr) *otelnet.ConnStats {
	if local == nil || !reflect.ValueOf(local).Comparable() {
		return nil
	}
	conn, _ := h.conns.Load(local)
	s, _ := conn.(*otelnet.ConnStats)
	return s
}

// begin joins the call to a connection; a client's second try may come on another one.
func (c *call) begin(conn *otelnet.ConnStats) {
	if c.conn != nil {
		c.conn.EndRequest("", true)
	}
	c.conn = conn
	conn.BeginRequest(2, 0)
}

func (c *call) end(failed bool, e *stats.End) {
	if c.conn == nil {
		return
	}
	method, code := c.method, status.Code(e.Error)
	if code == codes.Unimplemented {
		method = "" // a stranger may have made it up
	}
	c.conn.EndRequest(method, failed)
	if c.conn.Watched() {
		info := otelnet.RequestInfo{Start: e.BeginTime, Route: method, DurationSeconds: e.EndTime.Sub(e.BeginTime).Seconds()}
		if failed {
			info.ErrorType = code.String()
		}
		c.conn.KeepRequest(info)
	}
	c.conn = nil
}

func (h *handler) failed(err error) bool {
	code := status.Code(err)
	if h.client {
		return code != codes.OK && code != codes.Canceled
	}
	switch code {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	default:
		return false
	}
}
