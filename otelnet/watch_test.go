package otelnet

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// said is what a client knows of a request that it made.
type said struct {
	method, body string // of the request
	path         string
	want         RequestInfo
}

func ptr(n int64) *int64 { return &n }

var watchedExchanges = []said{
	{"GET", "", "/items/7", RequestInfo{Method: "GET", Route: "/items/{id}", Status: 200, RequestBytes: ptr(0), ResponseBytes: ptr(5)}},
	{"POST", "hello you", "/items/8", RequestInfo{Method: "POST", Route: "/items/{id}", Status: 200, RequestBytes: ptr(9), ResponseBytes: ptr(5)}},
	{"GET", "", "/fails", RequestInfo{Method: "GET", Route: "/fails", Status: 503, ErrorType: "503", RequestBytes: ptr(0), ResponseBytes: ptr(0)}},
	{"GET", "", "/silent", RequestInfo{Method: "GET", Route: "/silent", Status: 200, RequestBytes: ptr(0), ResponseBytes: ptr(0)}},
	{"HACK-b", "", "/silent", RequestInfo{Method: "_OTHER", Route: "/silent", Status: 200, RequestBytes: ptr(0), ResponseBytes: ptr(0)}},
}

func watchedMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/items/{id}", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "first")
		time.Sleep(5 * time.Millisecond) // after the response has begun, which the times must tell apart
	})
	mux.HandleFunc("/fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	mux.HandleFunc("/silent", func(http.ResponseWriter, *http.Request) {})
	return mux
}

// letGo ends all watching, so that tests do not meet each other's.
func letGo() {
	watches.mu.Lock()
	defer watches.mu.Unlock()
	for _, w := range watches.byID {
		w.timer.Stop()
		w.stats.flags.And(^flagWatched)
	}
	clear(watches.byID)
}

var ignoreTimes = cmpopts.IgnoreFields(RequestInfo{}, "Start", "DurationSeconds", "FirstByteSeconds")

// ask makes the request of e and returns how long that took.
func ask(t *testing.T, client *http.Client, base string, e said) time.Duration {
	t.Helper()
	var body io.Reader
	if e.body != "" {
		body = strings.NewReader(e.body)
	}
	req, err := http.NewRequest(e.method, base+e.path, body)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return time.Since(begun)
}

func TestWatchServer(t *testing.T) {
	t.Cleanup(letGo)
	for name, secure := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			srv := &http.Server{Handler: NewHandler(watchedMux(), "test", m.option())}
			scheme := "http://"
			if secure {
				scheme = "https://"
				srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{testCert()}, NextProtos: []string{"h2"}}
			}
			Instrument(srv)
			ln := serve(t, srv, secure, m.option(), WithName("watch-"+name))
			base, client := scheme+ln.Addr().String(), insecureClient(t, secure, false)
			get(t, client, base+"/silent") // before anybody watches
			id := Connections(Filter{Match: "watch-" + name})[0].ID
			eventually(t, "the first request has ended", func() bool { return Connections(Filter{Match: "watch-" + name})[0].Route == "/silent" })

			log, err := WatchRequests(id)
			if err != nil || log.Total != 0 || log.Requests == nil || log.Since.IsZero() {
				t.Fatalf("at first: got %+v, %v; want nothing", log, err)
			}
			for i, e := range watchedExchanges {
				took := ask(t, client, base, e)
				var got RequestInfo
				eventually(t, "the request shows", func() bool {
					log, err = WatchRequests(id)
					return err == nil && log.Total == uint64(i+1) && len(log.Requests) == i+1
				})
				got = log.Requests[0]
				if diff := cmp.Diff(e.want, got, ignoreTimes); diff != "" {
					t.Errorf("%s %s (-want +got):\n%s", e.method, e.path, diff)
				}
				// The handler may return a moment after the client has had everything.
				if got.DurationSeconds <= 0 || got.FirstByteSeconds <= 0 || got.FirstByteSeconds > min(got.DurationSeconds+1e-6, took.Seconds()) ||
					time.Since(got.Start) > time.Minute {
					t.Errorf("%s took %v: got a start %v, a duration of %v s and a first byte after %v s", e.path, took, got.Start, got.DurationSeconds, got.FirstByteSeconds)
				}
				if wait := got.DurationSeconds - got.FirstByteSeconds; strings.HasPrefix(e.path, "/items") && wait < 0.005 {
					t.Errorf("%s: first byte %v s before the end, want at least 5 ms", e.path, wait)
				}
			}
			if got := log.InFlight; got != 0 {
				t.Errorf("in flight: got %d, want 0", got)
			}
		})
	}
}

// Only the last 50 are kept, and the newest is first; those of a connection that was closed are still there.
func TestWatchIsBounded(t *testing.T) {
	t.Cleanup(letGo)
	m := newMeter(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/{n}", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", len(r.PathValue("n"))))
	})
	srv := &http.Server{Handler: NewHandler(mux, "test", m.option())}
	Instrument(srv)
	ln := serve(t, srv, false, m.option(), WithName("watch-bound"))
	client := insecureClient(t, false, false)
	base := "http://" + ln.Addr().String() + "/"
	get(t, client, base+"x")
	id := Connections(Filter{Match: "watch-bound"})[0].ID
	if _, err := WatchRequests(id); err != nil {
		t.Fatal(err)
	}
	const made = watchedRequests + 13
	for i := range made {
		get(t, client, base+strings.Repeat("x", i+1))
	}
	client.CloseIdleConnections()
	eventually(t, "the connection has closed", func() bool { return len(Connections(Filter{Match: "watch-bound"})) == 0 })
	log, err := WatchRequests(id)
	if err != nil || log.Total != made || len(log.Requests) != watchedRequests {
		t.Fatalf("got %d of %d, %v; want the last %d of %d", len(log.Requests), log.Total, err, watchedRequests, made)
	}
	for i, r := range log.Requests {
		if want := int64(made - i); *r.ResponseBytes != want {
			t.Errorf("request %d from the last: got %d bytes, want %d", i, *r.ResponseBytes, want)
		}
	}
}

func TestWatchClient(t *testing.T) {
	t.Cleanup(letGo)
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			release := make(chan struct{})
			mux := http.NewServeMux()
			mux.Handle("/", watchedMux())
			mux.HandleFunc("/half", func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "abc")
				w.(http.Flusher).Flush()
				<-release
				panic(http.ErrAbortHandler)
			})
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: mux, ErrorLog: discardLog(), Protocols: new(http.Protocols)}
			srv.Protocols.SetHTTP1(!h2)
			srv.Protocols.SetUnencryptedHTTP2(h2)
			done := make(chan struct{})
			go func() { defer close(done); srv.Serve(plain) }()
			defer func() { srv.Close(); <-done }()

			d := newTestDialer(t, &net.Dialer{}, m.option(), WithName("watch-out-"+name))
			tr := NewTransport(&http.Transport{DialContext: d.DialContext, Protocols: srv.Protocols}, m.option())
			defer tr.CloseIdleConnections()
			client, base := &http.Client{Transport: tr}, "http://"+plain.Addr().String()
			get(t, client, base+"/silent")
			id := Connections(Filter{Match: "watch-out-" + name})[0].ID
			if _, err := WatchRequests(id); err != nil {
				t.Fatal(err)
			}
			for _, e := range watchedExchanges {
				took := ask(t, client, base, e)
				log, err := WatchRequests(id)
				if err != nil || len(log.Requests) == 0 {
					t.Fatalf("got %+v, %v", log, err)
				}
				got, want := log.Requests[0], e.want
				want.Route = "" // a client knows none
				if diff := cmp.Diff(want, got, ignoreTimes); diff != "" {
					t.Errorf("%s %s (-want +got):\n%s", e.method, e.path, diff)
				}
				if got.FirstByteSeconds <= 0 || got.DurationSeconds < got.FirstByteSeconds || got.DurationSeconds > took.Seconds() {
					t.Errorf("%s took %v: got %v s and a first byte after %v s", e.path, took, got.DurationSeconds, got.FirstByteSeconds)
				}
			}
			resp, err := client.Get(base + "/half")
			if err != nil {
				t.Fatal(err)
			}
			if log, _ := WatchRequests(id); log.InFlight != 1 || log.Total != uint64(len(watchedExchanges)) {
				t.Errorf("while a response comes: got %d in flight and %d ended, want 1 and %d", log.InFlight, log.Total, len(watchedExchanges))
			}
			close(release)
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Fatal("a response cut off gave no error")
			}
			resp.Body.Close()
			log, err := WatchRequests(id)
			if err != nil || log.Total != uint64(len(watchedExchanges)+1) {
				t.Fatalf("got %d, %v; want one more", log.Total, err)
			}
			if got := log.Requests[0]; got.Status != 200 || got.ErrorType == "" || *got.ResponseBytes != 3 {
				t.Errorf("a response cut off: got %+v, want a status, an error and 3 bytes", got)
			}
		})
	}
}

func TestWatchRefuses(t *testing.T) {
	if _, err := WatchRequests(1 << 62); !errors.Is(err, ErrNotOpen) {
		t.Errorf("an unknown connection: got %v, want ErrNotOpen", err)
	}
}

// A connection is let go a minute after the last question, and then costs nothing any more.
func TestWatchEnds(t *testing.T) {
	t.Cleanup(letGo)
	m := newMeter(t)
	synctest.Test(t, func(t *testing.T) {
		var conns []net.Conn
		front, err := NewListener(&pipes{}, m.option(), WithName("watch-end"))
		if err != nil {
			t.Fatal(err)
		}
		for range maxWatched + 1 {
			c, err := front.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			conns = append(conns, c)
		}
		for _, c := range conns[:maxWatched] {
			if _, err := WatchRequests(statsOf(c).ID()); err != nil {
				t.Fatal(err)
			}
		}
		last := statsOf(conns[maxWatched])
		if _, err := WatchRequests(last.ID()); !errors.Is(err, ErrWatchedFull) {
			t.Errorf("one more than %d: got %v, want ErrWatchedFull", maxWatched, err)
		}
		first := statsOf(conns[0])
		for range 3 {
			time.Sleep(watchFor - time.Second)
			if _, err := WatchRequests(first.ID()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if !first.Watched() {
				t.Fatal("it was let go while somebody asked")
			}
		}
		if statsOf(conns[1]).Watched() {
			t.Error("a connection that nobody asks for is still watched")
		}
		if _, err := WatchRequests(last.ID()); err != nil {
			t.Errorf("there is room again: got %v", err)
		}
		time.Sleep(watchFor)
		synctest.Wait()
		if first.Watched() || last.Watched() {
			t.Error("still watched a minute after the last question")
		}
		first.KeepRequest(RequestInfo{})
		watches.mu.Lock()
		defer watches.mu.Unlock()
		if n := len(watches.byID); n != 0 {
			t.Errorf("%d watches are left, want none", n)
		}
	})
}

// pipes is a listener that accepts one end of a pipe for each call.
type pipes struct{}

func (*pipes) Accept() (net.Conn, error) { c, _ := net.Pipe(); return c, nil }
func (*pipes) Close() error              { return nil }
func (*pipes) Addr() net.Addr            { return &net.UnixAddr{} }

// Requests, questions and the end of watching at the same time.
func TestWatchConcurrently(t *testing.T) {
	t.Cleanup(letGo)
	m := newMeter(t)
	front, err := NewListener(&pipes{}, m.option())
	if err != nil {
		t.Fatal(err)
	}
	c, err := front.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := statsOf(c)
	if _, err := WatchRequests(s.ID()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				s.KeepRequest(RequestInfo{Status: 200})
			}
		})
		wg.Go(func() {
			for range 100 {
				log, err := WatchRequests(s.ID())
				if err != nil || uint64(len(log.Requests)) != min(log.Total, watchedRequests) {
					t.Errorf("got %d of %d, %v", len(log.Requests), log.Total, err)
				}
			}
		})
	}
	wg.Wait()
	if log, _ := WatchRequests(s.ID()); log.Total != 4000 {
		t.Errorf("got %d requests, want 4000", log.Total)
	}
}
