package otelnet

import (
	"net"
	"strconv"
	"time"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// connState is the HTTP server's view of a connection.
type connState uint32

const (
	stateUnknown connState = iota // no HTTP server told
	stateNew
	stateActive
	stateIdle
)

// kernelView is what a row shows of the kernel's last answer.
type kernelView struct {
	rtt, minRTT time.Duration
	unsent      uint64
	retransmits uint32
}

func (v *kernelView) take(info *tcpinfo.Info) {
	v.rtt, v.minRTT = info.RTT, info.MinRTT
	v.retransmits, v.unsent = info.Retransmits, info.NotSentBytes
}

// snapshot is a connection at one moment, as it keeps itself: what reads it wants turned into text and times later, if
// somebody looks.
type snapshot struct {
	id         uint64
	endpoint   *endpoint
	route      *string
	opened, at int64 // nanoseconds since processStart
	lastActive int64 // likewise; 0 for never
	received   uint64
	sent       uint64
	requests   uint64
	errors     uint32
	firstByte  uint32 // microseconds
	tlsVersion uint16
	protocol   uint16
	kind       connKind
	kernel     kernelView
}

// snapshot copies the connection without asking for anything.
func (s *ConnStats) snapshot(at int64, v *kernelView) snapshot {
	return snapshot{
		id:         s.id,
		endpoint:   s.endpoint,
		route:      s.route.Load(),
		opened:     s.opened,
		at:         at,
		lastActive: s.lastActive.Load(),
		received:   s.received.Load(),
		sent:       s.sent.Load(),
		requests:   s.requests.Load(),
		errors:     s.failed.Load(),
		firstByte:  s.firstByte.Load(),
		tlsVersion: uint16(s.tlsVersion.Load()),
		protocol:   uint16(s.protocol.Load()),
		kind:       s.kind,
		kernel:     *v,
	}
}

// info returns the row, state, addresses and rates left out.
func (s *snapshot) info() ConnInfo {
	row := ConnInfo{
		ID:            s.id,
		Side:          s.endpoint.key.side,
		Name:          s.endpoint.key.name,
		Transport:     s.kind.transport(),
		Opened:        atTime(s.opened),
		ReceivedBytes: s.received,
		SentBytes:     s.sent,
		Requests:      s.requests,
		Errors:        uint64(s.errors),
		Protocol:      protocolName(s.protocol),
		TLSVersion:    tlsVersionName(s.tlsVersion),
		AgeSeconds:    time.Duration(s.at - s.opened).Seconds(),
		RTTSeconds:    s.kernel.rtt.Seconds(),
		MinRTTSeconds: s.kernel.minRTT.Seconds(),
		Retransmits:   uint64(s.kernel.retransmits),
		UnsentBytes:   s.kernel.unsent,
	}
	row.FirstByteSeconds = (time.Duration(s.firstByte) * time.Microsecond).Seconds()
	active := s.opened
	if s.lastActive != 0 {
		row.LastActive, active = atTime(s.lastActive), s.lastActive
	}
	row.IdleSeconds = max(0, time.Duration(s.at-active).Seconds())
	if s.route != nil {
		row.Route = *s.route
	}
	return row
}

// row asks the kernel, if it tells, and returns the row of an open connection, addresses and unread bytes left out.
func (s *ConnStats) row(rd *tcpinfo.Reader, now int64) ConnInfo {
	var v kernelView
	s.mu.Lock()
	if s.look(rd, now) {
		v.take(&rd.Info)
	}
	r := s.currentRates(now)
	s.mu.Unlock()

	snap := s.snapshot(now, &v)
	row := snap.info()
	row.State = s.state()
	row.ReceiveRate, row.SendRate, row.RequestRate = float64(r.received), float64(r.sent), float64(r.requests)
	return row
}

// closedRow is what the table keeps of a closed connection.
type closedRow struct {
	snapshot
	local, peer net.Addr
	reason      closeReason
	failure     errorClass
}

// info returns the row, addresses left out.
func (r *closedRow) info() ConnInfo {
	row := r.snapshot.info()
	row.State = "closed"
	row.Closed = atTime(r.at)
	row.CloseReason = r.reason.String()
	row.ErrorType = r.failure.String()
	return row
}

// state tells what the HTTP server says, and without one whether the connection has carried anything.
func (s *ConnStats) state() string {
	if s.has(flagHTTPClient) {
		return s.clientState()
	}
	switch connState(s.httpState.Load()) {
	case stateNew:
		return "new"
	case stateActive:
		return "active"
	case stateIdle:
		return "idle"
	}
	if s.lastActive.Load() == 0 {
		return "new"
	}
	return "active"
}

func protocolName(version uint16) string {
	switch version {
	case 0:
		return ""
	case 1<<8 | 1:
		return "HTTP/1.1"
	case 2 << 8:
		return "HTTP/2.0"
	default:
		return "HTTP/" + strconv.Itoa(int(version>>8)) + "." + strconv.Itoa(int(version&0xff))
	}
}

func addrString(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}
