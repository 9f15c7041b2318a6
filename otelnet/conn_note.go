package otelnet

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// afterIO is called when a read or write was successful but a flag asks for more. It is off the shortest path.
func (s *ConnStats) afterIO() {
	s.flags.And(^flagTimedOut)
	if s.has(flagFinal) && s.raw == nil {
		// The connection was closed while this call moved its bytes: nobody else will fold them in.
		s.mu.Lock()
		s.foldLocked()
		s.mu.Unlock()
	}
}

// noteRead looks at the error of a read, noteWrite at that of a write.
func (s *ConnStats) noteRead(err error) {
	if err == io.EOF {
		s.flags.Or(flagEOF)
		s.flags.And(^flagTimedOut)
		return
	}
	s.noteWrite(err)
}

func (s *ConnStats) noteWrite(err error) {
	if s.has(flagClosed) {
		return // our own close woke the call up
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// An HTTP/1 server ends each of its background reads by a deadline in the past. That is no timeout.
		if !s.has(flagAborting) {
			s.flags.Or(flagTimedOut)
		}
		return
	}
	s.noteFailure(err)
}

// noteFailure keeps the first error that ends the connection; what follows it is mostly its echo.
func (s *ConnStats) noteFailure(err error) {
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return
	}
	s.failure.CompareAndSwap(uint32(errNone), uint32(classify(err)))
}

// noteTransfer looks at the error of a ReadFrom or WriteTo, which may belong to the other end of the copy: only an
// error that names our peer is ours.
func (s *ConnStats) noteTransfer(err error) {
	var op *net.OpError
	for e := err; errors.As(e, &op); e = op.Err {
		err = op
	}
	if op = nil; errors.As(err, &op) && op.Addr == s.peer {
		s.noteWrite(err)
	}
}

// noteDeadline remembers whether the deadline that is set only serves to wake a call up.
func (s *ConnStats) noteDeadline(t time.Time) {
	if !t.IsZero() && time.Until(t) <= 0 {
		s.flags.Or(flagAborting)
	} else {
		s.flags.And(^flagAborting)
	}
}
