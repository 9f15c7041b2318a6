package otelnet

import (
	"io"
	"syscall"
)

// countedTCPConn wraps a TCP connection whose bytes are counted by its own calls, where the kernel cannot.
//
// net.Buffers.WriteTo reaches package net's unexported writev through the embedding and is not counted here: that
// method can be neither overridden nor hidden without losing it.
type countedTCPConn struct{ tcpConn }

func (c *countedTCPConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	c.stats.addReceived(int64(n))
	c.stats.readEnded(err)
	return n, err
}

func (c *countedTCPConn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	c.stats.addSent(int64(n))
	c.stats.writeEnded(err)
	return n, err
}

// WriteTo counts a long transfer when it ends if the kernel does the copying, else as it goes.
func (c *countedTCPConn) WriteTo(w io.Writer) (int64, error) {
	if dst, _ := unwrapSink(w); splices && isKernels(dst) {
		return c.tcpConn.WriteTo(w)
	}
	// What is read counts even if it cannot be written on.
	return io.Copy(w, readerOnly{c})
}

// SyscallConn hides that the raw connection can do more: os.File.WriteTo would send a file past the count.
func (c *countedTCPConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.TCPConn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return rawOnly{raw}, nil
}

type rawOnly struct{ syscall.RawConn }

type readerOnly struct{ io.Reader }
