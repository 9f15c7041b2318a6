package otelnet

import (
	"io"
	"net"
)

// source is the reader that package net is handed instead of a wrapper of ours.
type source struct {
	reader  io.Reader
	stats   *ConnStats        // whose bytes the copy takes, if they have to be counted here
	limited *io.LimitedReader // the caller's, whose N has to be kept
	inner   *io.LimitedReader
}

// unwrapSource unwraps r, also inside the LimitedReader that io.CopyN makes. Package net chooses splice by the concrete
// type.
func unwrapSource(r io.Reader) source {
	if lr, ok := r.(*io.LimitedReader); ok {
		if inner, stats := unwrapStream(lr.R); inner != nil {
			limited := &io.LimitedReader{R: inner.(io.Reader), N: lr.N}
			return source{reader: limited, stats: stats, limited: lr, inner: limited}
		}
		return source{reader: r}
	}
	if inner, stats := unwrapStream(r); inner != nil {
		return source{reader: inner.(io.Reader), stats: stats}
	}
	return source{reader: r}
}

// done counts the n bytes that were copied.
func (s *source) done(n int64) {
	if s.limited != nil {
		s.limited.N = s.inner.N
	}
	if s.stats != nil {
		s.stats.readDone(int(n), nil)
	}
}

// unwrapSink unwraps w, and returns whose bytes have to be counted here, if any.
func unwrapSink(w io.Writer) (io.Writer, *ConnStats) {
	if inner, stats := unwrapStream(w); inner != nil {
		return inner.(io.Writer), stats
	}
	return w, nil
}

// unwrapStream returns the socket beneath a wrapper of ours, nil if v is none, and its stats unless the kernel counts.
func unwrapStream(v any) (net.Conn, *ConnStats) {
	switch c := v.(type) {
	case *tcpConn:
		return c.TCPConn, nil
	case *countedTCPConn:
		return c.TCPConn, &c.stats
	case *unixConn:
		return c.UnixConn, &c.stats
	}
	return nil, nil
}
