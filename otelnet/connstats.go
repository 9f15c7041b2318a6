package otelnet

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// ConnStats are the counts of one connection. It is part of the connection's wrapper and lives as long as that. All
// methods are safe for concurrent use, also after the close.
type ConnStats struct {
	id       uint64
	endpoint *endpoint
	group    *connGroup      // nil for packet sockets, which are no connections
	raw      syscall.RawConn // nil: bytes are counted by the wrapper's own calls
	local    net.Addr
	peer     net.Addr
	opened   int64  // nanoseconds since processStart
	slot     uint32 // in its shard, guarded by the shard's lock
	kind     connKind

	flags      atomic.Uint32 // flagXXX
	failure    atomic.Uint32 // errorClass of the first error that ended the connection
	httpState  atomic.Uint32 // connState, from the HTTP server
	protocol   atomic.Uint32 // HTTP major<<8 | minor
	tlsVersion atomic.Uint32
	inFlight   atomic.Int32
	requests   atomic.Uint64
	failed     atomic.Uint64
	route      atomic.Pointer[string]
	serving    atomic.Pointer[response] // the request that an HTTP/1 server's connection carries now
	lastActive atomic.Int64             // nanoseconds since processStart; 0 for never

	// Counted by the wrapper's calls, or the kernel's counts when they were last read.
	sent, received atomic.Uint64

	mu                         sync.Mutex // guards the rest, and the reading of raw against the close
	foldedSent, foldedReceived uint64     // what the endpoint's totals already hold
}

// Flags of a connection. All but timedOut are set once and stay.
const (
	flagClosed     uint32 = 1 << iota // Close was called
	flagFinal                         // the last fold is done; calls that were still under way fold for themselves
	flagEOF                           // a read found the peer's end of data
	flagPeerFIN                       // the kernel has seen the peer's FIN
	flagCloseWrite                    // we ended our direction first
	flagAborting                      // a read or write deadline was set in the past, to wake the call up
	flagTimedOut                      // the last read or write that ended, ended by its deadline
	flagHTTPClient                    // carries requests of an HTTP client
	flagUpgraded                      // a handler took the connection over
)

// flagsSlow are those for which a successful call has to leave its shortest path.
const flagsSlow = flagFinal | flagTimedOut

// processStart is the origin of all times kept as integers; differences are monotonic.
var processStart = time.Now()

func sinceStart() int64 { return int64(time.Since(processStart)) }

func atTime(sinceStart int64) time.Time { return processStart.Add(time.Duration(sinceStart)).Round(0) }

// ID returns the connection's number in the table, unique in the process and ascending with time.
func (s *ConnStats) ID() uint64 { return s.id }

// Opened returns when the connection was accepted or connected.
func (s *ConnStats) Opened() time.Time { return atTime(s.opened) }

// SentBytes returns how many bytes have been written to the peer, below TLS. For TCP on Linux the number comes from
// the kernel and costs a system call of about half a microsecond; elsewhere it is an atomic load.
func (s *ConnStats) SentBytes() uint64 {
	s.refresh()
	return s.sent.Load()
}

// ReceivedBytes returns how many bytes have come from the peer, below TLS. For TCP on Linux the number comes from the
// kernel, costs a system call of about half a microsecond, and includes what has not been read yet; elsewhere it is an
// atomic load.
func (s *ConnStats) ReceivedBytes() uint64 {
	s.refresh()
	return s.received.Load()
}

// Requests returns how many HTTP requests were joined to the connection, the current one included.
func (s *ConnStats) Requests() uint64 { return s.requests.Load() }

// Errors returns how many of the requests failed: a status of 500 or more, or a panic.
func (s *ConnStats) Errors() uint64 { return s.failed.Load() }

// InFlight returns how many HTTP requests the connection carries now: 0 or 1 with HTTP/1.
func (s *ConnStats) InFlight() int { return int(s.inFlight.Load() &^ inFlightClosed) }

// refresh reads the kernel's counts, if there are any.
func (s *ConnStats) refresh() {
	if s.raw == nil {
		return
	}
	rd := readers.Get().(*tcpinfo.Reader)
	s.fold(rd)
	readers.Put(rd)
}

// has reports whether all of the flags are set.
func (s *ConnStats) has(flags uint32) bool { return s.flags.Load()&flags == flags }

// fold brings the endpoint's totals up to what the connection has carried.
func (s *ConnStats) fold(rd *tcpinfo.Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw != nil && !s.has(flagFinal) && rd.Read(s.raw) == nil {
		s.takeKernel(&rd.Info)
	}
	s.foldLocked()
}

// foldLocked adds what the totals do not hold yet. Sums only grow: a count that seems to go back adds nothing.
func (s *ConnStats) foldLocked() {
	changed := false
	if n := s.sent.Load(); n > s.foldedSent {
		s.endpoint.io.sent.Add(n - s.foldedSent)
		s.foldedSent, changed = n, true
	}
	if n := s.received.Load(); n > s.foldedReceived {
		s.endpoint.io.received.Add(n - s.foldedReceived)
		s.foldedReceived, changed = n, true
	}
	if changed && s.raw == nil {
		s.lastActive.Store(sinceStart())
	}
}

// takeKernel copies the kernel's counts.
func (s *ConnStats) takeKernel(info *tcpinfo.Info) {
	if info.PeerFIN() {
		s.flags.Or(flagPeerFIN)
	}
	sent, received := info.SentBytes(), info.ReceivedBytes(s.peerFIN(info.State))
	if sent > s.foldedSent {
		s.sent.Store(sent)
	}
	if received > s.foldedReceived {
		s.received.Store(received)
	}
	if sent > 0 || received > 0 {
		idle := info.LastReceived
		if received == 0 || (sent > 0 && info.LastSent < idle) {
			idle = info.LastSent
		}
		s.lastActive.Store(max(s.opened, sinceStart()-int64(idle)))
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

// finish does once what the end of a connection asks for, before the socket is gone. It reports whether this was the
// first call.
func (s *ConnStats) finish() bool {
	before := s.flags.Or(flagClosed)
	if before&flagClosed != 0 {
		return false
	}
	end := sinceStart()
	reason := s.final()

	failure := errorClass(s.failure.Load())
	switch {
	case reason == reasonTimeout && failure == errNone && connState(s.httpState.Load()) != stateIdle:
		// An HTTP server that tires of an idle connection ends it in order.
		failure = errTimeout
	case reason == reasonReset && failure == errNone:
		failure = errConnReset
	case reason == reasonLocal || reason == reasonRemote:
		failure = errNone
	}
	s.record(end, reason, failure)
	s.endRole(before, end)
	// In this order a table that is read meanwhile may find both rows, and drops one, but never misses the connection.
	registry.closed.add(s.closedRow(end, reason, failure))
	untrack(s)
	return true
}

// final folds for the last time and tells who ended the connection.
func (s *ConnStats) final() closeReason {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flags.Or(flagFinal)

	state := tcpinfo.State(0)
	if s.raw != nil {
		rd := readers.Get().(*tcpinfo.Reader)
		defer readers.Put(rd)
		if rd.Read(s.raw) == nil {
			state = rd.Info.State
			if state == tcpinfo.Closed && errorClass(s.failure.Load()) == errNone {
				// A reset that no call has met yet. It must be known before the bytes are counted.
				s.noteFailure(rd.PendingError(s.raw))
			}
			s.takeKernel(&rd.Info)
		}
	}
	s.foldLocked()
	return s.closeReason(state)
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
