package otelnet

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// A stream shows how long it took to begin while it goes on, and how long it lasted at its end.
func TestTimeToFirstByte(t *testing.T) {
	m := newMeter(t)
	end := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		for range 3 {
			io.WriteString(w, "data: x\n\n")
			w.(http.Flusher).Flush()
		}
		<-end
	})
	mux.HandleFunc("GET /plain", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") })
	ln := serve(t, &http.Server{Handler: NewHandler(cover2(Routes(mux)), "test", m.option())}, false, m.option())
	client := insecureClient(t, false, false)
	get(t, client, "http://"+ln.Addr().String()+"/plain")
	resp, err := client.Get("http://" + ln.Addr().String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	route, status := attribute.String("http.route", "/events"), attribute.Int("http.response.status_code", 202)
	eventually(t, "the first flush is recorded", func() bool { return m.sum(metricServerFirstByte, route, status) == 1 })
	if got := m.sum(metricHTTPServerDuration, route); got != 0 {
		t.Errorf("durations while the stream goes on: got %d, want 0", got)
	}
	close(end)
	eventually(t, "the duration is recorded", func() bool { return m.sum(metricHTTPServerDuration, route, status) == 1 })
	if got := m.sum(metricServerFirstByte); got != 1 {
		t.Errorf("times to the first byte: got %d, want 1", got)
	}
}

// cover2 hides the request, but not what its writer can do.
func cover2(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.Clone(r.Context())) })
}

// An upgraded connection is counted until it is closed, long after its handler has returned, and also under TLS and
// without Instrument.
func TestUpgradedConnections(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			hijacked := make(chan net.Conn, 1)
			srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Errorf("hijack: %v", err)
				}
				io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
				hijacked <- conn
			}), "test", m.option()), TLSConfig: &tls.Config{Certificates: []tls.Certificate{testCert()}, NextProtos: []string{"http/1.1"}}}
			ln := serve(t, srv, secure, m.option(), WithName("front"))
			base := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer base.CloseIdleConnections()
			scheme := "http://"
			if secure {
				scheme = "https://"
			}
			req, _ := http.NewRequest("GET", scheme+ln.Addr().String(), nil)
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "x")
			if got := m.sum(metricServerUpgraded); got != 0 {
				t.Errorf("upgraded before: got %d, want 0", got)
			}
			resp, err := base.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			front := attribute.String("otelnet.listener", "front")
			if got := m.sum(metricServerUpgraded, front); got != 1 {
				t.Errorf("upgraded: got %d, want 1", got)
			}
			conn := <-hijacked
			conn.Close()
			conn.Close()
			if got := m.sum(metricServerUpgraded); got != 0 {
				t.Errorf("upgraded after the close: got %d, want 0", got)
			}
			if got := m.sum(metricHTTPServerDuration); got != 0 {
				t.Errorf("durations: got %d, want 0", got)
			}
		})
	}
}

// A client that leaves is told apart from a server that fails.
func TestCanceledByTheClient(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer backend.Close()
	target, _ := url.Parse(backend.URL)
	proxy := httputil.NewSingleHostReverseProxy(target)
	pool := &http.Transport{}
	defer pool.CloseIdleConnections()
	proxy.Transport, proxy.ErrorLog, proxy.FlushInterval = pool, discardLog(), -1

	wait := func(then func(http.ResponseWriter)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			then(w)
		})
	}
	noStatus := attribute.KeyValue{}
	tests := map[string]struct {
		handler http.Handler
		status  attribute.KeyValue
	}{
		"no answer":     {wait(func(http.ResponseWriter) {}), noStatus},
		"answers 503":   {wait(func(w http.ResponseWriter) { w.WriteHeader(503) }), attribute.Int("http.response.status_code", 503)},
		"reverse proxy": {proxy, attribute.Int("http.response.status_code", 200)},
	}
	for name, tt := range tests {
		for _, h2c := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " h2c", false: " http1"}[h2c], func(t *testing.T) {
				m := newMeter(t)
				entered := make(chan struct{})
				srv := &http.Server{ErrorLog: discardLog(), Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(entered)
					tt.handler.ServeHTTP(w, r)
				}), "test", m.option())}
				var p http.Protocols
				p.SetHTTP1(true)
				p.SetUnencryptedHTTP2(true)
				srv.Protocols = &p
				Instrument(srv)
				name := uniqueName("canceled")
				ln := serve(t, srv, false, m.option(), WithName(name))
				ctx, cancel := context.WithCancel(context.Background())
				req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+ln.Addr().String(), nil)
				go func() { <-entered; cancel() }()
				if resp, err := insecureClient(t, false, h2c).Do(req); err == nil {
					resp.Body.Close()
				}
				eventually(t, "the request is recorded", func() bool { return m.sum(metricHTTPServerDuration) == 1 })
				set := m.attrSets(metricHTTPServerDuration)[0]
				if v, _ := set.Value("error.type"); v.AsString() != "canceled" {
					t.Errorf("error.type: got %q, want canceled", v.AsString())
				}
				status, ok := set.Value("http.response.status_code")
				// The client may leave before or after the proxy has passed the status on.
				if tt.handler != proxy && (ok != tt.status.Valid() || status != tt.status.Value) {
					t.Errorf("status: got %v, want %v", status.AsInt64(), tt.status.Value.AsInt64())
				}
				rows := Connections(Filter{Match: name, State: "all"})
				if len(rows) != 1 || rows[0].Requests != 1 || rows[0].Errors != 0 {
					t.Errorf("rows: got %+v, want one with one request and no error", rows)
				}
			})
		}
	}
}

// A client that has the whole response may leave before the handler has returned.
func TestCompleteResponseIsNotCanceled(t *testing.T) {
	m := newMeter(t)
	ln := serve(t, &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "ok")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}), "test", m.option())}, false, m.option())
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(resp.Body)
	c.Close()
	eventually(t, "the request is recorded", func() bool { return m.sum(metricHTTPServerDuration) == 1 })
	if v, ok := m.attrSets(metricHTTPServerDuration)[0].Value("error.type"); ok {
		t.Errorf("error.type: got %q, want none", v.AsString())
	}
}

// With Routes in use, a request on an instrumented HTTP/1 connection costs no more than without.
func TestRoutesAllocateNothingOnInstrumentedConnections(t *testing.T) {
	m := newMeter(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) })
	inner := Routes(mux)
	handler := NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(w, r) }), "test", m.option())
	s := &ConnStats{}
	r := httptest.NewRequest("GET", "/items/1", nil)
	r = r.WithContext(context.WithValue(r.Context(), connKey{}, s))
	w := &plainWriter{header: http.Header{}}
	bare := testing.AllocsPerRun(200, func() { mux.ServeHTTP(w, r) })
	if got := testing.AllocsPerRun(200, func() { handler.ServeHTTP(w, r) }) - bare; got > 1 {
		t.Errorf("allocations a request over bare: got %v, want at most 1", got)
	}
	if got := m.sum(metricHTTPServerDuration, attribute.String("http.route", "/items/{id}")); got < 200 {
		t.Errorf("requests with the route: got %d, want all", got)
	}
	if s.serving.Load() != nil {
		t.Error("the connection still knows a request")
	}
}

// A header bomb, a body that never comes, and a client that sends a byte at a time: the server's limits end them, the
// table and the metrics show them, and nothing is left.
func TestHostileClients(t *testing.T) {
	m := newMeter(t)
	mux := http.NewServeMux()
	var began atomic.Int64 // uploads whose header came in time; on a busy machine that may not be all
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		began.Add(1)
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	srv := &http.Server{
		Handler: NewHandler(mux, "test", m.option()), ErrorLog: discardLog(),
		ReadHeaderTimeout: 200 * time.Millisecond, ReadTimeout: 300 * time.Millisecond, MaxHeaderBytes: 4096,
	}
	Instrument(srv)
	name := uniqueName("hostile")
	ln := serve(t, srv, false, m.option(), WithName(name))
	attacks := map[string]string{
		"header bomb": "GET / HTTP/1.1\r\nHost: x\r\nX-Bomb: " + strings.Repeat("b", 1<<20) + "\r\n\r\n",
		"slowloris":   "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"no body":     "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
	}
	const each = 5
	done := make(chan struct{})
	for _, text := range attacks {
		for range each {
			go func() {
				defer func() { done <- struct{}{} }()
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Errorf("dial: %v", err)
					return
				}
				defer c.Close()
				io.WriteString(c, text) // the bomb may be cut short
				io.Copy(io.Discard, c)
			}()
		}
	}
	for range each * len(attacks) {
		<-done
	}
	eventually(t, "all connections have ended", func() bool { return m.sum(metricServerActive) == 0 })
	if got := m.sum(metricServerDuration); got != each*3 {
		t.Errorf("connections: got %d, want %d", got, each*3)
	}
	uploads := began.Load()
	if got := m.sum(metricHTTPServerDuration, attribute.String("http.route", "/upload"), attribute.Int("http.response.status_code", 408)); got != uploads || got == 0 {
		t.Errorf("uploads without a body: got %d, want the %d that began", got, uploads)
	}
	if got := m.sum(metricHTTPServerDuration); got != uploads {
		t.Errorf("requests: got %d, want %d, as the others never became any", got, uploads)
	}
	if got := m.sum(metricHTTPServerActive); got != 0 {
		t.Errorf("active requests: got %d, want 0", got)
	}
	rows := Connections(Filter{Match: name, State: "closed"})
	silent := 0
	for _, row := range rows {
		if row.Requests == 0 {
			silent++
		}
	}
	if len(rows) != each*3 || silent != each*3-int(uploads) {
		t.Errorf("rows: got %d, %d of them without a request, want %d, %d", len(rows), silent, each*3, each*3-uploads)
	}
	if open := Connections(Filter{Match: name}); len(open) != 0 {
		t.Errorf("open connections: got %d, want 0", len(open))
	}
}

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
