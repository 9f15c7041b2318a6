package otelnet

import (
	"io"
	"net"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

var (
	transmit = attribute.String("network.io.direction", "transmit")
	receive  = attribute.String("network.io.direction", "receive")
)

// modes are the two ways of counting TCP. On a platform without kernel counts both are the same.
var modes = map[string]counting{"best": countBest, "calls": countByCalls}

func setMode(ln net.Listener, m counting) { ln.(*tcpListener).mode = m }

func TestBytesAreThoseThePeerSaw(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			ln := listen(t, m.option(), WithName("front"))
			setMode(ln, mode)
			server, client := pair(t, ln)

			mustWrite(t, client, 1000)
			mustRead(t, server, 1000)
			mustWrite(t, server, 70_000)
			mustRead(t, client, 70_000)

			stats := statsOf(server)
			if got := stats.SentBytes(); got != 70_000 {
				t.Errorf("sent while open: got %d, want 70000", got)
			}
			if got := stats.ReceivedBytes(); got != 1000 {
				t.Errorf("received while open: got %d, want 1000", got)
			}
			listener := attribute.String("otelnet.listener", "front")
			if got := m.sum(metricIO, transmit, listener); got != 70_000 {
				t.Errorf("%s transmit while open: got %d, want 70000", metricIO, got)
			}
			if got := m.sum(metricServerActive); got != 1 {
				t.Errorf("active: got %d, want 1", got)
			}

			client.Close()
			if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("read after the peer's close: got %d, %v, want 0, EOF", n, err)
			}
			server.Close()
			server.Close()
			if got := m.sum(metricIO, transmit, listener); got != 70_000 {
				t.Errorf("%s transmit after close: got %d, want 70000", metricIO, got)
			}
			if got := m.sum(metricIO, receive, listener); got != 1000 {
				t.Errorf("%s receive after close: got %d, want 1000", metricIO, got)
			}
			if got := m.sum(metricServerActive); got != 0 {
				t.Errorf("active after close: got %d, want 0", got)
			}
			if got := m.sum(metricServerConnections); got != 1 {
				t.Errorf("connections: got %d, want 1", got)
			}
			if got := m.sum(metricServerDuration, attribute.String("otelnet.close_reason", "remote")); got != 1 {
				t.Errorf("durations with reason remote: got %d, want 1 of %v", got, m.attrSets(metricServerDuration))
			}
		})
	}
}
