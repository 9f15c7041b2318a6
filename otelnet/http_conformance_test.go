package otelnet

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// point is one point of a metric, in a form that can be compared.
type point struct {
	Metric string
	Unit   string
	Bounds int // how many, of a histogram
	Attrs  map[string]string
	Count  uint64
	Sum    int64 // of sizes
}

func pointsOf(metrics map[string]metricdata.Metrics) []point {
	var points []point
	for name, m := range metrics {
		add := func(set attribute.Set, bounds int, count uint64, sum int64) {
			attrs := map[string]string{}
			for _, kv := range set.ToSlice() {
				attrs[string(kv.Key)] = kv.Value.String()
			}
			points = append(points, point{name, m.Unit, bounds, attrs, count, sum})
		}
		switch d := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				add(p.Attributes, len(p.Bounds), p.Count, 0)
			}
		case metricdata.Histogram[int64]:
			for _, p := range d.DataPoints {
				add(p.Attributes, len(p.Bounds), p.Count, p.Sum)
			}
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				add(p.Attributes, 0, uint64(p.Value), 0)
			}
		}
	}
	key := func(p point) string { return p.Metric + encode(attributesOf(p)) }
	slices.SortFunc(points, func(a, b point) int { return strings.Compare(key(a), key(b)) })
	return points
}

func attributesOf(p point) attribute.Set {
	var kvs []attribute.KeyValue
	for k, v := range p.Attrs {
		kvs = append(kvs, attribute.String(k, v))
	}
	return attribute.NewSet(kvs...)
}

// exchange is one request that goes through otelhttp and through otelnet.
type exchange struct {
	name    string
	method  string
	path    string
	body    string
	client  bool // a request sent, else one served
	resp    *http.Response
	err     error
	wantErr string // error.type of ours
	sent    int64  // bytes that are served by ReadFrom
}

func (x exchange) response() *http.Response {
	if x.resp == nil {
		return nil
	}
	resp := *x.resp
	return &resp
}

// difference is one row of the table in docs/http.md: how what otelhttp emits becomes what otelnet emits.
type difference struct {
	id    string
	apply func(x exchange, theirs []point) []point
}

// each changes the points that are told to.
func each(change func(x exchange, p *point)) func(exchange, []point) []point {
	return func(x exchange, theirs []point) []point {
		for i := range theirs {
			theirs[i].Attrs = maps.Clone(theirs[i].Attrs)
			change(x, &theirs[i])
		}
		return theirs
	}
}

func without(drop func(x exchange, p point) bool) func(exchange, []point) []point {
	return func(x exchange, theirs []point) []point {
		return slices.DeleteFunc(slices.Clone(theirs), func(p point) bool { return drop(x, p) })
	}
}

var differences = []difference{
	{"server address", each(func(x exchange, p *point) {
		if !x.client {
			delete(p.Attrs, "server.address")
			delete(p.Attrs, "server.port")
		}
	})},
	{"server error.type", each(func(x exchange, p *point) {
		if status := p.Attrs["http.response.status_code"]; !x.client && status >= "500" {
			p.Attrs["error.type"] = status
		}
	})},
	{"route behind middleware", each(func(x exchange, p *point) {
		if strings.HasPrefix(x.path, "/hidden/") {
			p.Attrs["http.route"] = "/hidden/{id}"
		}
	})},
	{"panic", func(x exchange, theirs []point) []point {
		if x.path != "/panic" {
			return theirs
		}
		attrs := map[string]string{
			"error.type": "panic", "http.request.method": x.method, "http.route": "/panic",
			"network.protocol.name": "http", "network.protocol.version": "1.1", "url.scheme": "http",
		}
		for _, name := range []string{metricHTTPServerDuration, metricHTTPServerRequestSize, metricHTTPServerResponseSize} {
			p := point{Metric: name, Unit: "By", Bounds: len(sizeBounds), Attrs: attrs, Count: 1}
			if name == metricHTTPServerDuration {
				p.Unit, p.Bounds = "s", len(requestBounds)
			}
			theirs = append(theirs, p)
		}
		return theirs
	}},
	{"hijacked", without(func(x exchange, _ point) bool { return x.path == "/hijack" })},
	{"size bounds", each(func(_ exchange, p *point) {
		if p.Unit == "By" {
			p.Bounds = len(sizeBounds)
		}
	})},
	{"sendfile size", each(func(x exchange, p *point) {
		if p.Metric == metricHTTPServerResponseSize && x.sent > 0 && p.Sum == 0 {
			p.Sum = x.sent
		}
	})},
	{"HEAD size", each(func(x exchange, p *point) {
		if p.Metric == metricHTTPServerResponseSize && x.method == http.MethodHead {
			p.Sum = 0
		}
	})},
	{"request size", each(func(x exchange, p *point) {
		if p.Metric == metricHTTPServerRequestSize && p.Sum == 0 {
			p.Sum = int64(len(x.body))
		}
	})},
	{"method case", each(func(x exchange, p *point) {
		if x.method != strings.ToUpper(x.method) {
			p.Attrs["http.request.method"] = other
		}
	})},
	{"method QUERY", each(func(x exchange, p *point) {
		if x.method == "QUERY" {
			p.Attrs["http.request.method"] = "QUERY"
		}
	})},
	{"protocol version", each(func(_ exchange, p *point) {
		if p.Attrs["network.protocol.version"] == "2.0" {
			p.Attrs["network.protocol.version"] = "2"
		}
	})},
	{"client default port", each(func(x exchange, p *point) {
		if x.client {
			p.Attrs["server.port"] = "80"
		}
	})},
	{"client request size", without(func(_ exchange, p point) bool { return p.Metric == "http.client.request.body.size" })},
	{"client error.type", each(func(x exchange, p *point) {
		if x.client && x.wantErr != "" {
			p.Attrs["error.type"] = x.wantErr
		}
	})},
	{"client error protocol", each(func(x exchange, p *point) {
		if x.client && x.err != nil {
			delete(p.Attrs, "network.protocol.name")
			delete(p.Attrs, "network.protocol.version")
		}
	})},
	{"active requests", func(x exchange, theirs []point) []point {
		attrs := map[string]string{"http.request.method": x.method, "url.scheme": "http"}
		name := metricHTTPServerActive
		if x.client {
			attrs = map[string]string{"http.request.method": x.method, "server.address": "shop.example", "server.port": "80"}
			name = metricHTTPClientActive
		}
		attrs["http.request.method"] = methodOf(x.method).String()
		return append(theirs, point{Metric: name, Unit: unitRequest, Attrs: attrs})
	}},
}

func exchanges(t *testing.T) []exchange {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	answer := func(status int) *http.Response {
		return &http.Response{StatusCode: status, Proto: "HTTP/2.0", ProtoMajor: 2, Body: http.NoBody}
	}
	return []exchange{
		{name: "served", method: "GET", path: "/items/1"},
		{name: "served, unknown path", method: "GET", path: "/nowhere"},
		{name: "served, unknown method", method: "BREW", path: "/items/1"},
		{name: "served, lower-case method", method: "get", path: "/any"},
		{name: "served, QUERY", method: "QUERY", path: "/any"},
		{name: "served, body read", method: "POST", path: "/any", body: "hello", sent: 5},
		{name: "served, body left", method: "POST", path: "/fail", body: "hello"},
		{name: "served, 503", method: "GET", path: "/fail"},
		{name: "served, behind middleware", method: "GET", path: "/hidden/1"},
		{name: "served, file", method: "GET", path: "/file", sent: 50_000},
		{name: "served, HEAD", method: "HEAD", path: "/items/1"},
		{name: "panic", method: "GET", path: "/panic"},
		{name: "hijacked", method: "GET", path: "/hijack"},
		{name: "sent", client: true, method: "GET", resp: answer(200)},
		{name: "sent, with a body", client: true, method: "POST", body: "hello", resp: answer(201)},
		{name: "sent, unknown method", client: true, method: "BREW", resp: answer(200)},
		{name: "sent, 404", client: true, method: "GET", resp: answer(404), wantErr: "404"},
		{name: "sent, refused", client: true, method: "GET", err: refused, wantErr: "connection_refused"},
		{name: "sent, no such name", client: true, method: "GET", err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, wantErr: "dns_not_found"},
		{name: "sent, another error", client: true, method: "GET", err: errors.New("odd"), wantErr: other},
	}
}

// TestConformance sends the same requests through otelhttp and otelnet. What they emit is equal, but for the differences
// that docs/http.md lists.
func TestConformance(t *testing.T) {
	file := t.TempDir() + "/file"
	writeFile(t, file, 50_000)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "item") })
	mux.HandleFunc("/any", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	mux.HandleFunc("/fail", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	mux.HandleFunc("/hidden/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(file)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		w.(io.ReaderFrom).ReadFrom(f)
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Hijack() })
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hidden/") {
			cover(Routes(mux)).ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})

	used := map[string]bool{}
	for _, x := range exchanges(t) {
		t.Run(x.name, func(t *testing.T) {
			theirs, ours := newMeter(t), newMeter(t)
			if x.client {
				send(x, otelhttp.NewTransport(consuming{&fakeTransport{resp: x.response(), err: x.err}}, otelhttp.WithMeterProvider(theirs.provider)))
				send(x, NewTransport(consuming{&fakeTransport{resp: x.response(), err: x.err}}, ours.option()))
			} else {
				answerTo(x, otelhttp.NewHandler(inner, "x", otelhttp.WithMeterProvider(theirs.provider)))
				answerTo(x, NewHandler(inner, "x", ours.option(), WithBodySizes()))
			}
			want := pointsOf(theirs.metrics())
			for _, d := range differences {
				changed := d.apply(x, slices.Clone(want))
				if !cmp.Equal(changed, want) {
					used[d.id] = true
				}
				want = changed
			}
			slices.SortFunc(want, func(a, b point) int { return strings.Compare(a.Metric, b.Metric) })
			got := slices.DeleteFunc(pointsOf(ours.metrics()), func(p point) bool { return strings.HasPrefix(p.Metric, "otelnet.") })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("points (-otelhttp with the differences +otelnet):\n%s", diff)
			}
		})
	}

	text, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, tested []string
	for _, row := range regexp.MustCompile(`(?m)^\| \*\*(.+?)\*\* \|`).FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1])
	}
	for _, d := range differences {
		tested = append(tested, d.id)
		if !used[d.id] {
			t.Errorf("difference %q shows in no exchange", d.id)
		}
	}
	if diff := cmp.Diff(documented, tested); diff != "" {
		t.Errorf("differences (-docs/http.md +tested):\n%s", diff)
	}
}

// consuming closes the request's body, as a transport has to.
type consuming struct{ http.RoundTripper }

func (c consuming) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	return c.RoundTripper.RoundTrip(r)
}

func send(x exchange, rt http.RoundTripper) {
	var body io.Reader
	if x.body != "" {
		body = strings.NewReader(x.body)
	}
	req, _ := http.NewRequest(x.method, "http://shop.example/", body)
	resp, err := rt.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
}

// answerTo lets h answer with a writer that can do what net/http's can.
func answerTo(x exchange, h http.Handler) {
	defer func() { _ = recover() }()
	r := httptest.NewRequest(x.method, x.path, strings.NewReader(x.body)).WithContext(context.Background())
	h.ServeHTTP(&fullWriter{plainWriter: plainWriter{header: http.Header{}}}, r)
}

type fullWriter struct {
	plainWriter
	flushPart
	notifyPart
}

func (w *fullWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

func (w *fullWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a, b := net.Pipe()
	b.Close()
	return a, nil, nil
}
