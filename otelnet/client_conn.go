package otelnet

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// inFlightClosed is set in ConnStats.inFlight once the connection was closed: whoever changes the number sees in the
// same step whether the connection still counts.
const inFlightClosed = 1 << 30

// httpConns counts the connections of a target that carry HTTP requests of ours: http.client.open_connections.
type httpConns struct {
	open, active         atomic.Int64
	idleOpts, activeOpts []metric.ObserveOption
	closes               optionCache[uint32] // of http.client.connection.duration, by protocol version
}

// httpConns returns the counters of a dialled endpoint, made at first use.
func (ep *endpoint) httpConns() *httpConns {
	if h := ep.http.Load(); h != nil {
		return h
	}
	h := &httpConns{
		idleOpts:   newOptionSet(join(ep.attrs, semconv.HTTPConnectionStateIdle)...).observe,
		activeOpts: newOptionSet(join(ep.attrs, semconv.HTTPConnectionStateActive)...).observe,
	}
	h.closes.build = func(version uint32) []attribute.KeyValue {
		if version == 0 {
			return join(ep.attrs)
		}
		return join(ep.attrs, semconv.NetworkProtocolVersion(protocolVersion(uint8(version>>8), uint8(version))))
	}
	if ep.http.CompareAndSwap(nil, h) {
		return h
	}
	return ep.http.Load()
}

func (h *httpConns) observe(o metric.Observer, instrument metric.Int64ObservableUpDownCounter) {
	active := max(0, h.active.Load()) // a close may be a step ahead of the request that it ends
	o.ObserveInt64(instrument, active, h.activeOpts...)
	o.ObserveInt64(instrument, max(0, h.open.Load()-active), h.idleOpts...)
}

// carryHTTP makes the connection one of an HTTP client's, idle at first. It is called when a request dials, or at the
// latest when a request is given the connection.
func (s *ConnStats) carryHTTP() {
	if s.has(flagHTTPClient) {
		return
	}
	h := s.endpoint.httpConns()
	// One that is closed already has had its end, and one that is marked now will have it.
	if old := s.flags.Or(flagHTTPClient); old&(flagHTTPClient|flagClosed) == 0 {
		h.open.Add(1)
	}
}

// acquire joins a request to a dialled connection. It is false if that was closed already.
func (s *ConnStats) acquire(c net.Conn) bool {
	s.carryHTTP()
	n := s.inFlight.Add(1)
	if n&inFlightClosed != 0 {
		s.inFlight.Add(-1)
		return false
	}
	if n == 1 {
		s.endpoint.httpConns().active.Add(1)
	}
	s.requests.Add(1)
	if tc, ok := c.(*tls.Conn); ok && s.tlsVersion.Load() == 0 {
		s.tlsVersion.Store(uint32(tc.ConnectionState().Version))
	}
	return true
}

// release ends a request that acquire joined.
func (s *ConnStats) release(failed bool) {
	if failed {
		s.failed.Add(1)
	}
	n := s.inFlight.Add(-1)
	switch {
	case n == 0:
		s.endpoint.httpConns().active.Add(-1)
	case n&inFlightClosed != 0 && failed:
		// net/http closes a connection before it says what became of the request.
		registry.closed.noteErrors(s.id, s.failed.Load())
	}
}

// noteErrors brings the row of a closed connection up to date, if it is still there.
func (r *closedRing) noteErrors(id uint64, errors uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.rows {
		if r.rows[i].id == id {
			r.rows[i].errors = max(r.rows[i].errors, errors)
		}
	}
}

// endHTTP follows the close of a connection that carried HTTP requests of ours.
func (s *ConnStats) endHTTP(end int64) {
	h := s.endpoint.httpConns()
	if s.inFlight.Or(inFlightClosed)&^inFlightClosed > 0 {
		h.active.Add(-1)
	}
	h.open.Add(-1)
	took := time.Duration(end - s.opened).Seconds()
	s.endpoint.scope.ins.httpClientConnDuration.Record(context.Background(), took, h.closes.get(s.protocol.Load()).record...)
}

// noteProtocol keeps the HTTP version of a response.
func (s *ConnStats) noteProtocol(major, minor uint8) {
	if version := uint32(major)<<8 | uint32(minor); version != 0 && s.protocol.Load() != version {
		s.protocol.Store(version)
	}
}

// clientState is the table's word for a connection of an HTTP client.
func (s *ConnStats) clientState() string {
	if s.InFlight() > 0 {
		return "active"
	}
	return "idle"
}
