package otelnet

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

var (
	isIdle   = attribute.String("http.connection.state", "idle")
	isActive = attribute.String("http.connection.state", "active")
)

// wantOpen compares http.client.open_connections.
func (m *meter) wantOpen(active, idle int64) {
	m.t.Helper()
	if a, i := m.sum(metricHTTPClientOpenConns, isActive), m.sum(metricHTTPClientOpenConns, isIdle); a != active || i != idle {
		m.t.Errorf("open connections: got %d active, %d idle, want %d, %d", a, i, active, idle)
	}
}

// uniqueName returns a name that no row of the table has yet, also when tests run again in one process.
func uniqueName(prefix string) string { return fmt.Sprintf("%s %d.", prefix, registry.lastID.Add(1)) }

// clientOn returns an instrumented client whose connections come from a Dialer with this name.
func clientOn(t *testing.T, m *meter, name string, adjust func(*http.Transport)) *http.Client {
	t.Helper()
	base := &http.Transport{
		DialContext:     newTestDialer(t, nil, m.option(), WithName(name)).DialContext,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	if adjust != nil {
		adjust(base)
	}
	client := &http.Client{Transport: NewTransport(base, m.option())}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func TestClientConnections(t *testing.T) {
	tests := []struct {
		name            string
		secure, h2, h2c bool
		protocol, tls   string
		version         string
	}{
		{"http1", false, false, false, "HTTP/1.1", "", "1.1"},
		{"http1 with TLS", true, false, false, "HTTP/1.1", "1.3", "1.1"},
		{"http2", true, true, false, "HTTP/2.0", "1.3", "2"},
		{"h2c", false, false, true, "HTTP/2.0", "", "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMeter(t)
			more := make(chan struct{})
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "begin")
				w.(http.Flusher).Flush()
				<-more
				if r.URL.Path == "/bad" {
					panic(http.ErrAbortHandler)
				}
			}))
			var p http.Protocols
			p.SetHTTP1(!tt.h2 && !tt.h2c)
			p.SetHTTP2(tt.h2)
			p.SetUnencryptedHTTP2(tt.h2c)
			srv.Config.Protocols = &p
			srv.EnableHTTP2 = tt.h2
			if tt.secure {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			name := uniqueName("client")
			client := clientOn(t, m, name, func(tr *http.Transport) { tr.Protocols = &p })
			row := func(state string) ConnInfo {
				t.Helper()
				// net/http may dial one more that it then does not need.
				rows := slices.DeleteFunc(Connections(Filter{Match: name, State: state}), func(c ConnInfo) bool { return c.Requests == 0 })
				if len(rows) != 1 {
					t.Fatalf("got %d rows that are %s, want 1: %+v", len(rows), state, rows)
				}
				return rows[0]
			}

			for range 2 {
				resp, err := client.Get(srv.URL)
				if err != nil {
					t.Fatal(err)
				}
				m.wantOpen(1, 0)
				row("active")
				more <- struct{}{}
				if _, err := io.ReadAll(resp.Body); err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				m.wantOpen(0, 1)
			}
			if got := m.sum(metricClientResponseDuration, attribute.String("http.request.method", "GET")); got != 2 {
				t.Errorf("response durations: got %d, want 2", got)
			}
			resp, err := client.Get(srv.URL + "/bad")
			if err != nil {
				t.Fatal(err)
			}
			more <- struct{}{}
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("the body that was cut short: got no error")
			}
			if got := m.sum(metricClientResponseDuration, hasErrorType(m, metricClientResponseDuration)...); got != 1 {
				t.Errorf("response durations with an error: got %d, want 1", got)
			}
			client.CloseIdleConnections()
			eventually(t, "the connection has ended", func() bool {
				client.CloseIdleConnections()
				return m.sum(metricHTTPClientConnDuration, attribute.String("network.protocol.version", tt.version)) == 1
			})
			m.wantOpen(0, 0)
			got := row("closed")
			if got.Requests != 3 || got.Errors != 1 || got.Protocol != tt.protocol || got.TLSVersion != tt.tls {
				t.Errorf("got %d requests, %d errors, %s, TLS %q, want 3, 1, %s, %q",
					got.Requests, got.Errors, got.Protocol, got.TLSVersion, tt.protocol, tt.tls)
			}
			if fresh, reused := m.sum(metricClientConnUses, keyReused.Bool(false)), m.sum(metricClientConnUses, keyReused.Bool(true)); fresh != 1 || reused != 2 {
				t.Errorf("uses: got %d of a new connection, %d of one used before, want 1, 2", fresh, reused)
			}
		})
	}
}

// hasErrorType returns the error.type of the one series that has any.
func hasErrorType(m *meter, name string) []attribute.KeyValue {
	m.t.Helper()
	for _, set := range m.attrSets(name) {
		if v, ok := set.Value("error.type"); ok {
			return []attribute.KeyValue{{Key: "error.type", Value: v}}
		}
	}
	m.t.Fatalf("%s has no series with an error.type", name)
	return nil
}

// A connection that its server closed while it was idle is found out by the next request, which net/http then sends on
// a new one.
func TestStaleConnection(t *testing.T) {
	m := newMeter(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for first := true; ; first = false {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			br := bufio.NewReader(c)
			if _, err := http.ReadRequest(br); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
			if first {
				http.ReadRequest(br) // and no answer
			}
			c.Close()
		}
	}()
	defer func() { ln.Close(); <-done }()

	name := uniqueName("stale")
	client := clientOn(t, m, name, nil)
	for range 2 {
		if _, body := get(t, client, "http://"+ln.Addr().String()); body != "ok" {
			t.Errorf("body: got %q, want ok", body)
		}
	}
	if got := m.sum(metricClientResends); got != 1 {
		t.Errorf("resends: got %d, want 1", got)
	}
	if fresh, reused := m.sum(metricClientConnUses, keyReused.Bool(false)), m.sum(metricClientConnUses, keyReused.Bool(true)); fresh != 2 || reused != 1 {
		t.Errorf("uses: got %d of a new connection, %d of one used before, want 2, 1", fresh, reused)
	}
	if got := m.sum(metricHTTPClientDuration); got != 2 {
		t.Errorf("requests: got %d, want 2", got)
	}
	eventually(t, "both connections have ended", func() bool { return m.sum(metricHTTPClientConnDuration) == 2 })
	m.wantOpen(0, 0)
	rows := Connections(Filter{Match: name, State: "closed"})
	if len(rows) != 2 || rows[0].Requests != 2 || rows[0].Errors != 1 || rows[1].Requests != 1 || rows[1].Errors != 0 {
		t.Errorf("rows: got %+v, want two requests with one error, then one without", rows)
	}
}

// A connection that was dialled for a request, and never given to one, waits in the pool.
func TestConnectionThatNoRequestGot(t *testing.T) {
	m := newMeter(t)
	release, dial := make(chan struct{}), make(chan struct{}, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
	}))
	defer srv.Close()
	gate := make(chan struct{})
	dials := 0
	client := clientOn(t, m, "unused", func(tr *http.Transport) {
		inner := tr.DialContext
		tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials++; dials == 2 {
				dial <- struct{}{}
				<-gate
			}
			return inner(ctx, network, address)
		}
	})
	results := make(chan error, 2)
	send := func(path string) {
		resp, err := client.Get(srv.URL + path)
		if err == nil {
			resp.Body.Close()
		}
		results <- err
	}
	go send("/slow")
	eventually(t, "the first request is under way", func() bool { return m.sum(metricHTTPClientOpenConns, isActive) == 1 })
	go send("/fast")
	<-dial
	close(release) // the first connection becomes free, and the second request gets it
	for range 2 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	eventually(t, "the second connection waits", func() bool { return m.sum(metricHTTPClientOpenConns, isIdle) == 2 })
	m.wantOpen(0, 2)
	client.CloseIdleConnections()
	eventually(t, "both have ended", func() bool { return m.sum(metricHTTPClientConnDuration) == 2 })
	m.wantOpen(0, 0)
}

// After 101 the connection is the caller's, and in use until it is closed.
func TestClientUpgrade(t *testing.T) {
	m := newMeter(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.CopyN(conn, rw, 5)
	}))
	defer srv.Close()
	client := clientOn(t, m, "upgraded", nil)
	req, _ := http.NewRequest("GET", srv.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.sum(metricHTTPClientActive); got != 0 {
		t.Errorf("active requests: got %d, want 0", got)
	}
	m.wantOpen(1, 0)
	body := resp.Body.(io.ReadWriteCloser)
	io.WriteString(body, "hello")
	if b, err := io.ReadAll(body); string(b) != "hello" {
		t.Errorf("echo: got %q, %v, want hello", b, err)
	}
	body.Close()
	m.wantOpen(0, 0)
}

// Connections that no HTTP client of ours uses are not in the HTTP metrics.
func TestOtherConnectionsCarryNoHTTP(t *testing.T) {
	m := newMeter(t)
	ln := listen(t)
	c, err := newTestDialer(t, nil, m.option()).Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := m.sum(metricClientConnections); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
	if got := len(m.attrSets(metricHTTPClientOpenConns)) + len(m.attrSets(metricHTTPClientConnDuration)); got != 0 {
		t.Errorf("HTTP series: got %d, want 0", got)
	}
}
