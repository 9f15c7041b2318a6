package otelnet

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// kernelTotals are what the kernel counted beside the bytes, over all connections with one otelnet.listener or
// otelnet.target, closed ones included.
type kernelTotals struct {
	known                                atomic.Bool // the kernel told of at least one connection
	retransmits, segmentsOut, segmentsIn atomic.Uint64
	busy, rwndLimited, sndbufLimited     atomic.Int64 // nanoseconds
	opts                                 *optionSet
	closes                               thinner // of the samples at a close
}

// observeKernel tells nothing where the kernel tells nothing: a zero would say that there are no retransmits.
func (t *ioTotals) observeKernel(o metric.Observer, ins *instruments) {
	k := &t.kernel
	if !k.known.Load() {
		return
	}
	o.ObserveInt64(ins.retransmits, int64(k.retransmits.Load()), k.opts.observe...)
	o.ObserveInt64(ins.segments, int64(k.segmentsOut.Load()), t.sentOpts...)
	o.ObserveInt64(ins.segments, int64(k.segmentsIn.Load()), t.receivedOpts...)
	if !tcpinfo.TellsTimes {
		return
	}
	o.ObserveFloat64(ins.busyTime, time.Duration(k.busy.Load()).Seconds(), k.opts.observe...)
	o.ObserveFloat64(ins.rwndLimited, time.Duration(k.rwndLimited.Load()).Seconds(), k.opts.observe...)
	o.ObserveFloat64(ins.sndbufLimited, time.Duration(k.sndbufLimited.Load()).Seconds(), k.opts.observe...)
}

// kernelMarks are what the totals already hold of one connection. The segment counts wrap around as the kernel's own do.
type kernelMarks struct {
	retransmits, segmentsOut, segmentsIn uint32

	carried                          uint32 // low bits of the bytes when they were last looked at, where the calls count them
	busy, rwndLimited, sndbufLimited time.Duration
}

// foldKernel adds what the totals do not hold yet.
func (s *ConnStats) foldKernel(info *tcpinfo.Info) {
	k, m := &s.endpoint.io.kernel, &s.marks
	if n := info.Retransmits - m.retransmits; n != 0 {
		k.retransmits.Add(uint64(n))
		m.retransmits = info.Retransmits
	}
	if n := info.SegmentsOut - m.segmentsOut; n != 0 {
		k.segmentsOut.Add(uint64(n))
		m.segmentsOut = info.SegmentsOut
	}
	if n := info.SegmentsIn - m.segmentsIn; n != 0 {
		k.segmentsIn.Add(uint64(n))
		m.segmentsIn = info.SegmentsIn
	}
	foldTime(&k.busy, &m.busy, info.BusyTime)
	foldTime(&k.rwndLimited, &m.rwndLimited, info.RwndLimited)
	foldTime(&k.sndbufLimited, &m.sndbufLimited, info.SndbufLimited)
}

func foldTime(total *atomic.Int64, mark *time.Duration, now time.Duration) {
	if now > *mark {
		total.Add(int64(now - *mark))
		*mark = now
	}
}

// sampleEvery is how far apart the samples of one open connection's round-trip time are, at least. Collecting more
// often, as the agent does while someone looks, must not make long connections count for more.
const sampleEvery = 10 * time.Second

// rttSample is a connection's round-trip time, zero if there is nothing to tell.
type rttSample struct{ smoothed, least time.Duration }

// sampleRTT returns a sample if the peer has been heard of since the last one was due, or where the calls count, if they
// have moved bytes since. A connection that has been idle knows no more than it did then.
func (s *ConnStats) sampleRTT(info *tcpinfo.Info, now, since int64) rttSample {
	if info.RTT == 0 {
		return rttSample{}
	}
	news := int64(info.LastAck) <= now-max(since, s.opened)
	if s.byCalls {
		news, s.moved = s.moved, false
	}
	if !news {
		return rttSample{}
	}
	return rttSample{smoothed: info.RTT, least: info.MinRTT}
}

// recordRTT must be called without a lock: the SDK runs code of others.
func (s *ConnStats) recordRTT(r rttSample, now int64) {
	if r.smoothed == 0 {
		return
	}
	sc, opts := s.endpoint.scope, s.endpoint.io.kernel.opts
	sc.addSample(sample{sc.ins.rtt, opts, r.smoothed.Seconds()}, now)
	if r.least != 0 {
		sc.addSample(sample{sc.ins.minRTT, opts, r.least.Seconds()}, now)
	}
}
