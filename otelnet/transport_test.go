package otelnet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/net/dns/dnsmessage"
)

func TestClientRequest(t *testing.T) {
	m := newMeter(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(code)
		io.WriteString(w, "body")
	}))
	defer srv.Close()
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	tr := NewTransport(nil, m.option())
	client := &http.Client{Transport: tr}
	defer client.CloseIdleConnections()

	for _, status := range []int{200, 404, 503} {
		resp, err := client.Get(srv.URL + "/" + strconv.Itoa(status))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.sum(metricHTTPClientActive); got != 1 {
			t.Errorf("active before the body's end: got %d, want 1", got)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "body" || err != nil {
			t.Fatalf("body: got %q, %v", b, err)
		}
		if got := m.sum(metricHTTPClientActive); got != 0 {
			t.Errorf("active after the body's end: got %d, want 0", got)
		}
		resp.Body.Close()
		resp.Body.Close()
		if got := m.sum(metricHTTPClientActive); got != 0 {
			t.Errorf("active after close: got %d, want 0", got)
		}

		want := []attribute.KeyValue{
			attribute.String("http.request.method", "GET"), attribute.Int("http.response.status_code", status),
			attribute.String("url.scheme", "http"), attribute.String("server.address", "127.0.0.1"), attribute.Int("server.port", port),
			attribute.String("network.protocol.name", "http"), attribute.String("network.protocol.version", "1.1"),
		}
		if status >= 400 {
			want = append(want, errType(strconv.Itoa(status)))
		}
		found := false
		for _, set := range m.attrSets(metricHTTPClientDuration) {
			found = found || set == attribute.NewSet(want...)
		}
		if !found {
			t.Errorf("status %d: got %s, want one with %v", status, encode(m.attrSets(metricHTTPClientDuration)...), want)
		}
	}
	// Without a base the connections are counted too, and reused.
	if got := m.sum(metricClientConnections, attribute.Int("server.port", port)); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
	client.CloseIdleConnections()
	eventually(t, "the pooled connection has ended", func() bool { return m.sum(metricClientActive) == 0 })
}

func TestClientErrorTypes(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	soon, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer stop()
	secure, plain := quietTLSServer(), httptest.NewServer(http.NotFoundHandler())
	defer secure.Close()
	defer plain.Close()
	silent := listen(t) // accepts in the kernel, answers nothing
	hangsUp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangsUp.Close()
	go func() {
		if c, err := hangsUp.Accept(); err == nil {
			c.Read(make([]byte, 4096))
			c.Close()
		}
	}()

	for want, tt := range map[string]struct {
		ctx context.Context
		url string
	}{
		"connection_refused": {context.Background(), "http://" + closedPort(t)},
		"canceled":           {canceled, "http://127.0.0.1:1"},
		"timeout":            {soon, "http://" + silent.Addr().String()},
		"eof":                {context.Background(), "http://" + hangsUp.Addr().String()},
		"tls_certificate":    {context.Background(), secure.URL},
		"not_tls":            {context.Background(), "https" + strings.TrimPrefix(plain.URL, "http")},
		"dns_not_found":      {context.Background(), "http://nowhere.test.:80"},
	} {
		t.Run(want, func(t *testing.T) {
			m := newMeter(t)
			d := newTestDialer(t, &net.Dialer{Resolver: nameServer(t, dnsmessage.RCodeNameError, false)}, m.option())
			tr := NewTransport(&http.Transport{DialContext: d.DialContext}, m.option())
			defer tr.CloseIdleConnections()
			req, _ := http.NewRequestWithContext(tt.ctx, "GET", tt.url, nil)
			if _, err := tr.RoundTrip(req); err == nil {
				t.Fatal("got no error")
			}
			if got := m.sum(metricHTTPClientDuration, errType(want)); got != 1 {
				t.Errorf("requests with %q: got %d of %s, want 1", want, got, encode(m.attrSets(metricHTTPClientDuration)...))
			}
			if got := m.sum(metricHTTPClientActive); got != 0 {
				t.Errorf("active afterwards: got %d, want 0", got)
			}
			if got := m.sum(metricClientResponseDuration); got != 0 {
				t.Errorf("response durations without a response: got %d, want 0", got)
			}
		})
	}
}

func TestTransportAllocations(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{"no body": http.NoBody, "body": io.NopCloser(iotest.ErrReader(io.EOF))} {
		base := &fakeTransport{}
		tr := NewTransport(base, newMeter(t).option())
		req, _ := http.NewRequest("GET", "http://example.com/", http.NoBody)
		resp := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1}
		base.resp = resp
		got := testing.AllocsPerRun(200, func() {
			resp.Body = body
			tr.RoundTrip(req)
			resp.Body.Read(nil)
			resp.Body.Close()
		})
		if got > 3 {
			t.Errorf("%s: got %v allocations a request over bare, want at most 3", name, got)
		}
	}
}

// The response leads to the request that the caller sent, and the caller's request is not changed.
func TestResponseRequest(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	tr := NewTransport(nil, newMeter(t).option())
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequest("GET", srv.URL, nil)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Request != req {
		t.Error("resp.Request is another request")
	}
	if req.Context() != context.Background() {
		t.Error("the request's context was changed")
	}
}

// fakeTransport answers what it is told to.
type fakeTransport struct {
	resp *http.Response
	err  error
	idle int
}

func (f *fakeTransport) RoundTrip(*http.Request) (*http.Response, error) { return f.resp, f.err }
func (f *fakeTransport) CloseIdleConnections()                           { f.idle++ }

func TestTransportKeepsClientSemantics(t *testing.T) {
	m := newMeter(t)
	base := &fakeTransport{}
	client := &http.Client{Transport: NewTransport(base, m.option())}
	send := func() (*http.Response, error) { return client.Get("http://example.com/") }

	base.err = errors.New("base says no")
	if _, err := send(); !errors.Is(err, base.err) {
		t.Errorf("error: got %v, want the base's", err)
	}

	type socket struct{ io.ReadWriteCloser }
	upgraded := socket{}
	base.err, base.resp = nil, &http.Response{StatusCode: 101, Body: upgraded}
	resp, err := send()
	if err != nil || resp.Body != upgraded {
		t.Errorf("the body of 101: got %T, %v, want the base's own", resp.Body, err)
	}

	base.resp = &http.Response{StatusCode: 204, Body: http.NoBody}
	if resp, err := send(); err != nil || resp.Body != http.NoBody {
		t.Errorf("no body: got %v, %v, want http.NoBody", resp.Body, err)
	}

	cut := errors.New("cut")
	base.resp = &http.Response{StatusCode: 200, Body: io.NopCloser(iotest.ErrReader(cut))}
	resp, err = send()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != cut {
		t.Errorf("read: got %v, want %v", err, cut)
	}
	if got := m.sum(metricHTTPClientActive); got != 0 {
		t.Errorf("active afterwards: got %d, want 0", got)
	}

	client.CloseIdleConnections()
	if base.idle != 1 {
		t.Errorf("CloseIdleConnections reached the base %d times, want 1", base.idle)
	}
}

func TestClientHostsAreCapped(t *testing.T) {
	m := newMeter(t)
	tr := NewTransport(&fakeTransport{err: errors.New("no")}, m.option(), WithTargetLimit(3))
	for i := range 50 {
		req, _ := http.NewRequest("GET", "http://host"+strconv.Itoa(i)+".example/", nil)
		tr.RoundTrip(req)
	}
	hosts := map[string]bool{}
	for _, set := range m.attrSets(metricHTTPClientDuration) {
		v, _ := set.Value("server.address")
		hosts[v.AsString()] = true
	}
	if len(hosts) != 4 || !hosts["host0.example"] || !hosts[other] {
		t.Errorf("got %v, want three hosts and %s", hosts, other)
	}
	if got := m.sum(metricHTTPClientDuration, attribute.String("server.address", other)); got != 47 {
		t.Errorf("requests to %s: got %d, want 47", other, got)
	}
}

func TestSplitHost(t *testing.T) {
	for _, tt := range []struct {
		https bool
		host  string
		want  target
	}{
		{false, "example.com", target{"example.com", 80}},
		{true, "Example.COM", target{"example.com", 443}},
		{true, "example.com:8443", target{"example.com", 8443}},
		{false, "[::1]:99", target{"::1", 99}},
		{false, "[::1]", target{"::1", 80}},
		{false, "example.com:", target{"example.com", 80}},
		{false, "", target{"", 80}},
	} {
		if got := splitHost(tt.https, tt.host); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.host, got, tt.want)
		}
	}
}

func TestTransportPassesBadRequestsOn(t *testing.T) {
	tr := NewTransport(nil, newMeter(t).option())
	if _, err := tr.RoundTrip(&http.Request{}); err == nil {
		t.Error("a request without URL: got no error")
	}
}

// The request that is sent has one trace, with our hook and those that the caller had.
func TestTransportKeepsTrace(t *testing.T) {
	for _, own := range []bool{false, true} {
		m := newMeter(t)
		var seen, ours int
		base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			trace := httptrace.ContextClientTrace(r.Context())
			if trace == nil || trace.GotConn == nil {
				t.Fatal("no trace")
			}
			trace.GotConn(httptrace.GotConnInfo{})
			ours++
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
		})
		ctx := context.Background()
		if own {
			ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { seen++ }})
		}
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://example.com", nil)
		resp, err := NewTransport(base, m.option()).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := m.sum(metricClientConnUses); got != int64(ours) {
			t.Errorf("own trace %t: connections: got %d, want %d", own, got, ours)
		}
		if want := map[bool]int{true: 1}[own]; seen != want {
			t.Errorf("own trace %t: the caller's hook was called %d times, want %d", own, seen, want)
		}
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("odd") }

// A transport that panics leaves no request behind. The panic goes on.
func TestTransportThatPanics(t *testing.T) {
	m := newMeter(t)
	tr := NewTransport(panicking{}, m.option())
	func() {
		defer func() {
			if got := recover(); got != "odd" {
				t.Errorf("recovered %v, want the transport's own panic", got)
			}
		}()
		tr.RoundTrip(httptest.NewRequest("GET", "http://shop.example/", nil))
	}()
	if got := m.sum(metricHTTPClientActive); got != 0 {
		t.Errorf("active: got %d, want 0", got)
	}
}

// Who wraps twice, as a library does that wraps http.DefaultTransport, is told everything once; two providers each.
func TestTransportInsideAnother(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	one, two := newMeter(t), newMeter(t)
	base := NewTransport(nil, one.option())
	client := &http.Client{Transport: NewTransport(NewTransport(base, one.option()), two.option())}
	defer client.CloseIdleConnections()
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	for name, m := range map[string]*meter{"twice the same": one, "another": two} {
		for _, metric := range []string{metricHTTPClientDuration, metricClientResponseDuration, metricClientConnUses} {
			if got := m.sum(metric); got != 1 {
				t.Errorf("%s, %s: got %d, want 1", name, metric, got)
			}
		}
		if got := m.sum(metricHTTPClientActive); got != 0 {
			t.Errorf("%s: %d are active, want 0", name, got)
		}
	}
}
