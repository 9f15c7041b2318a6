package stack

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// Wire counts what a client's own sockets carried, as the witness of what a server says it carried.
type Wire struct {
	Sent     atomic.Int64 // bytes written and accepted by the kernel
	Received atomic.Int64 // bytes read
}

// Dial opens a connection whose bytes are counted.
func (w *Wire) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn, wire: w}, nil
}

// Client returns an HTTP client whose connections are counted, below TLS where there is TLS. It trusts every server, for the
// demo service makes its own certificate, and uses HTTP/2 where that is offered.
func (w *Wire) Client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         w.Dial,
			MaxIdleConnsPerHost: 8,
			ForceAttemptHTTP2:   true,
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		},
		Timeout: 10 * time.Second,
	}
}

type countedConn struct {
	net.Conn
	wire *Wire
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.Received.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.wire.Sent.Add(int64(n))
	return n, err
}

// Send makes n GET requests, one after the other, and fails the test unless all are answered as a whole.
func Send(tb testing.TB, client *http.Client, url string, n int) {
	tb.Helper()
	for i := range n {
		if err := get(tb.Context(), client, url); err != nil {
			tb.Fatalf("request %d of %d: %v", i+1, n, err)
		}
	}
}

// get makes one request and reads the whole answer, whatever its status.
func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("GET %s: body: %w", url, err)
	}
	return nil
}

// Traffic sends requests until it is stopped.
type Traffic struct {
	cancel context.CancelFunc
	done   chan struct{}
	sent   int
	err    error
}

// StartTraffic makes a GET request every interval, in the background.
func StartTraffic(tb testing.TB, client *http.Client, url string, every time.Duration) *Traffic {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t := &Traffic{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			// Not under ctx: a request once begun is finished, so that both sides count it.
			if t.err = get(context.Background(), client, url); t.err != nil {
				return
			}
			t.sent++
		}
	}()
	tb.Cleanup(func() { cancel(); <-t.done })
	return t
}

// Stop ends the traffic and returns how many requests were answered; it fails the test if one was not.
func (t *Traffic) Stop(tb testing.TB) int {
	tb.Helper()
	t.cancel()
	<-t.done
	if t.err != nil {
		tb.Fatalf("after %d requests: %v", t.sent, t.err)
	}
	return t.sent
}
