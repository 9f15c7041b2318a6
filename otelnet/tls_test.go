package otelnet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// clientTLS trusts the test's certificate.
func clientTLS(t testing.TB) *tls.Config {
	t.Helper()
	leaf, err := x509.ParseCertificate(testCert().Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// tlsPair dials a server with TLS once, makes a request, and returns the dialer's error. It ends the server.
func tlsPair(t *testing.T, m *meter, cfg *tls.Config) error {
	t.Helper()
	if cfg == nil {
		cfg = clientTLS(t)
	}
	srv := tlsServer(m)
	ln := serve(t, srv, true, m.option(), WithName("front"))
	return dialTLS(t, m, cfg, ln)
}

// tlsServer counts its handshakes and logs nothing.
func tlsServer(m *meter) *http.Server {
	srv := &http.Server{
		Handler:   NewHandler(http.NotFoundHandler(), "test", m.option()),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{testCert()}},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	Instrument(srv)
	return srv
}

func dialTLS(t *testing.T, m *meter, cfg *tls.Config, ln net.Listener) error {
	t.Helper()
	d := newTestDialer(t, nil, m.option(), WithTLSConfig(cfg))
	c, err := d.DialTLSContext(context.Background(), "tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, ok := c.(*tls.Conn); !ok {
		t.Errorf("got a %T, want *tls.Conn", c)
	}
	// Without a byte read from the server, TLS 1.3 has not told the client all.
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	_, err = io.Copy(io.Discard, c)
	return err
}

func TestHandshakesAreRecorded(t *testing.T) {
	begin := time.Now()
	m := newMeter(t)
	ln := serve(t, tlsServer(m), true, m.option(), WithName("front"))
	cfg := clientTLS(t)
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 { // the second resumes the first
		if err := dialTLS(t, m, cfg, ln); err != nil {
			t.Fatal(err)
		}
	}
	old := clientTLS(t)
	old.MaxVersion = tls.VersionTLS12
	if err := dialTLS(t, m, old, ln); err != nil {
		t.Fatal(err)
	}
	version := func(v string) attribute.KeyValue { return attribute.String("tls.protocol.version", v) }
	resumed := func(b bool) attribute.KeyValue { return attribute.Bool("tls.resumed", b) }
	eventually(t, "the server's handshakes are recorded", func() bool { return m.sum(metricServerHandshake) == 3 })
	for _, name := range []string{metricServerHandshake, metricClientHandshake} {
		for _, tt := range []struct {
			with []attribute.KeyValue
			want int64
		}{
			{[]attribute.KeyValue{version("1.3"), resumed(false)}, 1},
			{[]attribute.KeyValue{version("1.3"), resumed(true)}, 1},
			{[]attribute.KeyValue{version("1.2"), resumed(false)}, 1},
			{nil, 3},
		} {
			if got := m.sum(name, tt.with...); got != tt.want {
				t.Errorf("%s with %v: got %d, want %d", name, tt.with, got, tt.want)
			}
		}
		if got, most := m.seconds(name), time.Since(begin); got <= 0 || got > most.Seconds() {
			t.Errorf("%s took %v s in all, one after the other in %v", name, got, most)
		}
	}
	if got := m.sum(metricServerHandshake, attribute.String("otelnet.listener", "front")); got != 3 {
		t.Errorf("with the listener's name: got %d, want 3", got)
	}
	eventually(t, "the versions are in the durations of both sides", func() bool {
		return m.sum(metricServerDuration, version("1.3")) == 2 && m.sum(metricServerDuration, version("1.2")) == 1 &&
			m.sum(metricClientDuration, version("1.3")) == 2 && m.sum(metricClientDuration, version("1.2")) == 1
	})
}

func TestHandshakeFailures(t *testing.T) {
	tests := []struct {
		name                         string
		server                       func(*http.Server)
		client                       func(t *testing.T, m *meter, ln net.Listener)
		serverSide, clientSide       string
		serverVersion, clientVersion string
	}{
		{
			name: "the client does not trust us",
			client: func(t *testing.T, m *meter, ln net.Listener) {
				var unknown x509.UnknownAuthorityError
				if err := dialTLS(t, m, &tls.Config{ServerName: "example.com"}, ln); !errors.As(err, &unknown) {
					t.Errorf("got %v, want the certificate's error", err)
				}
			},
			serverSide: "tls_alert", clientSide: "tls_certificate",
		},
		{
			name:   "no version in common",
			server: func(srv *http.Server) { srv.TLSConfig.MinVersion = tls.VersionTLS13 },
			client: func(t *testing.T, m *meter, ln net.Listener) {
				cfg := clientTLS(t)
				cfg.MaxVersion = tls.VersionTLS12
				if err := dialTLS(t, m, cfg, ln); err == nil {
					t.Error("got no error")
				}
			},
			serverSide: "_OTHER", clientSide: "tls_alert",
		},
		{
			name: "no TLS at all",
			client: func(t *testing.T, m *meter, ln net.Listener) {
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
				if b, _ := io.ReadAll(c); !strings.Contains(string(b), "400 Bad Request") {
					t.Errorf("got %q, want the server's own answer to plain HTTP", b)
				}
			},
			serverSide: "not_tls",
		},
		{
			name:   "a client that says nothing",
			server: func(srv *http.Server) { srv.ReadHeaderTimeout = 20 * time.Millisecond },
			client: func(t *testing.T, m *meter, ln net.Listener) {
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.Copy(io.Discard, c)
			},
			serverSide: "timeout",
		},
		{
			name: "a client that leaves",
			client: func(t *testing.T, m *meter, ln net.Listener) {
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
			},
			serverSide: "eof",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMeter(t)
			srv := tlsServer(m)
			if tt.server != nil {
				tt.server(srv)
			}
			ln := serve(t, srv, true, m.option())
			tt.client(t, m, ln)
			eventually(t, "the server has recorded the failure", func() bool { return m.sum(metricServerHandshake) == 1 })
			if got := m.sum(metricServerHandshake, errType(tt.serverSide)); got != 1 {
				t.Errorf("server: got %v, want error.type %q", m.attrSets(metricServerHandshake), tt.serverSide)
			}
			if _, ok := m.attrSets(metricServerHandshake)[0].Value("tls.resumed"); ok {
				t.Error("a handshake that failed has tls.resumed")
			}
			if tt.clientSide == "" {
				return
			}
			if got := m.sum(metricClientHandshake, errType(tt.clientSide)); got != 1 {
				t.Errorf("client: got %v, want error.type %q", m.attrSets(metricClientHandshake), tt.clientSide)
			}
			eventually(t, "no connection is left", func() bool { return m.sum(metricServerActive)+m.sum(metricClientActive) == 0 })
		})
	}
}

// A server that is closed in the middle of a handshake must not wait for it.
func TestCloseDuringHandshake(t *testing.T) {
	m := newMeter(t)
	srv := tlsServer(m)
	ln := serve(t, srv, true, m.option())
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "the connection is accepted", func() bool { return m.sum(metricServerActive) == 1 })
	srv.Close()
	eventually(t, "the handshake has failed", func() bool { return m.sum(metricServerHandshake, errType("closed")) == 1 })
}

// The server's own GetConfigForClient decides as before.
func TestGetConfigForClientIsKept(t *testing.T) {
	m := newMeter(t)
	srv := &http.Server{Handler: NewHandler(http.NotFoundHandler(), "test", m.option()), ErrorLog: log.New(io.Discard, "", 0)}
	asked := 0
	mine := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		asked++
		if hello.ServerName != "example.com" {
			t.Errorf("server name: got %q, want example.com", hello.ServerName)
		}
		return &tls.Config{Certificates: []tls.Certificate{testCert()}, NextProtos: []string{"h2", "http/1.1"}}, nil
	}}
	srv.TLSConfig = mine
	Instrument(srv)
	if srv.TLSConfig == mine {
		t.Error("the caller's own configuration was changed instead of a copy")
	}
	ln := serve(t, srv, true, m.option())
	if err := dialTLS(t, m, clientTLS(t), ln); err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("asked %d times, want 1", asked)
	}
	eventually(t, "the handshake is recorded", func() bool { return m.sum(metricServerHandshake) == 1 })
}

// A TLS listener made by hand, on a server without a TLSConfig: HTTP/2 goes on working, and handshakes are seen if the
// listener's configuration was prepared for it.
func TestHandmadeTLSListener(t *testing.T) {
	for name, prepare := range map[string]func(*tls.Config) *tls.Config{
		"as it was": func(c *tls.Config) *tls.Config { return c },
		"prepared":  ServerTLSConfig,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			srv := &http.Server{Handler: NewHandler(http.NotFoundHandler(), "test", m.option())}
			Instrument(srv)
			ln := listen(t, m.option())
			done := make(chan struct{})
			go func() {
				defer close(done)
				cfg := &tls.Config{Certificates: []tls.Certificate{testCert()}, NextProtos: []string{"h2", "http/1.1"}}
				srv.Serve(tls.NewListener(ln, prepare(cfg)))
			}()
			t.Cleanup(func() { srv.Close(); <-done })

			client := insecureClient(t, true, false)
			resp, err := client.Get("https://" + ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.ProtoMajor != 2 {
				t.Errorf("got %s, want HTTP/2", resp.Proto)
			}
			client.CloseIdleConnections()
			eventually(t, "the connection has ended with its version", func() bool {
				return m.sum(metricServerDuration, attribute.String("tls.protocol.version", "1.3")) == 1
			})
			want := int64(0)
			if name == "prepared" {
				want = 1
			}
			eventually(t, "as many handshakes as are seen", func() bool { return m.sum(metricServerHandshake) == want })
		})
	}
}

func TestServerTLSConfigOfNothing(t *testing.T) {
	if cfg := ServerTLSConfig(nil); cfg == nil || cfg.GetConfigForClient == nil {
		t.Errorf("got %v, want a configuration with the hook", cfg)
	}
}

func TestDialTLSContextPassesDialErrorsOn(t *testing.T) {
	address := closedPort(t)
	_, want := net.Dial("tcp", address)
	d := newTestDialer(t, nil, newMeter(t).option())
	if c, err := d.DialTLSContext(context.Background(), "tcp", address); c != nil || err == nil || err.Error() != want.Error() {
		t.Errorf("got %v, %v, want nil and %v", c, err, want)
	}
}
