package otelnet

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// A stranger chooses Host, port, method, path and headers. The series are those of the routes, the closed set of methods
// and the statuses, and memory does not grow with what he sends.
func TestStrangers(t *testing.T) {
	const requests, warm = 100_000, 20_000
	rng := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, 1+rng.IntN(12))
		for i := range b {
			b[i] = byte('a' + rng.IntN(26))
		}
		return string(b)
	}
	m := newMeter(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/upload/{name...}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	h := NewHandler(cover(Routes(mux)), "test", m.option(), WithBodySizes())

	known := map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "DELETE": true, "CONNECT": true, "OPTIONS": true, "TRACE": true, "PATCH": true, "QUERY": true}
	var methods []string
	for name := range known {
		methods = append(methods, name)
	}
	want := map[string]bool{}
	heap := func() uint64 {
		runtime.GC()
		var ms runtime.MemStats
		runtime.ReadMemStats(&ms)
		return ms.HeapAlloc
	}
	var before uint64
	for i := range requests {
		if i == warm {
			before = heap()
		}
		method := methods[rng.IntN(len(methods))]
		if i%2 == 0 {
			method = strings.ToUpper(word())
		}
		path, route := "/"+word()+"/"+word(), ""
		switch rng.IntN(3) {
		case 0:
			path = "/items/" + word()
		case 1:
			path, route = "/upload/"+word()+"/"+word(), "/upload/{name...}"
		}
		r := &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: word()}, RequestURI: path,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Host: word() + ".example:" + strconv.Itoa(rng.IntN(65536)), RemoteAddr: word() + ":" + word(),
			Header: http.Header{
				"User-Agent": {word()}, "X-Forwarded-For": {word()}, "X-Forwarded-Host": {word()},
				"X-Forwarded-Proto": {word()}, "X-Forwarded-Port": {word()},
			},
		}
		w := &statusOnly{header: http.Header{}}
		h.ServeHTTP(w, r)

		if w.status == 200 {
			route = "/items/{id}"
		}
		if !known[method] {
			method = other
		}
		want[fmt.Sprint(method, route, w.status)] = true
	}
	if after := heap(); after > before+512<<10 {
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
	if got := m.series(metricHTTPServerActive); got != len(known)+1 {
		t.Errorf("series of %s: got %d, want %d", metricHTTPServerActive, got, len(known)+1)
	}
	if got := m.sum(metricHTTPServerDuration); got != requests {
		t.Errorf("requests: got %d, want %d", got, requests)
	}
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
