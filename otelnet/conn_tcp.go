package otelnet

import (
	"io"
	"net"
	"time"
)

// tcpConn wraps a TCP connection whose bytes the kernel counts. Everything that *net.TCPConn can do stays in reach
// through the embedding, its unexported writev too.
type tcpConn struct {
	*net.TCPConn
	stats ConnStats
}

func (c *tcpConn) connStats() *ConnStats { return &c.stats }

// NetConn returns the wrapped *net.TCPConn, for callers that need the concrete type. Close the wrapper, not this.
func (c *tcpConn) NetConn() net.Conn { return c.TCPConn }

func (c *tcpConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	c.stats.readEnded(err)
	return n, err
}

func (c *tcpConn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	c.stats.writeEnded(err)
	return n, err
}

// ReadFrom keeps sendfile and splice. Package net looks for its own concrete types, so a source of ours is unwrapped.
// What the kernel does not count is counted when the transfer ends.
func (c *tcpConn) ReadFrom(r io.Reader) (int64, error) {
	src := unwrapSource(r)
	src.stats.awaitFirstByte()
	n, err := c.TCPConn.ReadFrom(src.reader)
	src.done(n, err)
	c.stats.wasWritten(n)
	if err != nil {
		noteTransfer(err, src.stats, &c.stats, src.isKernels())
	}
	return n, err
}

// WriteTo keeps splice.
func (c *tcpConn) WriteTo(w io.Writer) (int64, error) {
	dst, to := unwrapSink(w)
	c.stats.awaitFirstByte()
	n, err := c.TCPConn.WriteTo(dst)
	c.stats.wasRead(n, err == nil)
	if to != nil {
		to.wasWritten(n)
	}
	if err != nil {
		noteTransfer(err, &c.stats, to, isKernels(dst))
	}
	return n, err
}

// CloseRead makes the reads that follow end in EOF. That is not the peer's end.
func (c *tcpConn) CloseRead() error {
	c.stats.flags.Or(flagCloseRead)
	return c.TCPConn.CloseRead()
}

func (c *tcpConn) CloseWrite() error {
	c.stats.noteCloseWrite()
	return c.TCPConn.CloseWrite()
}

// Close counts the connection's end once, however often it is called.
func (c *tcpConn) Close() error { return c.stats.close(c.TCPConn) }

func (c *tcpConn) SetDeadline(t time.Time) error {
	c.stats.noteDeadline(t)
	return c.TCPConn.SetDeadline(t)
}

func (c *tcpConn) SetReadDeadline(t time.Time) error {
	c.stats.noteDeadline(t)
	return c.TCPConn.SetReadDeadline(t)
}
