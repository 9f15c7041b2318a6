package otelnet

import (
	"time"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// pass is one walk over the open connections of a scope.
type pass struct {
	rd        *tcpinfo.Reader
	last, now int64 // of the sweep before and of this one
	sample    bool  // whether samples of the round-trip time are due
	sampled   int64 // when they were taken last

	clock int64 // the time, looked at once for some connections: a clock costs a virtual machine 60 ns
	seen  uint
}

// sweep brings the totals of a scope's endpoints up to what its open connections have carried, and the histograms up to
// the ends of the others.
func sweep(sc *scope) {
	p := pass{rd: readers.Get().(*tcpinfo.Reader), now: sinceStart()}
	defer readers.Put(p.rd)
	p.last = sc.sweptAt.Load()
	p.sampled = sc.sampledAt.Load()
	p.sample = time.Duration(p.now-p.sampled) >= sampleEvery && sc.sampledAt.CompareAndSwap(p.sampled, p.now)
	eachOpen(func(s *ConnStats) {
		if s.endpoint.scope == sc {
			s.sweep(&p)
		}
	})
	sc.sweptAt.Store(p.now)
	sc.samples.flush()
}

func (s *ConnStats) sweep(p *pass) {
	if p.seen%32 == 0 {
		p.clock = sinceStart()
	}
	p.seen++
	s.recordRTT(s.fold(p), p.now)
}

// fold brings the totals up to date and returns a sample if one is due.
func (s *ConnStats) fold(p *pass) (r rttSample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has(flagFinal) {
		return r
	}
	if s.look(p.rd, p.clock) {
		s.foldKernel(&p.rd.Info)
		if p.sample {
			r = s.sampleRTT(&p.rd.Info, p.now, p.sampled)
		}
	}
	s.markRates(p.last, p.now)
	s.foldLocked()
	return r
}

// look brings the connection's own counts up to date. It reports whether the kernel was asked; what it said is in rd.
// s.mu is held.
func (s *ConnStats) look(rd *tcpinfo.Reader, now int64) bool {
	if !s.kernelCounts() {
		s.takeCalls(now)
	}
	if s.raw == nil || s.has(flagFinal) || rd.Read(s.raw) != nil {
		return false
	}
	if s.kernelCounts() {
		s.takeKernel(&rd.Info, now)
	}
	return true
}

// takeCalls notes whether the wrapper's calls have moved bytes since the last look.
func (s *ConnStats) takeCalls(now int64) {
	if n := uint32(s.sent.Load() + s.received.Load()); n != s.marks.carried {
		s.marks.carried, s.moved = n, true
		s.lastActive.Store(now)
	}
}

// foldLocked adds the bytes that the totals do not hold yet. Sums only grow: a count that seems to go back adds nothing.
func (s *ConnStats) foldLocked() {
	if n := s.sent.Load(); n > s.foldedSent {
		s.endpoint.io.sent.Add(n - s.foldedSent)
		s.foldedSent = n
	}
	if n := s.received.Load(); n > s.foldedReceived {
		s.endpoint.io.received.Add(n - s.foldedReceived)
		s.foldedReceived = n
	}
}

// takeKernel copies the kernel's counts of the bytes.
func (s *ConnStats) takeKernel(info *tcpinfo.Info, now int64) {
	if info.PeerFIN() {
		s.flags.Or(flagPeerFIN)
	}
	sent, received := info.SentBytes(), info.ReceivedBytes(s.peerFIN(info.State))
	if sent >= s.foldedSent {
		s.sent.Store(sent)
	}
	if received >= s.foldedReceived {
		s.received.Store(received)
	}
	if sent > 0 || received > 0 {
		idle := info.LastReceived
		if received == 0 || (sent > 0 && info.LastSent < idle) {
			idle = info.LastSent
		}
		s.lastActive.Store(max(s.opened, now-int64(idle)))
	}
}

// peerFIN reports whether the peer's FIN has come. A closed state alone does not tell, so there what was seen on the
// way to it decides.
func (s *ConnStats) peerFIN(state tcpinfo.State) bool {
	flags := s.flags.Load()
	switch {
	case flags&(flagEOF|flagPeerFIN) != 0:
		return true
	case state != tcpinfo.Closed:
		return false
	case flags&flagCloseWrite != 0:
		// Both directions ended in order, or a reset cut it short.
		return errorClass(s.failure.Load()) == errNone
	default:
		// A reset that follows the peer's FIN reads as EPIPE, one without as ECONNRESET.
		return errorClass(s.failure.Load()) == errBrokenPipe
	}
}
