package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// The test counts every byte on its side of the wire, headers, TLS records and all; the service must have counted the same.
func TestBytesEqualWhatTheClientSawOnTheWire(t *testing.T) {
	p := startPipeline(t)
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})

	echo := &stack.Wire{}
	var open []net.Conn
	for i := range 8 {
		conn, err := echo.Dial(t.Context(), "tcp", demo.Echo)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		exchange(t, conn, 1+rand.IntN(300_000))
		if i%2 == 0 {
			conn.Close() // what a closed connection has carried stays in the total
		} else {
			open = append(open, conn)
		}
	}
	for _, conn := range open {
		exchange(t, conn, 1+rand.IntN(300_000))
	}

	stack.Send(t, demo.Client, demo.URL+"/api/data", 50)
	stack.Send(t, demo.Client, demo.URL+"/api/download?bytes=1234567", 3)

	secure := &stack.Wire{}
	client := secure.Client()
	t.Cleanup(client.CloseIdleConnections)
	stack.Send(t, client, demo.TLSURL+"/api/data", 50)
	stack.Send(t, client, demo.TLSURL+"/api/download?bytes=1234567", 3)

	witnesses := map[string]*stack.Wire{"echo": echo, "http": demo.Wire, "https": secure}
	stack.Until(t, 30*time.Second, "the same bytes in both stores as on the wire", func(ctx context.Context) error {
		for listener, wire := range witnesses {
			for direction, want := range map[string]int64{"receive": wire.Sent.Load(), "transmit": wire.Received.Load()} {
				if err := p.wantBytes(ctx, listener, direction, want); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// wantBytes compares one direction of one listener in both stores.
func (p *pipeline) wantBytes(ctx context.Context, listener, direction string, want int64) error {
	expr := fmt.Sprintf(`otelnet_connection_io_bytes_total{otelnet_side="server", otelnet_listener=%q, network_io_direction=%q}`, listener, direction)
	if err := wantValues(ctx, p.prometheus, map[string]float64{expr: float64(want)}); err != nil {
		return fmt.Errorf("Prometheus: %w", err)
	}
	rows, err := p.influx.Query(ctx, fmt.Sprintf(
		`SELECT last("counter") FROM "otelnet.connection.io" WHERE "otelnet.listener" = '%s' AND "network.io.direction" = '%s' GROUP BY *`, listener, direction))
	if err != nil {
		return err
	}
	if len(rows) != 1 || rows[0].Columns["last"] != float64(want) {
		return fmt.Errorf("InfluxDB: %s of listener %s is %v, want one series of %d", direction, listener, rows, want)
	}
	return nil
}

// exchange sends n random bytes and wants them back.
func exchange(t *testing.T, conn net.Conn, n int) {
	t.Helper()
	sent := make([]byte, n)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	failed := make(chan error, 1)
	go func() { // the echo stops reading while nobody reads its answers
		_, err := conn.Write(sent)
		failed <- err
	}()
	got := make([]byte, n)
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.ReadFull(conn, got); err != nil {
		t.Fatalf("echo of %d bytes: %v", n, err)
	}
	if err := <-failed; err != nil {
		t.Fatalf("echo of %d bytes: %v", n, err)
	}
	if !bytes.Equal(got, sent) {
		t.Fatalf("the echo of %d bytes is not what was sent", n)
	}
}
