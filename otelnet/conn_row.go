package otelnet

import (
	"context"
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

// closedRow is what the table keeps of a closed connection. The addresses become text only when someone looks.
type closedRow struct {
	info        ConnInfo
	local, peer net.Addr
}

// record feeds the metrics of the connection's end.
func (s *ConnStats) record(end int64, reason closeReason, failure errorClass) {
	group := s.group()
	if group == nil {
		return
	}
	group.active.Add(-1)

	ins := s.endpoint.scope.ins
	duration := ins.serverDuration
	if s.endpoint.key.side == SideClient {
		duration = ins.clientDuration
	}
	set := group.closes.get(closeKey{reason: reason, err: failure, tlsVersion: uint16(s.tlsVersion.Load())})
	ctx := context.Background()
	duration.Record(ctx, time.Duration(end-s.opened).Seconds(), set.record...)
	if failure != errNone {
		ins.connErrors.Add(ctx, 1, s.endpoint.errs.get(failure).add...)
	}
}

// kernelView is what a row shows of the kernel's last answer.
type kernelView struct {
	rtt, minRTT time.Duration
	retransmits uint32
	unsent      uint64
}

func (v *kernelView) take(info *tcpinfo.Info) {
	v.rtt, v.minRTT = info.RTT, info.MinRTT
	v.retransmits, v.unsent = info.Retransmits, info.NotSentBytes
}

// row asks the kernel, if it counts, and returns the row of an open connection, addresses and unread bytes left out.
func (s *ConnStats) row(rd *tcpinfo.Reader, now int64) ConnInfo {
	var v kernelView
	s.mu.Lock()
	if s.look(rd) {
		v.take(&rd.Info)
	}
	r := s.currentRates(now)
	s.mu.Unlock()

	row := s.info(now, &v)
	row.ReceiveRate, row.SendRate, row.RequestRate = float64(r.received), float64(r.sent), float64(r.requests)
	return row
}

// info returns the row of the connection at a time, without asking for anything.
func (s *ConnStats) info(now int64, v *kernelView) ConnInfo {
	row := ConnInfo{
		ID:            s.id,
		Side:          s.endpoint.key.side,
		Name:          s.endpoint.key.name,
		Transport:     s.kind.transport(),
		State:         s.state(),
		Opened:        s.Opened(),
		ReceivedBytes: s.received.Load(),
		SentBytes:     s.sent.Load(),
		Requests:      s.requests.Load(),
		Errors:        s.Errors(),
		Protocol:      protocolName(s.protocol.Load()),
		TLSVersion:    tlsVersionName(uint16(s.tlsVersion.Load())),
		AgeSeconds:    time.Duration(now - s.opened).Seconds(),
		RTTSeconds:    v.rtt.Seconds(),
		MinRTTSeconds: v.minRTT.Seconds(),
		Retransmits:   uint64(v.retransmits),
		UnsentBytes:   v.unsent,
	}
	active := s.opened
	if at := s.lastActive.Load(); at != 0 {
		row.LastActive, active = atTime(at), at
	}
	row.IdleSeconds = max(0, time.Duration(now-active).Seconds())
	if route := s.route.Load(); route != nil {
		row.Route = *route
	}
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

func (s *ConnStats) closedRow(end int64, last *lastLook, failure errorClass) closedRow {
	row := closedRow{info: s.info(end, &last.kernel)}
	row.info.State = "closed"
	row.info.Closed = atTime(end)
	row.info.CloseReason = last.reason.String()
	row.info.ErrorType = failure.String()
	return row
}

func protocolName(version uint32) string {
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
