package otelnet

import (
	"net"
	"net/http"
	"sync"
)

// hiddenConn stands in a request's context for a connection inside a wrapper that does not show what it wraps, as those of
// netutil.LimitListener and cmux do not. Whether it is one of ours is found out by its addresses, at the first request: some wrappers
// know them only when the first bytes have come, and must not be asked where connections are accepted.
type hiddenConn struct {
	conn   net.Conn
	newest uint64 // ID of the newest connection when this one was accepted

	once sync.Once
	s    *ConnStats // after once; nil if it is none of ours
}

// mayHide reports whether c is a wrapper of a kind that is not known here.
func mayHide(c net.Conn) bool {
	switch c.(type) {
	case nil, *net.TCPConn, *net.UnixConn:
		return false
	default:
		return true
	}
}

func (h *hiddenConn) stats() *ConnStats {
	h.once.Do(func() {
		// It was opened a moment before it was accepted, so it is in the shard of the newest one, or in the one before.
		h.s = connByAddr(h.conn.LocalAddr(), h.conn.RemoteAddr(), h.newest, 2)
		if h.s != nil {
			h.s.flags.Or(flagHidden)
		}
		h.conn = nil
	})
	return h.s
}

// beginHidden and endHidden tell by requests what net/http tells of connections that are found when they are accepted.
func (s *ConnStats) beginHidden(r *http.Request) {
	s.httpState.Store(uint32(stateActive))
	if r.TLS != nil && s.tlsVersion.Load() == 0 {
		s.noteTLS(*r.TLS)
	}
}

func (s *ConnStats) endHidden() {
	if s.InFlight() == 0 {
		s.httpState.Store(uint32(stateIdle))
	}
}
