package otelnet

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"time"
)

// ServerTLSConfig returns a copy of cfg that tells when a server's handshake is over, for
// otelnet.server.tls.handshake.duration. [Instrument] does this to the server's own TLSConfig, which ServeTLS uses.
// Call it only where the TLS listener is made by hand:
//
//	srv.Serve(tls.NewListener(ln, otelnet.ServerTLSConfig(cfg)))
//
// A GetConfigForClient that is set already decides as before. A nil cfg is taken for an empty one.
func ServerTLSConfig(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		cfg = new(tls.Config)
	}
	cfg = cfg.Clone()
	decide := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s := statsOf(hello.Conn); s != nil {
			if h := s.handshake.Load(); h != nil {
				// This context ends with the handshake, however that ends; crypto/tls has no other word of it.
				context.AfterFunc(hello.Context(), func() { h.over(s) })
			}
		}
		if decide == nil {
			return nil, nil // cfg itself
		}
		return decide(hello)
	}
	return cfg
}

// handshake is a server's handshake that is under way.
type handshake struct {
	conn     *tls.Conn
	began    time.Time
	recorded atomic.Bool
}

// beginHandshake is called before the server's goroutine for the connection is started.
func (s *ConnStats) beginHandshake(tc *tls.Conn) {
	s.handshake.Store(&handshake{conn: tc, began: time.Now()})
}

// over is called when the handshake has ended.
func (h *handshake) over(s *ConnStats) {
	took := time.Since(h.began)
	if h.recorded.Swap(true) {
		return
	}
	s.handshake.CompareAndSwap(h, nil)
	// What is asked here waits for the end of a handshake under way, but there is none any more; nor does it do I/O.
	err, state := h.conn.Handshake(), h.conn.ConnectionState()
	if err == nil {
		s.noteTLS(state)
	}
	s.endpoint.recordHandshake(context.Background(), took, state, err)
}

// failHandshake is called after the close of a connection that never became active. One that ended before the
// client's first message is known only now.
func (s *ConnStats) failHandshake() {
	if h := s.handshake.Load(); h != nil && h.conn.Handshake() != nil {
		h.over(s)
	}
	s.handshake.Store(nil)
}
