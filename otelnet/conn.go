package otelnet

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// tracked is implemented by every wrapper of this package.
type tracked interface{ connStats() *ConnStats }

// counting tells how a TCP connection's bytes are counted.
type counting uint8

const (
	countBest    counting = iota // by the kernel where it can, else as countAsking
	countAsking                  // by the wrapper's own calls, and the kernel is asked for what else it knows: macOS
	countByCalls                 // by the wrapper's own calls, and the kernel is not asked
)

// wrapConn returns inner with its traffic counted for ep. A connection that is tracked already, and a *tls.Conn, come
// back as they are: net/http needs the concrete type of the latter.
//
// at is the address of the listener that accepted it, nil if it was dialled.
func wrapConn(inner net.Conn, ep *endpoint, mode counting, at net.Addr) net.Conn {
	switch c := inner.(type) {
	case tracked, *tls.Conn:
		return inner
	case *net.TCPConn:
		if c == nil {
			return inner
		}
		return wrapTCP(c, ep, mode, false)
	case *net.UnixConn:
		w := &unixConn{UnixConn: c}
		w.stats.open(ep, c)
		return w
	case *net.UDPConn:
		return wrapUDP(c, ep)
	}
	w := &streamConn{Conn: inner}
	w.stats.flags.Store(flagStrange)
	w.stats.openAs(ep, inner, kindAt(at))
	if _, ok := inner.(closeWriter); ok {
		return &halfCloseConn{streamConn: w}
	}
	return w
}

// wrapTCP chooses who counts the bytes. Where the kernel does, Read and Write stay almost as they are, and nothing
// that moves bytes past them (writev, sendfile, splice) is lost. plain tells that the connection is known to be ordinary
// TCP.
func wrapTCP(inner *net.TCPConn, ep *endpoint, mode counting, plain bool) net.Conn {
	var raw syscall.RawConn
	if mode != countByCalls {
		raw = askable(inner, plain)
	}
	if raw != nil && mode == countBest && tcpinfo.CountsBytes {
		w := &tcpConn{TCPConn: inner}
		w.stats.raw = raw
		w.stats.open(ep, inner)
		return w
	}
	w := &countedTCPConn{tcpConn{TCPConn: inner}}
	w.stats.raw, w.stats.byCalls = raw, true
	w.stats.open(ep, inner)
	return w
}

// askable returns the socket if what the kernel knows of it can be used, else nil.
func askable(c *net.TCPConn, plain bool) syscall.RawConn {
	if kernel.silent.Load() {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	if !plain && !plainTCP(raw) || !kernel.answers(raw) {
		return nil
	}
	return raw
}

func plainTCP(raw syscall.RawConn) bool {
	rd := readers.Get().(*tcpinfo.Reader)
	defer readers.Put(rd)
	return rd.PlainTCP(raw)
}

// kernel is what is known of the one this process runs on.
var kernel answering

// answering tells whether a kernel answers. Connections are asked until one gives an answer, or says that there is none to be
// had; those before it count by their calls. A sandbox may refuse the question in words of its own.
type answering struct{ tells, silent atomic.Bool }

// answers reports whether the kernel tells what it knows of this socket.
func (k *answering) answers(raw syscall.RawConn) bool {
	if k.tells.Load() {
		return true
	}
	rd := readers.Get().(*tcpinfo.Reader)
	defer readers.Put(rd)
	err := rd.ReadOnce(raw)
	switch {
	case err == nil:
		k.tells.Store(true)
	case errors.Is(err, errors.ErrUnsupported):
		k.silent.Store(true)
	}
	return err == nil
}

// open puts the connection in the table and in its endpoint's counts.
func (s *ConnStats) open(ep *endpoint, addrs addresses) {
	s.openAs(ep, addrs, kindOf(addrs.LocalAddr()))
}

func (s *ConnStats) openAs(ep *endpoint, addrs addresses, kind connKind) {
	s.endpoint, s.addrs = ep, addrs
	s.opened = sinceStart()
	s.kind = kind
	if ep.key.side == SideServer {
		s.flags.Or(flagAwaits)
	}
	if s.raw != nil {
		ep.io.kernel.known.Store(true)
	}
	group := ep.group(s.kind)
	group.opened.Add(1)
	group.active.Add(1)
	track(s)
}

// group returns the counters of connections like this one, nil for a packet socket.
func (s *ConnStats) group() *connGroup {
	if s.has(flagPacket) {
		return nil
	}
	return s.endpoint.group(s.kind)
}

// readDone and writeDone follow each call that counts bytes itself.
func (s *ConnStats) readDone(n int, err error) {
	s.addReceived(int64(n))
	s.readEnded(err)
}

func (s *ConnStats) writeDone(n int, err error) {
	s.addSent(int64(n))
	s.writeEnded(err)
}

// addReceived and addSent are small enough to be inlined, which readDone and writeDone are not: that is worth two
// nanoseconds in Read and Write.
func (s *ConnStats) addReceived(n int64) {
	if n > 0 {
		s.received.Add(uint64(n))
	}
}

func (s *ConnStats) addSent(n int64) {
	if n > 0 {
		s.sent.Add(uint64(n))
	}
}

// readEnded and writeEnded follow each call whose bytes the kernel counts. They are small enough to be inlined.
func (s *ConnStats) readEnded(err error) {
	if err != nil || s.flags.Load()&flagsSlowRead != 0 {
		s.afterRead(err)
	}
}

func (s *ConnStats) writeEnded(err error) {
	if err != nil || s.flags.Load()&flagsSlow != 0 {
		s.afterWrite(err)
	}
}

type closeWriter interface{ CloseWrite() error }

// streamConn wraps a net.Conn of any other type. That may be one of the PROXY protocol, which reads from the peer before
// it answers LocalAddr or RemoteAddr: neither Accept nor the table may wait for that, so the addresses are asked for only
// after a call of the program's own has come back.
type streamConn struct {
	net.Conn
	stats ConnStats
}

func (c *streamConn) connStats() *ConnStats { return &c.stats }

// NetConn returns the wrapped connection. What moves past the wrapper is not counted.
func (c *streamConn) NetConn() net.Conn { return c.Conn }

func (c *streamConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.stats.meet()
	c.stats.addReceived(int64(n))
	c.stats.readEnded(err)
	return n, err
}

func (c *streamConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.stats.addSent(int64(n))
	c.stats.writeEnded(err)
	return n, err
}

func (c *streamConn) LocalAddr() net.Addr {
	a := c.Conn.LocalAddr()
	c.stats.meet()
	return a
}

func (c *streamConn) RemoteAddr() net.Addr {
	a := c.Conn.RemoteAddr()
	c.stats.meet()
	return a
}

// meet tells that the connection knows its addresses.
func (s *ConnStats) meet() {
	if s.flags.Load()&flagStrange != 0 {
		s.flags.And(^flagStrange)
	}
}

func (c *streamConn) Close() error { return c.stats.close(c.Conn) }

func (c *streamConn) SetDeadline(t time.Time) error {
	c.stats.noteDeadline(t)
	return c.Conn.SetDeadline(t)
}

func (c *streamConn) SetReadDeadline(t time.Time) error {
	c.stats.noteDeadline(t)
	return c.Conn.SetReadDeadline(t)
}

// halfCloseConn is a streamConn whose inner connection can end one direction.
type halfCloseConn struct{ *streamConn }

func (c *halfCloseConn) CloseWrite() error {
	c.stats.noteCloseWrite()
	return c.Conn.(closeWriter).CloseWrite()
}

// noteCloseWrite remembers that we ended our direction, unless the peer had ended its own before.
func (s *ConnStats) noteCloseWrite() {
	if !s.has(flagEOF) {
		s.flags.Or(flagCloseWrite)
	}
}
