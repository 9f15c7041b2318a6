package otelnet

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// close closes the wrapped connection, and the first time does what a connection's end asks for. The last look comes
// right before the close: what another goroutine writes between the two is lost to the kernel's count.
func (s *ConnStats) close(inner io.Closer) error {
	end, local, peer := sinceStart(), s.localAddr(), s.peerAddr()
	before, last := s.final(end)
	if before&flagClosed != 0 {
		return inner.Close()
	}
	defer s.ended(before, end, &last, local, peer)
	return inner.Close()
}

// ended records the end; before are the connection's flags until then.
func (s *ConnStats) ended(before uint32, end int64, last *lastLook, local, peer net.Addr) {
	failure := errorClass(s.failure.Load())
	switch {
	case last.reason == reasonTimeout && failure == errNone && connState(s.httpState.Load()) != stateIdle:
		// An HTTP server that tires of an idle connection ends it in order.
		failure = errTimeout
	case last.reason == reasonReset && failure == errNone:
		failure = errConnReset
	case last.reason == reasonLocal || last.reason == reasonRemote:
		failure = errNone
	}
	// The table comes before the metrics: who sees the end in the sums finds it in the table. And in this order a table that
	// is read meanwhile may find both rows, and drops one, but never misses the connection.
	registry.closed.add(&closedRow{
		snapshot: s.snapshot(end, &last.kernel),
		local:    local, peer: peer,
		reason: last.reason, failure: failure,
	})
	s.recordRTT(last.sample, end)
	s.record(end, last.reason, failure)
	s.endRole(before, end)
	untrack(s)
}

// record feeds the metrics of the connection's end.
func (s *ConnStats) record(end int64, reason closeReason, failure errorClass) {
	group := s.group()
	if group == nil {
		return
	}
	group.active.Add(-1)

	sc := s.endpoint.scope
	duration := sc.ins.serverDuration
	if s.endpoint.key.side == SideClient {
		duration = sc.ins.clientDuration
	}
	set := group.closes.get(closeKey{reason: reason, err: failure, tlsVersion: uint16(s.tlsVersion.Load())})
	sc.addSample(sample{duration, set.optionSet, time.Duration(end - s.opened).Seconds()}, end)
	if failure != errNone {
		sc.ins.connErrors.Add(context.Background(), 1, s.endpoint.errs.get(failure).add...)
	}
}

// lastLook is what was found just before the close.
type lastLook struct {
	reason closeReason
	sample rttSample
	kernel kernelView
}

// final folds for the last time and tells who ended the connection. It returns the flags until then: who closes a
// connection that is closed already has nothing to look at, but waits for the one who has, or would take the socket away.
func (s *ConnStats) final(now int64) (before uint32, l lastLook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before = s.flags.Or(flagClosed); before&flagClosed != 0 {
		return before, l
	}
	defer s.flags.Or(flagFinal)

	state := tcpinfo.State(0)
	if !s.kernelCounts() {
		s.takeCalls(now)
	}
	if s.raw != nil {
		rd := readers.Get().(*tcpinfo.Reader)
		defer readers.Put(rd)
		if rd.Read(s.raw) == nil {
			if s.kernelCounts() {
				state = rd.Info.State
				if state == tcpinfo.Closed && errorClass(s.failure.Load()) == errNone {
					// A reset that no call has met yet. It must be known before the bytes are counted.
					s.noteFailure(rd.PendingError(s.raw))
				}
				s.takeKernel(&rd.Info, now)
			}
			s.foldKernel(&rd.Info)
			l.kernel.take(&rd.Info)
			if s.endpoint.io.kernel.closes.pass(now) {
				l.sample = s.sampleRTT(&rd.Info, now, s.endpoint.scope.sampledAt.Load())
			}
		}
	}
	s.foldLocked()
	l.reason = s.closeReason(state)
	return before, l
}

// closeReason tells who ended the connection: state is the kernel's just before the close, 0 if it is not known.
func (s *ConnStats) closeReason(state tcpinfo.State) closeReason {
	flags := s.flags.Load()
	switch errorClass(s.failure.Load()) {
	case errNone:
	case errConnReset, errBrokenPipe, errConnAborted:
		return reasonReset
	case errTCPTimeout, errTimeout:
		return reasonTimeout
	default:
		return reasonError
	}
	switch {
	case flags&flagTimedOut != 0:
		return reasonTimeout
	case flags&flagCloseWrite != 0:
		return reasonLocal
	case flags&(flagEOF|flagPeerFIN) != 0:
		return reasonRemote
	case state == tcpinfo.Closed:
		// Neither side's FIN explains this state: a reset whose error a sendfile or splice has taken.
		return reasonReset
	default:
		return reasonLocal
	}
}
