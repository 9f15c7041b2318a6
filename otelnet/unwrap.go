package otelnet

import (
	"io"
	"net"
	"os"
	"runtime"
)

// splices tells whether package net lets the kernel copy from one socket to another. Elsewhere a source of ours stays
// wrapped, and its own Read counts.
const splices = runtime.GOOS == "linux"

// source is the reader that package net is handed instead of a wrapper of ours.
type source struct {
	reader  io.Reader
	stats   *ConnStats        // of the connection that is read, nil if it is none of ours
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

// done counts the n bytes that were copied, if the kernel does not.
func (s *source) done(n int64, err error) {
	if s.limited != nil {
		s.limited.N = s.inner.N
	}
	if s.stats == nil {
		return
	}
	atEnd := err == nil && (s.limited == nil || s.limited.N > 0)
	s.stats.wasRead(n, atEnd)
}

// isKernels reports whether the kernel may do the copying.
func (s *source) isKernels() bool {
	if s.limited != nil {
		return isKernels(s.inner.R)
	}
	if lr, ok := s.reader.(*io.LimitedReader); ok {
		return isKernels(lr.R)
	}
	return isKernels(s.reader)
}

// isKernels reports whether the kernel may copy between a TCP socket and v.
func isKernels(v any) bool {
	switch v.(type) {
	case *net.TCPConn, *net.UnixConn, *os.File:
		return true
	default:
		return false
	}
}

// unwrapSink unwraps w, and returns its stats if it is a connection of ours.
func unwrapSink(w io.Writer) (io.Writer, *ConnStats) {
	if inner, stats := unwrapStream(w); inner != nil {
		return inner.(io.Writer), stats
	}
	return w, nil
}

// unwrapStream returns the socket beneath a wrapper of ours, nil if v is none, and its stats.
func unwrapStream(v any) (net.Conn, *ConnStats) {
	if !splices {
		return nil, nil
	}
	switch c := v.(type) {
	case *tcpConn:
		return c.TCPConn, &c.stats
	case *countedTCPConn:
		return c.TCPConn, &c.stats
	case *unixConn:
		return c.UnixConn, &c.stats
	}
	return nil, nil
}
