package otelnet

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// stranger makes requests in which everything is chosen at random that somebody outside can choose.
type stranger struct{ rng *rand.Rand }

func newStranger(seed uint64) stranger { return stranger{rand.New(rand.NewPCG(seed, 2))} }

func (s stranger) word() string {
	b := make([]byte, 1+s.rng.IntN(12))
	for i := range b {
		b[i] = byte('a' + s.rng.IntN(26))
	}
	return string(b)
}

// knownMethods are those that have a series of their own.
var knownMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}

// method is a known one half of the time, else any word.
func (s stranger) method() string {
	if s.rng.IntN(2) == 0 {
		return strings.ToUpper(s.word())
	}
	return knownMethods[s.rng.IntN(len(knownMethods))]
}

// path is one of strangersMux's routes two times of three.
func (s stranger) path() string {
	switch s.rng.IntN(3) {
	case 0:
		return "/items/" + s.word()
	case 1:
		return "/upload/" + s.word() + "/" + s.word()
	}
	return "/" + s.word() + "/" + s.word()
}

func (s stranger) host() string { return s.word() + ".example:" + strconv.Itoa(s.rng.IntN(65536)) }

func (s stranger) header() http.Header {
	return http.Header{
		"User-Agent": {s.word()}, "X-Forwarded-For": {s.word()}, "X-Forwarded-Host": {s.word()},
		"X-Forwarded-Proto": {s.word()}, "X-Forwarded-Port": {s.word()}, "Forwarded": {"for=" + s.word()},
	}
}

func strangersMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/upload/{name...}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	return mux
}

// seriesOf is what one request may differ in, as the witness sees it.
func seriesOf(method, path string, status int) string {
	if !slices.Contains(knownMethods, method) {
		method = other
	}
	route := ""
	switch {
	case status == http.StatusOK:
		route = "/items/{id}"
	case strings.HasPrefix(path, "/upload/"):
		route = "/upload/{name...}"
	}
	return fmt.Sprint(method, route, status)
}

func liveHeap() uint64 {
	runtime.GC()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return ms.HeapAlloc
}

// A stranger chooses Host, port, method, path and headers. The series are those of the routes, the closed set of methods
// and the statuses, and memory does not grow with what he sends.
func TestStrangers(t *testing.T) {
	requests, warm := 1_000_000, 100_000
	if raceDetector || testing.Short() {
		requests, warm = 60_000, 20_000
	}
	s := newStranger(1)
	m := newMeter(t)
	h := NewHandler(cover(Routes(strangersMux())), "test", m.option(), WithBodySizes())
	want := map[string]bool{}
	var before uint64
	for i := range requests {
		if i == warm {
			before = liveHeap()
		}
		method, path := s.method(), s.path()
		w := &statusOnly{header: http.Header{}}
		h.ServeHTTP(w, &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: s.word()}, RequestURI: path,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Host: s.host(), RemoteAddr: s.word() + ":" + s.word(), Header: s.header(),
		})
		want[seriesOf(method, path, w.status)] = true
	}
	if after := liveHeap(); after > before+512<<10 {
		t.Errorf("heap: %d kB after %d requests, %d kB after %d; want it flat", before>>10, warm, after>>10, requests)
	}
	if len(want) < 20 || len(want) > 60 {
		t.Fatalf("the witness saw %d different requests, want some dozens", len(want))
	}
	for _, name := range []string{metricHTTPServerDuration, metricHTTPServerResponseSize, metricHTTPServerRequestSize} {
		if got := m.series(name); got != len(want) {
			t.Errorf("series of %s: got %d, want %d", name, got, len(want))
		}
	}
	if got := m.series(metricHTTPServerActive); got != len(knownMethods)+1 {
		t.Errorf("series of %s: got %d, want %d", metricHTTPServerActive, got, len(knownMethods)+1)
	}
	if got := m.sum(metricHTTPServerDuration); got != int64(requests) {
		t.Errorf("requests: got %d, want %d", got, requests)
	}
}

// The same over sockets, from ever new connections: there the listener's and the server's own ways are in it too.
func TestStrangersOverSockets(t *testing.T) {
	strangers, conns, each := 4, 50, 100 // one connection after another of each stranger, requests of a connection
	if raceDetector || testing.Short() {
		conns = 20
	}
	m := newMeter(t)
	srv := &http.Server{Handler: NewHandler(cover(Routes(strangersMux())), "test", m.option()), ErrorLog: discardLog()}
	Instrument(srv)
	ln := serve(t, srv, false, m.option(), WithName("strangers"))
	seen := make([]map[string]bool, strangers)
	rounds := 0
	visit := func() {
		rounds++
		var wg sync.WaitGroup
		for i := range strangers {
			if seen[i] == nil {
				seen[i] = map[string]bool{}
			}
			wg.Go(func() {
				s := newStranger(uint64(rounds*strangers + i))
				for range conns {
					if err := s.visit(ln.Addr().String(), each, seen[i]); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "all are gone", func() bool { return m.sum(metricServerActive) == 0 })
	}
	counts := func() map[string]int {
		n := map[string]int{}
		for _, p := range pointsOf(m.metrics()) {
			n[p.Metric]++
		}
		return n
	}
	visit()
	visit() // after this the ring of closed connections is as full as it will be
	before, series := liveHeap(), counts()
	visit()
	visit()
	if after := liveHeap(); after > before+1<<20 {
		t.Errorf("heap: %d kB, then %d kB; want it flat", before>>10, after>>10)
	}
	want := map[string]bool{}
	for _, one := range seen {
		maps.Copy(want, one)
	}
	got := counts()
	if got[metricHTTPServerDuration] != len(want) {
		t.Errorf("series of %s: got %d, want %d", metricHTTPServerDuration, got[metricHTTPServerDuration], len(want))
	}
	delete(got, metricHTTPServerDuration) // the rarest of all may have come late
	delete(series, metricHTTPServerDuration)
	if !maps.Equal(got, series) {
		t.Errorf("series: %v, after as many again %v", series, got)
	}
	total := int64(rounds * strangers * conns * each)
	if n := m.sum(metricHTTPServerDuration); n != total {
		t.Errorf("requests: got %d, want %d", n, total)
	}
	if n := m.sum(metricServerConnections); n != total/int64(each) {
		t.Errorf("connections: got %d, want %d", n, total/int64(each))
	}
}

// visit sends n requests on one connection and notes what came of them.
func (s stranger) visit(address string, n int, seen map[string]bool) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for range n {
		method, path := s.method(), s.path()
		if method == http.MethodConnect {
			method = http.MethodGet // its target is no path
		}
		var text bytes.Buffer
		fmt.Fprintf(&text, "%s %s?%s HTTP/1.1\r\nHost: %s\r\n", method, path, s.word(), s.host())
		_ = s.header().Write(&text)
		text.WriteString("\r\n")
		if _, err := c.Write(text.Bytes()); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, &http.Request{Method: method})
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		seen[seriesOf(method, path, resp.StatusCode)] = true
	}
	return nil
}

// series counts the points of a metric, whatever its kind.
func (m *meter) series(name string) int {
	m.t.Helper()
	n := 0
	for _, p := range pointsOf(m.metrics()) {
		if p.Metric == name {
			n++
		}
	}
	return n
}

// statusOnly is a ResponseWriter that keeps nothing but the status.
type statusOnly struct {
	header http.Header
	status int
}

func (w *statusOnly) Header() http.Header { return w.header }
func (w *statusOnly) WriteHeader(s int)   { w.status = s }
func (w *statusOnly) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = 200
	}
	return len(b), nil
}
