package otelnet

import (
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// Names of what the kernel tells, and of TLS handshakes.
const (
	metricRTT               = "otelnet.tcp.rtt"
	metricMinRTT            = "otelnet.tcp.min_rtt"
	metricRetransmits       = "otelnet.tcp.retransmits"
	metricSegments          = "otelnet.tcp.segments"
	metricBusyTime          = "otelnet.tcp.busy_time"
	metricRwndLimitedTime   = "otelnet.tcp.rwnd_limited_time"
	metricSndbufLimitedTime = "otelnet.tcp.sndbuf_limited_time"

	metricQueueWait   = "otelnet.server.accept_queue.wait"
	metricQueueLength = "otelnet.server.accept_queue.length"
	metricQueueLimit  = "otelnet.server.accept_queue.limit"

	metricServerHandshake = "otelnet.server.tls.handshake.duration"
	metricClientHandshake = "otelnet.client.tls.handshake.duration"
)

const unitSegment = "{segment}"

// rttBounds reach from loopback to a satellite and a bad radio.
var rttBounds = []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

// waitBounds begin with the kernel's clock tick, below which a wait cannot be told from none.
var waitBounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// kernelInstruments are fed from what the kernel knows of sockets, and from TLS handshakes.
type kernelInstruments struct {
	rtt, minRTT, queueWait           metric.Float64Histogram
	serverHandshake, clientHandshake metric.Float64Histogram

	// Read from the registry when a reader collects.
	retransmits, segments                metric.Int64ObservableCounter
	busyTime, rwndLimited, sndbufLimited metric.Float64ObservableCounter
	queueLength, queueLimit              metric.Int64ObservableGauge
}

func newKernelInstruments(b *builder) kernelInstruments {
	return kernelInstruments{
		rtt:           b.seconds(metricRTT, "Smoothed round-trip times of TCP connections, sampled while they are used and at their close.", rttBounds),
		minRTT:        b.seconds(metricMinRTT, "Shortest recent round-trip times of TCP connections, sampled with otelnet.tcp.rtt.", rttBounds),
		retransmits:   b.observableCounter(metricRetransmits, unitSegment, "TCP segments sent again."),
		segments:      b.observableCounter(metricSegments, unitSegment, "TCP segments sent, those sent again included, and received."),
		busyTime:      b.observableSeconds(metricBusyTime, "Time in which TCP connections had data to send or not yet acknowledged."),
		rwndLimited:   b.observableSeconds(metricRwndLimitedTime, "Time in which the peer's receive window held data back."),
		sndbufLimited: b.observableSeconds(metricSndbufLimitedTime, "Time in which the send buffer held data back."),

		serverHandshake: b.seconds(metricServerHandshake, "How long TLS handshakes of accepted connections took, from the accept.", connectBounds),
		clientHandshake: b.seconds(metricClientHandshake, "How long TLS handshakes of dialled connections took.", connectBounds),

		queueWait:   b.seconds(metricQueueWait, "How long connections waited to be accepted, from the end of TCP's handshake.", waitBounds),
		queueLength: b.observableGauge(metricQueueLength, unitConnection, "Connections that wait to be accepted."),
		queueLimit:  b.observableGauge(metricQueueLimit, unitConnection, "How many connections may wait to be accepted."),
	}
}

// observables are those that the scope's callback observes.
func (k *kernelInstruments) observables() []metric.Observable {
	return []metric.Observable{
		k.retransmits, k.segments, k.busyTime, k.rwndLimited, k.sndbufLimited, k.queueLength, k.queueLimit,
	}
}

func (b *builder) observableSeconds(name, desc string) metric.Float64ObservableCounter {
	c, err := b.meter.Float64ObservableCounter(name, metric.WithUnit(unitSecond), metric.WithDescription(desc))
	return orNoop[metric.Float64ObservableCounter](b, c, err, noop.Float64ObservableCounter{})
}

func (b *builder) observableGauge(name, unit, desc string) metric.Int64ObservableGauge {
	g, err := b.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(desc))
	return orNoop[metric.Int64ObservableGauge](b, g, err, noop.Int64ObservableGauge{})
}
