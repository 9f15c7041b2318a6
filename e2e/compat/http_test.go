package compat

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelnet/agent/otelnet"
)

// Every version of HTTP over TCP, both ends ours: the bytes are those that passed between them, and each request is joined to
// the connection that carried it.
func TestHTTP(t *testing.T) {
	tests := []struct {
		name      string
		tls       bool
		protocols func(*http.Protocols)
		protocol  string // as it shows in the table
		conns     int    // for requests one after another, then eight at once
	}{
		{"HTTP1", false, func(p *http.Protocols) { p.SetHTTP1(true) }, "HTTP/1.1", 8},
		{"HTTP1OverTLS", true, func(p *http.Protocols) { p.SetHTTP1(true) }, "HTTP/1.1", 8},
		{"HTTP2", true, func(p *http.Protocols) { p.SetHTTP2(true) }, "HTTP/2.0", 1},
		{"H2C", false, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, "HTTP/2.0", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := newMeter()
			protocols := new(http.Protocols)
			test.protocols(protocols)
			serverTLS, clientTLS := certificate(t)
			site := startSite(t, m, t.Name(), func(srv *http.Server) {
				srv.Protocols = protocols
				if test.tls {
					srv.TLSConfig = serverTLS
				}
			})
			wire := startRelay(t, site.addr)

			dialer, err := otelnet.NewDialer(nil, m.option(), otelnet.WithName(t.Name()+"/client"))
			if err != nil {
				t.Fatal(err)
			}
			base := &http.Transport{
				DialContext:     dialer.DialContext,
				Protocols:       protocols,
				TLSClientConfig: clientTLS,
				// Of eight connections none is closed, so that the table can be compared with what is known.
				MaxIdleConnsPerHost: 8,
				MaxConnsPerHost:     test.conns,
			}
			client := &http.Client{Transport: otelnet.NewTransport(base, m.option()), Timeout: patience}
			defer client.CloseIdleConnections()
			url := "http://" + wire.addr()
			if test.tls {
				url = "https://" + wire.addr()
			}

			const alone, together = 20, 8
			for i := range alone {
				mustGet(t, client, fmt.Sprintf("%s/item/%d", url, i), 1000+i)
			}
			site.gather(together)
			var wg sync.WaitGroup
			for range together {
				wg.Go(func() { mustGet(t, client, url+"/together", 70_000) })
			}
			wg.Wait()
			mustPost(t, client, url+"/upload", 1_234_567)
			const requests = alone + together + 1

			m.wantFlow(t, otelnet.SideServer, wire.server)
			m.wantFlow(t, otelnet.SideClient, wire.client)
			m.wantTotal(t, requests, "http.server.request.duration")
			m.wantTotal(t, 1, "http.server.request.duration", attribute.String("http.route", "/upload"))
			m.wantTotal(t, requests, "http.client.request.duration")

			rows := connections(t, "open", t.Name())
			if len(rows) != test.conns {
				t.Errorf("connections in the table: got %d, want %d", len(rows), test.conns)
			}
			joined := uint64(0)
			for _, row := range rows {
				joined += row.Requests
				if row.Protocol != test.protocol || row.Errors != 0 || (row.TLSVersion == "1.3") != test.tls {
					t.Errorf("row: got protocol %q, TLS %q, %d errors, want %q, TLS 1.3: %t, 0", row.Protocol, row.TLSVersion, row.Errors, test.protocol, test.tls)
				}
			}
			if joined != requests {
				t.Errorf("requests joined to connections: got %d, want %d", joined, requests)
			}
			if got := site.unjoined(); got != 0 {
				t.Errorf("handlers that did not find their connection: got %d, want 0", got)
			}

			client.CloseIdleConnections()
			m.wantTotal(t, 0, "otelnet.client.active_connections")
			m.wantTotal(t, 0, "otelnet.server.active_connections")
			m.wantTotal(t, int64(test.conns), "otelnet.server.connection.duration")
			// TLS says goodbye after the last answer, to a peer that no longer listens.
			m.wantSent(t, otelnet.SideServer, wire.server)
			m.wantSent(t, otelnet.SideClient, wire.client)
		})
	}
}

// site is an HTTP server of ours.
type site struct {
	addr string

	mu      sync.Mutex
	lost    int           // requests whose connection was not found
	waiting int           // requests to /together that are still to come
	all     chan struct{} // closed when they have
}

// startSite serves until the test ends. Routes: /item/{id} answers 1000 bytes and id more, /together answers 70,000 when as many
// requests as gather was told are there, /upload takes whatever comes.
func startSite(t *testing.T, m *meter, name string, configure func(*http.Server)) *site {
	t.Helper()
	s := &site{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /item/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.look(r)
		n := 0
		fmt.Sscan(r.PathValue("id"), &n)
		io.WriteString(w, strings.Repeat("x", 1000+n))
	})
	mux.HandleFunc("GET /together", func(w http.ResponseWriter, r *http.Request) {
		s.look(r)
		select {
		case <-s.arrived():
			io.WriteString(w, strings.Repeat("y", 70_000))
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		s.look(r)
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", m.option(), otelnet.WithName(name))
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	srv := &http.Server{Handler: otelnet.NewHandler(mux, name, m.option())}
	configure(srv)
	secure := srv.TLSConfig != nil
	otelnet.Instrument(srv)
	served := make(chan error, 1)
	go func() {
		if secure {
			served <- srv.ServeTLS(ln, "", "")
		} else {
			served <- srv.Serve(ln)
		}
	}()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// look notes whether the request knows its connection, and that the connection knows the request.
func (s *site) look(r *http.Request) {
	conn, ok := otelnet.ConnFromContext(r.Context())
	if !ok || conn.InFlight() < 1 || conn.Requests() < 1 {
		s.mu.Lock()
		s.lost++
		s.mu.Unlock()
	}
}

func (s *site) unjoined() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

func (s *site) gather(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.all = n, make(chan struct{})
}

func (s *site) arrived() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting--; s.waiting == 0 {
		close(s.all)
	}
	return s.all
}

// mustGet wants a body of exactly this size. It may be called from any goroutine.
func mustGet(t *testing.T, client *http.Client, url string, size int) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) != size || resp.StatusCode != http.StatusOK {
		t.Errorf("GET %s: got %s, %d bytes, error %v, want 200 and %d bytes", url, resp.Status, len(body), err, size)
	}
}

func mustPost(t *testing.T, client *http.Client, url string, size int) {
	t.Helper()
	resp, err := client.Post(url, "text/plain", strings.NewReader(strings.Repeat("z", size)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != fmt.Sprint(size) {
		t.Errorf("POST %s: got %s, %q, error %v, want the size back, %d", url, resp.Status, body, err, size)
	}
}

// A transport of ours alone, without a dialer, dials with one.
func TestDefaultTransportCountsItsConnections(t *testing.T) {
	m := newMeter()
	site := startSite(t, m, t.Name(), func(*http.Server) {})
	wire := startRelay(t, site.addr)
	client := &http.Client{Transport: otelnet.NewTransport(nil, m.option()), Timeout: patience}
	defer client.CloseIdleConnections()
	mustGet(t, client, "http://"+wire.addr()+"/item/7", 1007)
	m.wantFlow(t, otelnet.SideClient, wire.client)
	m.wantTotal(t, 1, "otelnet.client.dial.duration")
}

// net/http needs the *tls.Conn itself, so a listener that hands those out is left as it is.
func TestTLSConnComesAsItIs(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := otelnet.NewListener(handshaker{inner, serverTLS}, newMeter().option())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled := make(chan error, 1)
	go func() {
		c, err := tls.Dial("tcp", ln.Addr().String(), clientTLS)
		if err == nil {
			err = c.Close()
		}
		dialled <- err
	}()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, ok := conn.(*tls.Conn); !ok {
		t.Errorf("accepted connection: got %T, want *tls.Conn", conn)
	}
	if err := <-dialled; err != nil {
		t.Errorf("handshake: %v", err)
	}
}

// handshaker is a listener of somebody's own that speaks TLS.
type handshaker struct {
	net.Listener
	config *tls.Config
}

func (h handshaker) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tc := tls.Server(c, h.config)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return tc, tc.HandshakeContext(ctx)
}
