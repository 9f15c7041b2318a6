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
	raw      syscall.RawConn // nil: the kernel is not asked
	addrs    addresses       // the wrapped connection; nil if there is none
	opened   int64           // nanoseconds since processStart
	slot     uint32          // in its shard, guarded by the shard's lock
	kind     connKind
	byCalls  bool // the wrapper's calls count the bytes, also if the kernel is asked for the rest
	moved    bool // by those calls, since the last sample of the round-trip time; guarded by mu

	flags      atomic.Uint32 // flagXXX
	failure    atomic.Uint32 // errorClass of the first error that ended the connection
	httpState  atomic.Uint32 // connState, from the HTTP server
	protocol   atomic.Uint32 // HTTP major<<8 | minor
	tlsVersion atomic.Uint32
	inFlight   atomic.Int32 // beside the one that serving is
	requests   atomic.Uint64
	failed     atomic.Uint32
	firstByte  atomic.Uint32 // microseconds from the accept to the peer's first byte, at least 1; 0 before that
	route      atomic.Pointer[string]
	serving    atomic.Pointer[response]  // the request that an HTTP/1 server's connection carries now
	lastActive atomic.Int64              // nanoseconds since processStart; 0 for never
	handshake  atomic.Pointer[handshake] // a server's TLS handshake under way

	// Counted by the wrapper's calls, or the kernel's counts when they were last read.
	sent, received atomic.Uint64

	mu                         sync.Mutex // guards the rest, and the reading of raw against the close
	foldedSent, foldedReceived uint64     // what the endpoint's totals already hold
	marks                      kernelMarks
	requestMark                uint32 // low bits of the requests at the last sweep
	rates                      rates  // of the interval before the last sweep
}

// addresses are what a connection knows of itself.
type addresses interface {
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// localAddr and peerAddr are nil where there is no address, or none that may be asked for yet.
func (s *ConnStats) localAddr() net.Addr {
	if s.addrs == nil || s.has(flagStrange) {
		return nil
	}
	return s.addrs.LocalAddr()
}

func (s *ConnStats) peerAddr() net.Addr {
	if s.addrs == nil || s.has(flagStrange) {
		return nil
	}
	return s.addrs.RemoteAddr()
}

// Flags of a connection. All but aborting, timedOut, awaits, strange and watched are set once and stay.
const (
	flagClosed     uint32 = 1 << iota // Close was called
	flagFinal                         // the last fold is done; calls that were still under way fold for themselves
	flagEOF                           // a read found the peer's end of data
	flagPeerFIN                       // the kernel has seen the peer's FIN
	flagCloseWrite                    // we ended our direction first
	flagAborting                      // a read or write deadline was set in the past, to wake the call up
	flagTimedOut                      // the last read or write that ended, ended by its deadline
	flagCloseRead                     // we ended the peer's direction for ourselves: reads end in EOF without its FIN
	flagHTTPClient                    // carries requests of an HTTP client
	flagUpgraded                      // a handler took the connection over
	flagPacket                        // a packet socket, which is no connection
	flagAwaits                        // accepted, and no byte has come yet
	flagStrange                       // another package's, which may have to read before it knows its addresses
	flagHidden                        // net/http does not know it, only a wrapper around it; see hiddenConn
	flagWatched                       // somebody asks for its requests
)

// flagsSlow are those for which a successful call has to leave its shortest path, flagsSlowRead those of a Read.
const (
	flagsSlow     = flagFinal | flagTimedOut
	flagsSlowRead = flagsSlow | flagAwaits
)

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
func (s *ConnStats) Errors() uint64 { return uint64(s.failed.Load()) }

// FirstByteWait returns how long the peer took after the accept to send its first byte: of a request, or of its TLS
// handshake. It is 0 before that byte has been read, and for connections that were dialled.
func (s *ConnStats) FirstByteWait() time.Duration {
	return time.Duration(s.firstByte.Load()) * time.Microsecond
}

// InFlight returns how many HTTP requests the connection carries now: 0 or 1 with HTTP/1.
func (s *ConnStats) InFlight() int {
	n := int(s.inFlight.Load() &^ inFlightClosed)
	if s.serving.Load() != nil {
		n++
	}
	return n
}

// kernelCounts reports whether the bytes are counted by the kernel, not by the wrapper's calls.
func (s *ConnStats) kernelCounts() bool { return s.raw != nil && !s.byCalls }

// refresh reads the kernel's counts of the bytes, if there are any.
func (s *ConnStats) refresh() {
	if !s.kernelCounts() {
		return
	}
	rd := readers.Get().(*tcpinfo.Reader)
	defer readers.Put(rd)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look(rd, sinceStart())
}

// has reports whether all of the flags are set.
func (s *ConnStats) has(flags uint32) bool { return s.flags.Load()&flags == flags }
