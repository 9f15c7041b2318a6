package otelnet

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

type connKey struct{}

// Instrument makes srv tell each connection of ours which requests it carries, so that the table shows their number,
// route, protocol and state, and a handler can ask with [ConnFromContext]. Call it before srv serves. ConnContext and
// ConnState that are set already are called as before; set them before Instrument, not after. HTTP/1, HTTP/2, and
// both under TLS are joined. The requests themselves are counted by [NewHandler].
//
// It also makes the server's TLS handshakes known to otelnet.server.tls.handshake.duration: TLSConfig is replaced by
// [ServerTLSConfig] of it, and ServeTLS serves with that. So set TLSConfig before Instrument too.
//
// The server's listener must come from [Listen] or [NewListener], and may have others around it, such as netutil.LimitListener; connections
// of any other are left alone. Inside a wrapper that does not show what it wraps, a connection is found by its addresses at its first
// request, and its handshake is not recorded. Nil is left alone too.
func Instrument(srv *http.Server) {
	if srv == nil {
		return
	}
	connContext, connState := srv.ConnContext, srv.ConnState
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if connContext != nil {
			ctx = connContext(ctx, c)
		}
		switch s, end := unwrap(c); {
		case ctx == nil: // net/http says what is wrong
		case s != nil:
			ctx = context.WithValue(ctx, connKey{}, s)
		case mayHide(end):
			ctx = context.WithValue(ctx, connKey{}, &hiddenConn{conn: end, newest: registry.lastID.Load()})
		}
		return ctx
	}
	if srv.TLSConfig == nil {
		// What a server without a configuration of its own offers; ServeTLS takes out what its Protocols rule out.
		srv.TLSConfig = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	}
	srv.TLSConfig = ServerTLSConfig(srv.TLSConfig)
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if s := statsOf(c); s != nil {
			s.noteState(c, state)
		}
		if connState != nil {
			connState(c, state)
		}
	}
}

// ConnFromContext returns the connection that the request with this context came on. It is false if the server was not
// given to [Instrument], or its listener is not of this package.
func ConnFromContext(ctx context.Context) (*ConnStats, bool) {
	switch v := ctx.Value(connKey{}).(type) {
	case *ConnStats:
		return v, true
	case *hiddenConn:
		s := v.stats()
		return s, s != nil
	}
	return nil, false
}

// statsOf finds the counts of a connection, see unwrap.
func statsOf(c net.Conn) *ConnStats {
	s, _ := unwrap(c)
	return s
}

// unwrap finds the counts of a connection, also beneath TLS and beneath wrappers that show what they wrap: by NetConn as
// crypto/tls does, or by Raw as those of the PROXY protocol do. If it finds none, end is what shows nothing.
func unwrap(c net.Conn) (s *ConnStats, end net.Conn) {
	for range 8 {
		switch v := c.(type) {
		case *tcpConn: // most of them are; the server asks twice for each request
			return &v.stats, nil
		case tracked:
			return v.connStats(), nil
		case *tls.Conn:
			c = v.NetConn()
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		case interface{ Raw() net.Conn }:
			c = v.Raw()
		default:
			return nil, c
		}
	}
	return nil, nil
}

func (s *ConnStats) noteState(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.httpState.Store(uint32(stateNew))
		if tc, ok := c.(*tls.Conn); ok {
			s.beginHandshake(tc)
		}
	case http.StateActive:
		s.httpState.Store(uint32(stateActive))
		// The handshake is done by now. net/http closes the connection before it reports that, too late for the metrics.
		if tc, ok := c.(*tls.Conn); ok && s.tlsVersion.Load() == 0 {
			s.noteTLS(tc.ConnectionState())
		}
		if s.handshake.Load() != nil {
			s.handshake.Store(nil)
		}
	case http.StateIdle:
		s.httpState.Store(uint32(stateIdle))
	case http.StateHijacked:
		s.httpState.Store(uint32(stateActive))
	case http.StateClosed:
		s.failHandshake()
	}
}

// begin joins a request to the connection. HTTP/1 serves one at a time, which is then all that has to be kept.
func (s *ConnStats) begin(resp *response) {
	s.requests.Add(1)
	if resp.key.major == 1 {
		s.serving.Store(resp)
	} else {
		s.inFlight.Add(1)
	}
	if version := uint32(resp.key.major)<<8 | uint32(resp.key.minor); s.protocol.Load() != version {
		s.protocol.Store(version)
	}
	if s.has(flagHidden) {
		s.beginHidden(resp.request)
	}
}

// end lets go of a request that begin joined.
func (s *ConnStats) end(resp *response) {
	if resp.key.major == 1 {
		s.serving.CompareAndSwap(resp, nil)
	} else {
		s.inFlight.Add(-1)
	}
	if s.has(flagHidden) {
		s.endHidden()
	}
}

// served keeps what became of the request.
func (s *ConnStats) served(route *string, failed bool) {
	if failed {
		s.failed.Add(1)
	}
	if s.route.Load() != route {
		s.route.Store(route)
	}
}

// upgrade counts a connection that a handler took over, until it is closed.
func (s *ConnStats) upgrade() {
	if group := s.group(); group != nil && s.flags.Or(flagUpgraded)&(flagUpgraded|flagClosed) == 0 {
		group.upgraded.Add(1)
	}
}

// endRole undoes at the close what the connection was counted as; before are its flags until then.
func (s *ConnStats) endRole(before uint32, end int64) {
	switch {
	case before&flagHTTPClient != 0:
		s.endHTTP(end)
	case before&flagUpgraded != 0:
		s.group().upgraded.Add(-1)
	}
}
