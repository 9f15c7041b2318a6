//go:build linux && !386 && !s390x

package otelnet

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// What macOS always does: the calls count the bytes, and the kernel tells the rest.
func TestKernelIsAskedBesideTheCalls(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option(), WithName("front"))
	ln.(*tcpListener).mode = countAsking
	server, client := pair(t, ln)
	stats := statsOf(server)
	mustWrite(t, server, 10)
	mustRead(t, client, 10)
	mustWrite(t, client, 7) // carries the acknowledgement
	mustRead(t, server, 7)
	mustWrite(t, server.(*countedTCPConn).TCPConn, 500) // past the calls, where only the kernel sees it
	mustRead(t, client, 500)
	mustWrite(t, client, 3)
	mustRead(t, server, 3)
	m.wantIO(10, 10)
	if sent, received := stats.SentBytes(), stats.ReceivedBytes(); sent != 10 || received != 10 {
		t.Errorf("stats: got %d sent, %d received, want the calls' 10 and 10", sent, received)
	}

	front, peer := attribute.String("otelnet.listener", "front"), client.LocalAddr().String()
	var out, in, again int64
	var row ConnInfo
	measure := func() {
		out, in, again = m.sum(metricSegments, front, transmit), m.sum(metricSegments, front, receive), m.sum(metricRetransmits, front)
		row = rowOf(t, stats.ID(), Filter{Match: peer})
	}
	witness(t, stats, measure, func(i tcpinfo.Info) {
		if out != int64(i.SegmentsOut) || in != int64(i.SegmentsIn) || again != int64(i.Retransmits) || in == 0 {
			t.Errorf("segments: got %d, %d, %d again, the kernel says %d, %d, %d", out, in, again, i.SegmentsOut, i.SegmentsIn, i.Retransmits)
		}
		if row.RTTSeconds != i.RTT.Seconds() || i.RTT == 0 || row.SentBytes != 10 {
			t.Errorf("row: got rtt %v s, %d sent, want %v, 10", row.RTTSeconds, row.SentBytes, i.RTT)
		}
	})
	server.Close()
	if got := m.sum(metricSegments, front, transmit); got < out {
		t.Errorf("segments after the close: got %d, want %d at least", got, out)
	}
	if row := rowOf(t, stats.ID(), Filter{Match: peer, State: "closed"}); row.RTTSeconds == 0 {
		t.Errorf("the closed row has no rtt: %+v", row)
	}
	m.wantEnd("local", "")
}

// rowOf returns the row of one connection: others may have had the same port before.
func rowOf(t *testing.T, id uint64, f Filter) ConnInfo {
	t.Helper()
	rows := Connections(f)
	i := slices.IndexFunc(rows, func(r ConnInfo) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("connection %d is not among %+v", id, rows)
	}
	return rows[i]
}

func TestRoundTripTimesAreSampledBesideTheCalls(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option(), WithName("front"))
	ln.(*tcpListener).mode = countAsking
	server, client := pair(t, ln)
	want := func(when string, want int64) {
		t.Helper()
		if got := m.sum(metricRTT, attribute.String("otelnet.listener", "front")); got != want {
			t.Errorf("%s: got %d samples, want %d", when, got, want)
		}
	}
	echo := func() {
		mustWrite(t, server, 10)
		mustRead(t, client, 10)
		mustWrite(t, client, 10)
		mustRead(t, server, 10)
	}
	echo()
	due(m)
	want("used", 1)
	due(m)
	want("idle since", 1)
	echo()
	want("used, and none is due", 1)
	due(m)
	want("used, and one is due", 2)
	server.Close()
	want("closed, idle since", 2)
}
