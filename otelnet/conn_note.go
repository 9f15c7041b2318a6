package otelnet

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"time"
)

// afterRead and afterWrite follow the calls that failed, and those after which a flag asks for more. They stay calls
// of their own, so that the test before them is inlined into every Read and Write.
//
//go:noinline
func (s *ConnStats) afterRead(err error) {
	if op, ok := err.(*net.OpError); ok && op.Err == os.ErrDeadlineExceeded &&
		s.flags.Load()&(flagAborting|flagFinal) == flagAborting {
		return // once for each request of an HTTP/1 server; see afterWrite
	}
	if err == nil && s.flags.Load()&flagAwaits != 0 {
		s.noteFirstByte()
	}
	if err == io.EOF {
		s.noteEOF()
		err = nil
	}
	s.afterWrite(err)
}

func (s *ConnStats) noteFirstByte() {
	s.flags.And(^flagAwaits)
	s.firstByte.Store(microseconds(sinceStart() - s.opened))
}

// noteEOF follows a read that found the end of the peer's data: after our own CloseRead, or after an error that another
// call has met, that is not the peer's word.
func (s *ConnStats) noteEOF() {
	if !s.has(flagCloseRead) && errorClass(s.failure.Load()) == errNone {
		s.flags.Or(flagEOF)
	}
}

//go:noinline
func (s *ConnStats) afterWrite(err error) {
	if s.has(flagFinal) && !s.kernelCounts() {
		// The connection was closed while this call moved its bytes: nobody else will fold them in.
		s.mu.Lock()
		s.foldLocked()
		s.mu.Unlock()
	}
	switch {
	case err == nil:
		s.flags.And(^flagTimedOut)
	case s.has(flagClosed):
		// Our own close woke the call up.
	case errors.Is(err, os.ErrDeadlineExceeded):
		// An HTTP/1 server ends each of its background reads by a deadline in the past. That is no timeout.
		if !s.has(flagAborting) {
			s.flags.Or(flagTimedOut)
		}
	default:
		s.noteFailure(err)
	}
}

// noteFailure keeps the first error that ends the connection; what follows it is mostly its echo.
func (s *ConnStats) noteFailure(err error) {
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return
	}
	s.failure.CompareAndSwap(uint32(errNone), uint32(classify(err)))
}

// noteDeadline remembers whether the deadline that is set only serves to wake a call up. An HTTP/1 server calls it five
// times for each request, mostly to take a deadline back that was never there.
func (s *ConnStats) noteDeadline(t time.Time) {
	switch aborting := s.flags.Load()&flagAborting != 0; {
	case !t.IsZero() && past(t):
		s.flags.Or(flagAborting)
	case aborting:
		s.flags.And(^flagAborting)
	}
}

// past asks the clock only if t does not say so itself: what wakes a call up mostly lies at the beginning of time.
func past(t time.Time) bool { return t.Unix() < 1e9 || time.Until(t) <= 0 }

// microseconds turns nanoseconds into what fits into 32 bits, at least 1, as 0 is for what has not happened.
func microseconds(nanoseconds int64) uint32 {
	return uint32(min(max(1, nanoseconds/1000), math.MaxUint32))
}
