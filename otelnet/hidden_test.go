package otelnet

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/netutil"
)

// All of many connections that are opened at once find their own, and nobody else's.
func TestHiddenConnectionsFindThemselves(t *testing.T) {
	m := newMeter(t)
	var mu sync.Mutex
	peers := map[string]uint64{} // connection by the client's address
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ok := ConnFromContext(r.Context())
		if !ok {
			t.Error("a request has no connection")
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if before, known := peers[r.RemoteAddr]; known && before != s.ID() {
			t.Errorf("%s has the connections %d and %d", r.RemoteAddr, before, s.ID())
		}
		peers[r.RemoteAddr] = s.ID()
	}), "hidden", m.option())}
	Instrument(srv)
	name := uniqueName("many hidden")
	ln := listen(t, m.option(), WithName(name))
	serveOn(t, srv, false, netutil.LimitListener(ln, 1000))
	const clients, requests = 100, 3
	var all sync.WaitGroup
	for range clients {
		client := insecureClient(t, false, false)
		all.Go(func() {
			for range requests {
				resp, err := client.Get("http://" + ln.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	all.Wait()
	eventually(t, "each connection idle with its requests", func() bool {
		counted := uint64(0)
		for _, row := range Connections(Filter{Match: name}) {
			if counted += row.Requests; row.State != "idle" || peers[row.Peer] != row.ID {
				return false
			}
		}
		return counted == clients*requests
	})
}

// What a handler takes over inside a wrapper counts as upgraded until it ends.
func TestHiddenConnectionIsTakenOver(t *testing.T) {
	m := newMeter(t)
	taken := make(chan net.Conn, 1)
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		taken <- c
	}), "hidden", m.option())}
	Instrument(srv)
	ln := listen(t, m.option(), WithName(uniqueName("taken")))
	serveOn(t, srv, false, netutil.LimitListener(ln, 8))
	client := dialAndAsk(t, ln.Addr(), "")
	c := <-taken
	if got := m.sum(metricServerUpgraded); got != 1 {
		t.Errorf("%d upgraded connections, want 1", got)
	}
	c.Close()
	client.Close()
	eventually(t, "none is upgraded", func() bool { return m.sum(metricServerUpgraded) == 0 })
}

// dialAndAsk sends the header, if any, and a request.
func dialAndAsk(t *testing.T, addr net.Addr, header string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, header+"GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return c
}

// A wrapped listener of another package has nothing to find.
func TestStrangersStayUnjoined(t *testing.T) {
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, ok := ConnFromContext(r.Context()); ok {
			t.Errorf("joined to %d", s.ID())
		}
	}), "hidden", newMeter(t).option())}
	Instrument(srv)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, srv, false, netutil.LimitListener(ln, 8))
	get(t, insecureClient(t, false, false), "http://"+ln.Addr().String())
}

// Wrappers that read before they know their addresses, as those of the PROXY protocol do, are not asked where connections are accepted: a
// client that sends nothing must not keep others out.
func TestSilentHiddenConnectionHoldsNobodyUp(t *testing.T) {
	m := newMeter(t)
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := ConnFromContext(r.Context()); !ok {
			t.Error("the request has no connection")
		}
	}), "hidden", m.option())}
	Instrument(srv)
	ln := listen(t, m.option())
	serveOn(t, srv, false, netutil.LimitListener(headerListener{ln}, 8)) // what limits it hides Raw
	silent, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := dialAndAsk(t, ln.Addr(), "P")
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("the second client has no answer: %v", err)
	}
	resp.Body.Close()
}
