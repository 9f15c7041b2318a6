package otelnet

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// wasRead and wasWritten follow a copy past the wrapper's own Read and Write.
func (s *ConnStats) wasRead(n int64, atEnd bool) {
	if !s.kernelCounts() {
		s.addReceived(n)
	}
	if atEnd {
		s.noteEOF()
	}
	s.writeEnded(nil)
}

func (s *ConnStats) wasWritten(n int64) {
	if !s.kernelCounts() {
		s.addSent(n)
	}
	s.writeEnded(nil)
}

// noteTransfer gives the error of a copy to the connection that it belongs to, if it does to any; from and to are nil
// where that end is none of ours. kernel tells that the kernel may have copied, which names neither end.
func noteTransfer(err error, from, to *ConnStats, kernel bool) {
	var op *net.OpError
	for e := err; errors.As(e, &op); e = op.Err {
		err = op
	}
	if !errors.As(err, &op) {
		return
	}
	switch op.Op {
	case "read", "write":
		switch {
		case from != nil && op.Addr == from.peerAddr():
			from.afterRead(err)
		case to != nil && op.Addr == to.peerAddr():
			to.afterWrite(err)
		}
		return
	}
	if kernel {
		blame(err, from, to)
	}
}

// blame finds out whose error it is that a splice or sendfile came back with.
func blame(err error, from, to *ConnStats) {
	switch class := classify(err); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if from.readExpired() {
			from.afterRead(err)
		} else if to != nil {
			to.afterWrite(err)
		}
	case !class.endsConnection():
		// A full disk, say.
	case class == errBrokenPipe && to != nil:
		to.afterWrite(err)
	default:
		// A socket that failed is closed.
		toClosed, toKnown := to.isDead()
		fromClosed, fromKnown := from.isDead()
		switch {
		case toClosed, to != nil && !toKnown && !fromClosed:
			to.afterWrite(err)
		case fromClosed, from != nil && !fromKnown:
			from.afterRead(err)
		}
	}
}

// endsConnection reports whether the kernel says so of a connection that is over.
func (c errorClass) endsConnection() bool {
	switch c {
	case errConnReset, errConnAborted, errBrokenPipe, errTCPTimeout, errHostUnreachable, errNetUnreachable:
		return true
	default:
		return false
	}
}

// readExpired reports whether the read deadline is over. Nil has none.
func (s *ConnStats) readExpired() bool {
	if s == nil {
		return false
	}
	c, ok := s.addrs.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	// The deadline is looked at before the function is called, and nothing is waited for after it.
	err = raw.Read(func(uintptr) bool { return true })
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// isDead asks the kernel whether a reset or a timeout has closed the socket. known is false if it does not tell.
func (s *ConnStats) isDead() (dead, known bool) {
	if s == nil || s.raw == nil {
		return false, false
	}
	rd := readers.Get().(*tcpinfo.Reader)
	defer readers.Put(rd)
	if rd.ReadOnce(s.raw) != nil {
		return false, false
	}
	return rd.Info.State == tcpinfo.Closed, rd.Info.State != 0
}
