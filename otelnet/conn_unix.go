package otelnet

import (
	"net"
	"time"
)

// unixConn wraps a Unix socket. As with countedTCPConn, net.Buffers.WriteTo moves its bytes past the count.
type unixConn struct {
	*net.UnixConn
	stats ConnStats
}

func (c *unixConn) connStats() *ConnStats { return &c.stats }

// NetConn returns the wrapped *net.UnixConn.
func (c *unixConn) NetConn() net.Conn { return c.UnixConn }

func (c *unixConn) Read(b []byte) (int, error) {
	n, err := c.UnixConn.Read(b)
	c.stats.readDone(n, err)
	return n, err
}

func (c *unixConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.UnixConn.ReadFrom(b)
	c.stats.readDone(n, err)
	return n, addr, err
}

func (c *unixConn) ReadFromUnix(b []byte) (int, *net.UnixAddr, error) {
	n, addr, err := c.UnixConn.ReadFromUnix(b)
	c.stats.readDone(n, err)
	return n, addr, err
}

func (c *unixConn) ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	n, oobn, flags, addr, err = c.UnixConn.ReadMsgUnix(b, oob)
	c.stats.readDone(n, err)
	return n, oobn, flags, addr, err
}

func (c *unixConn) Write(b []byte) (int, error) {
	n, err := c.UnixConn.Write(b)
	c.stats.writeDone(n, err)
	return n, err
}

func (c *unixConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	n, err := c.UnixConn.WriteTo(b, addr)
	c.stats.writeDone(n, err)
	return n, err
}

func (c *unixConn) WriteToUnix(b []byte, addr *net.UnixAddr) (int, error) {
	n, err := c.UnixConn.WriteToUnix(b, addr)
	c.stats.writeDone(n, err)
	return n, err
}

func (c *unixConn) WriteMsgUnix(b, oob []byte, addr *net.UnixAddr) (n, oobn int, err error) {
	n, oobn, err = c.UnixConn.WriteMsgUnix(b, oob, addr)
	c.stats.writeDone(n, err)
	return n, oobn, err
}

// CloseRead makes the reads that follow end in EOF. That is not the peer's end.
func (c *unixConn) CloseRead() error {
	c.stats.flags.Or(flagCloseRead)
	return c.UnixConn.CloseRead()
}

func (c *unixConn) CloseWrite() error {
	c.stats.noteCloseWrite()
	return c.UnixConn.CloseWrite()
}

// Close counts the connection's end once.
func (c *unixConn) Close() error { return c.stats.close(c.UnixConn) }

func (c *unixConn) SetDeadline(t time.Time) error {
	c.stats.noteDeadline(t)
	return c.UnixConn.SetDeadline(t)
}

func (c *unixConn) SetReadDeadline(t time.Time) error {
	c.stats.noteDeadline(t)
	return c.UnixConn.SetReadDeadline(t)
}
