package otelnet

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/net/netutil"
)

// serve runs a server with a listener of ours and returns its address; it is stopped with the test.
func serve(t *testing.T, srv *http.Server, secure bool, opts ...ListenerOption) net.Listener {
	t.Helper()
	ln := listen(t, opts...)
	serveOn(t, srv, secure, ln)
	return ln
}

// serveOn does so with this listener.
func serveOn(t *testing.T, srv *http.Server, secure bool, ln net.Listener) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if secure {
			srv.ServeTLS(ln, "", "")
		} else {
			srv.Serve(ln)
		}
	}()
	t.Cleanup(func() { srv.Close(); <-done })
}

// testCert is the certificate that httptest makes.
var testCert = sync.OnceValue(func() tls.Certificate {
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	return srv.TLS.Certificates[0]
})

func insecureClient(t *testing.T, h2, h2c bool) *http.Client {
	var p http.Protocols
	p.SetHTTP1(!h2 && !h2c)
	p.SetHTTP2(h2)
	p.SetUnencryptedHTTP2(h2c)
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func get(t *testing.T, client *http.Client, url string) (status int, body string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestRequestsAreJoinedToConnections(t *testing.T) {
	tests := []struct {
		name            string
		secure, h2, h2c bool
		protocol, tls   string
		hidden          bool // inside a wrapper that does not show what it wraps
	}{
		{"http1", false, false, false, "HTTP/1.1", "", false},
		{"http1 with TLS", true, false, false, "HTTP/1.1", "1.3", false},
		{"http2", true, true, false, "HTTP/2.0", "1.3", false},
		{"h2c", false, false, true, "HTTP/2.0", "", false},
		{"http1 hidden", false, false, false, "HTTP/1.1", "", true},
		{"http2 hidden", true, true, false, "HTTP/2.0", "1.3", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMeter(t)
			mux := http.NewServeMux()
			mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
				s, ok := ConnFromContext(r.Context())
				if !ok {
					t.Error("the request has no connection")
					return
				}
				if s.InFlight() != 1 {
					t.Errorf("in flight: got %d, want 1", s.InFlight())
				}
				if r.PathValue("id") == "bad" {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			var p http.Protocols
			p.SetHTTP1(true)
			p.SetHTTP2(true)
			p.SetUnencryptedHTTP2(true)
			srv := &http.Server{Handler: NewHandler(mux, "test", m.option()), Protocols: &p}
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{testCert()}}
			Instrument(srv)
			name := uniqueName("join " + tt.name)
			ln := listen(t, m.option(), WithName(name))
			if tt.hidden {
				ln = netutil.LimitListener(ln, 8)
			}
			serveOn(t, srv, tt.secure, ln)
			url := "http://" + ln.Addr().String()
			if tt.secure {
				url = "https://" + ln.Addr().String()
			}
			client := insecureClient(t, tt.h2, tt.h2c)
			for _, id := range []string{"1", "2", "bad"} {
				get(t, client, url+"/items/"+id)
			}

			// Mostly one connection; but on a busy machine net/http may not use it again.
			eventually(t, "the requests have ended", func() bool {
				requests, errors := uint64(0), uint64(0)
				for _, row := range Connections(Filter{Match: name, State: "all"}) {
					requests, errors = requests+row.Requests, errors+row.Errors
					if row.State == "active" {
						return false
					}
				}
				return requests == 3 && errors == 1
			})
			for _, row := range Connections(Filter{Match: name, State: "all"}) {
				if row.Requests > 0 && (row.Route != "/items/{id}" || row.Protocol != tt.protocol || row.TLSVersion != tt.tls) {
					t.Errorf("got route %q, protocol %q, TLS %q, want /items/{id}, %q, %q", row.Route, row.Protocol, row.TLSVersion, tt.protocol, tt.tls)
				}
			}

			var with []attribute.KeyValue
			if tt.tls != "" {
				with = append(with, attribute.String("tls.protocol.version", tt.tls))
			}
			eventually(t, "each connection has ended once", func() bool {
				client.CloseIdleConnections() // an HTTP/2 client may take a moment to see that it is idle
				ended := len(Connections(Filter{Match: name, State: "closed"}))
				return len(Connections(Filter{Match: name})) == 0 && m.sum(metricServerDuration, with...) == int64(ended)
			})
		})
	}
}

func TestInstrumentKeepsHooks(t *testing.T) {
	type key struct{}
	var mu sync.Mutex
	var states []http.ConnState
	srv := &http.Server{
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key{}, "mine") },
		ConnState: func(_ net.Conn, s http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, s)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, joined := ConnFromContext(r.Context())
			if mine := r.Context().Value(key{}); mine != "mine" || !joined {
				t.Errorf("got context value %v, joined %t, want mine, true", mine, joined)
			}
		}),
	}
	Instrument(srv)
	ln := serve(t, srv, false, newMeter(t).option())
	client := insecureClient(t, false, false)
	get(t, client, "http://"+ln.Addr().String())
	eventually(t, "the caller's ConnState saw new, active, idle", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(states) == 3 && states[0] == http.StateNew && states[1] == http.StateActive && states[2] == http.StateIdle
	})
}

func TestInstrumentWithoutOurListener(t *testing.T) {
	Instrument(nil)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, ok := ConnFromContext(r.Context()); ok || s != nil {
			t.Errorf("got a connection %v of a foreign listener", s)
		}
	}))
	Instrument(srv.Config)
	srv.Start()
	defer srv.Close()
	get(t, srv.Client(), srv.URL)
}

// A served file goes out by sendfile, and all of it is counted.
func TestServeFileIsCounted(t *testing.T) {
	m := newMeter(t)
	const size = 1 << 20
	path := t.TempDir() + "/file"
	writeFile(t, path, size)
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, path)
	}), "file", m.option(), WithBodySizes())}
	ln := serve(t, srv, false, m.option(), WithName("front"))
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	n, err := io.Copy(io.Discard, c)
	if err != nil || n < size {
		t.Fatalf("got %d, %v, want more than %d", n, err, size)
	}
	eventually(t, "the connection has ended", func() bool { return m.sum(metricServerActive) == 0 })
	m.wantIO(n, 18)
	if got := m.sum(metricHTTPServerResponseSize); got != size {
		t.Errorf("%s: got %d, want %d", metricHTTPServerResponseSize, got, size)
	}
}

// A server that tires of an idle connection ends it by a deadline, and in order.
func TestIdleTimeoutIsNoError(t *testing.T) {
	m := newMeter(t)
	srv := &http.Server{Handler: NewHandler(http.NotFoundHandler(), "test", m.option()), IdleTimeout: 10 * time.Millisecond}
	Instrument(srv)
	ln := serve(t, srv, false, m.option(), WithName("front"))
	get(t, insecureClient(t, false, false), "http://"+ln.Addr().String())
	eventually(t, "the connection has ended", func() bool { return m.sum(metricServerDuration) == 1 })
	m.wantEnd("timeout", "")
}

// The response says that the connection closes, and so it does, after a background read was woken up by a deadline.
func TestConnectionCloseIsLocal(t *testing.T) {
	m := newMeter(t)
	srv := &http.Server{Handler: NewHandler(http.NotFoundHandler(), "test", m.option())}
	srv.SetKeepAlivesEnabled(false)
	Instrument(srv)
	ln := serve(t, srv, false, m.option(), WithName("front"))
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent, _ := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	n, _ := io.Copy(io.Discard, c)
	eventually(t, "the connection has ended", func() bool { return m.sum(metricServerDuration) == 1 })
	m.wantEnd("local", "")
	m.wantIO(n, int64(sent))
}
