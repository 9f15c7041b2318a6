package otelnet

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

// serveOnce lets h answer one request and returns what it wrote. A panic comes back as a value.
func serveOnce(h http.Handler, r *http.Request) (rec *httptest.ResponseRecorder, thrown any) {
	rec = httptest.NewRecorder()
	defer func() { thrown = recover() }()
	h.ServeHTTP(rec, r)
	return rec, nil
}

func TestRequestAttributes(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("example.com/host/", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/fail", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	mux.HandleFunc("/hint", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusAccepted)
		w.WriteHeader(http.StatusTeapot) // too late
	})
	mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) { panic("boom") })
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})

	attrs := func(method, version, route, errorType string, status int) attribute.Set {
		kvs := []attribute.KeyValue{
			attribute.String("http.request.method", method), attribute.String("url.scheme", "http"),
			attribute.String("network.protocol.name", "http"), attribute.String("network.protocol.version", version),
		}
		if status != 0 {
			kvs = append(kvs, attribute.Int("http.response.status_code", status))
		}
		if route != "" {
			kvs = append(kvs, attribute.String("http.route", route))
		}
		if errorType != "" {
			kvs = append(kvs, attribute.String("error.type", errorType))
		}
		return attribute.NewSet(kvs...)
	}
	tests := []struct {
		name, method, url string
		want              attribute.Set
		thrown            any
	}{
		{"implicit status", "GET", "/items/17", attrs("GET", "1.1", "/items/{id}", "", 200), nil},
		{"host in the pattern", "GET", "http://example.com/host/x", attrs("GET", "1.1", "/host/", "", 200), nil},
		{"no route", "GET", "/nowhere?q=1", attrs("GET", "1.1", "", "", 404), nil},
		{"a stranger's method", "BREW", "/fail", attrs("_OTHER", "1.1", "/fail", "503", 503), nil},
		{"first final status", "POST", "/hint", attrs("POST", "1.1", "/hint", "", 202), nil},
		{"panic", "GET", "/panic", attrs("GET", "1.1", "/panic", "panic", 0), "boom"},
		{"abort", "GET", "/abort", attrs("GET", "1.1", "/abort", "aborted", 200), http.ErrAbortHandler},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMeter(t)
			h := NewHandler(mux, "test", m.option())
			_, thrown := serveOnce(h, httptest.NewRequest(tt.method, tt.url, nil))
			if thrown != tt.thrown {
				t.Errorf("thrown: got %v, want %v", thrown, tt.thrown)
			}
			sets := m.attrSets(metricHTTPServerDuration)
			if len(sets) != 1 || sets[0] != tt.want {
				t.Errorf("attributes: got %v, want %v", encode(sets...), encode(tt.want))
			}
			if got := m.sum(metricHTTPServerDuration); got != 1 {
				t.Errorf("durations: got %d, want 1", got)
			}
			if got := m.sum(metricHTTPServerActive); got != 0 {
				t.Errorf("active afterwards: got %d, want 0", got)
			}
		})
	}
}

func encode(sets ...attribute.Set) string {
	var lines []string
	for _, s := range sets {
		lines = append(lines, s.Encoded(attribute.DefaultEncoder()))
	}
	return strings.Join(lines, "\n")
}

func TestActiveRequests(t *testing.T) {
	m := newMeter(t)
	h := NewHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if got := m.sum(metricHTTPServerActive, attribute.String("http.request.method", "PUT"), attribute.String("url.scheme", "https")); got != 1 {
			t.Errorf("active while serving: got %d, want 1", got)
		}
	}), "test", m.option())
	if got := len(m.attrSets(metricHTTPServerActive)); got != 0 {
		t.Errorf("series before the first request: got %d, want 0", got)
	}
	serveOnce(h, httptest.NewRequest("PUT", "https://example.com/", nil))
	if got := m.sum(metricHTTPServerActive); got != 0 {
		t.Errorf("active afterwards: got %d, want 0", got)
	}
}

// Nothing that a stranger sends makes a new series.
func TestStrangersMakeNoSeries(t *testing.T) {
	m := newMeter(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	h := NewHandler(mux, "test", m.option())
	for i := range 300 {
		word := strings.Repeat("X", i+1)
		r := httptest.NewRequest(word, "http://"+word+".example/"+word+"?"+word, nil)
		r.Header.Set("User-Agent", word)
		r.RemoteAddr = "192.0.2.1:" + word
		serveOnce(h, r)
	}
	if got := len(m.attrSets(metricHTTPServerDuration)); got != 1 {
		t.Errorf("series: got %d, want 1", got)
	}
}

func TestServerAddressOnlyIfConfigured(t *testing.T) {
	m := newMeter(t)
	h := NewHandler(http.NotFoundHandler(), "test", m.option(), WithServerAddress("shop.example", 8443), WithAttributes(attribute.String("zone", "a")))
	serveOnce(h, httptest.NewRequest("GET", "http://evil.example:99/", nil))
	if got := m.sum(metricHTTPServerDuration, attribute.String("server.address", "shop.example"), attribute.Int("server.port", 8443), attribute.String("zone", "a")); got != 1 {
		t.Errorf("got %v, want the configured address", encode(m.attrSets(metricHTTPServerDuration)...))
	}
}

func TestHandlerReportsBadOptions(t *testing.T) {
	handled.take()
	h := NewHandler(http.NotFoundHandler(), "test", newMeter(t).option(), WithServerAddress("", -1), nil)
	if got := handled.take(); len(got) != 1 || !strings.Contains(got[0], "WithServerAddress") {
		t.Errorf("reported %q, want one report of WithServerAddress", got)
	}
	if rec, _ := serveOnce(h, httptest.NewRequest("GET", "/", nil)); rec.Code != 404 {
		t.Errorf("status: got %d, want 404", rec.Code)
	}
}

func TestBodySizes(t *testing.T) {
	for name, tt := range map[string]struct {
		announced bool
		wantRead  int64
	}{"announced": {true, 5000}, "chunked": {false, 3000}} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			h := NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.CopyN(io.Discard, r.Body, 3000)
				io.WriteString(w, strings.Repeat("x", 700))
				w.Write(make([]byte, 77))
			}), "test", m.option(), WithBodySizes())
			r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("y", 5000)))
			if !tt.announced {
				r.ContentLength = -1
			}
			body := r.Body
			serveOnce(h, r)
			if r.Body != body {
				t.Error("the caller's request was changed")
			}
			if got := m.sum(metricHTTPServerRequestSize); got != tt.wantRead {
				t.Errorf("%s: got %d, want %d", metricHTTPServerRequestSize, got, tt.wantRead)
			}
			if got := m.sum(metricHTTPServerResponseSize); got != 777 {
				t.Errorf("%s: got %d, want 777", metricHTTPServerResponseSize, got)
			}
		})
	}
}

func TestBodySizesAreOptional(t *testing.T) {
	m := newMeter(t)
	serveOnce(NewHandler(http.NotFoundHandler(), "test", m.option()), httptest.NewRequest("GET", "/", nil))
	if got := len(m.metrics()[metricHTTPServerResponseSize].Name); got != 0 {
		t.Errorf("%s is there without being asked for", metricHTTPServerResponseSize)
	}
}

// A hijacked session is no latency, and no active request.
func TestHijack(t *testing.T) {
	m := newMeter(t)
	during := make(chan int64, 1)
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer conn.Close()
		during <- m.sum(metricHTTPServerActive)
		line, _ := rw.ReadString('\n')
		rw.WriteString("you said " + line)
		rw.Flush()
	}), "test", m.option())}
	Instrument(srv)
	ln := serve(t, srv, false, m.option(), WithName("front"))
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent, _ := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := <-during; got != 0 {
		t.Errorf("active while hijacked: got %d, want 0", got)
	}
	more, _ := io.WriteString(c, "hello\n")
	answer, _ := bufio.NewReader(c).ReadString('\n')
	if answer != "you said hello\n" {
		t.Errorf("got %q", answer)
	}
	eventually(t, "the connection has ended", func() bool { return m.sum(metricServerActive) == 0 })
	m.wantIO(int64(len(answer)), int64(sent+more))
	if got := m.sum(metricHTTPServerDuration); got != 0 {
		t.Errorf("durations: got %d, want 0", got)
	}
}

// A handler of ours inside another one records nothing twice.
func TestNestedHandlers(t *testing.T) {
	m := newMeter(t)
	inner := NewHandler(http.NotFoundHandler(), "inner", m.option())
	outer := NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(struct{ unwrapper }{unwrapper{w}}, r)
	}), "outer", m.option())
	serveOnce(outer, httptest.NewRequest("GET", "/", nil))
	if got := m.sum(metricHTTPServerDuration); got != 1 {
		t.Errorf("durations: got %d, want 1", got)
	}
}

// unwrapper is a middleware's writer that shows what it wraps.
type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestRoutesSurvivesMiddleware(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/items/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "bad" {
			panic("boom")
		}
	})
	middleware := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			type key struct{}
			// Neither the writer nor the request shows what it came from.
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r.WithContext(context.WithValue(r.Context(), key{}, 1)))
		})
	}
	route := attribute.String("http.route", "/items/{id}")
	for name, tt := range map[string]struct {
		inner http.Handler
		path  string
		want  int64
	}{
		"without": {mux, "/items/1", 0},
		"with":    {Routes(mux), "/items/1", 1},
		"panic":   {Routes(mux), "/items/bad", 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			serveOnce(NewHandler(middleware(tt.inner), "test", m.option()), httptest.NewRequest("GET", tt.path, nil))
			if got := m.sum(metricHTTPServerDuration, route); got != tt.want {
				t.Errorf("requests with the route: got %d, want %d", got, tt.want)
			}
		})
	}
	// Alone it is transparent.
	if rec, _ := serveOnce(Routes(http.NotFoundHandler()), httptest.NewRequest("GET", "/", nil)); rec.Code != 404 {
		t.Errorf("Routes alone: got status %d, want 404", rec.Code)
	}
}

func TestHandlerAllocations(t *testing.T) {
	inUse := routesInUse.Swap(false)
	defer routesInUse.Store(inUse)
	m := newMeter(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) })
	handler := NewHandler(mux, "test", m.option())
	r := httptest.NewRequest("GET", "/items/1", nil)
	w := &plainWriter{header: http.Header{}}
	count := func(h http.Handler) float64 {
		return testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) })
	}
	bare := count(mux)
	if got := count(handler) - bare; got > 1 {
		t.Errorf("allocations a request over bare: got %v, want at most 1", got)
	}
	routesInUse.Store(true)
	if got := count(handler) - bare; got > 2 {
		t.Errorf("allocations a request with Routes in use: got %v, want at most 2", got)
	}
}

// plainWriter is a ResponseWriter with no optional interface.
type plainWriter struct{ header http.Header }

func (w *plainWriter) Header() http.Header         { return w.header }
func (w *plainWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *plainWriter) WriteHeader(int)             {}
