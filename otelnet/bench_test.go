package otelnet

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// nullConn is a net.Conn whose calls cost next to nothing, so that what the wrapper adds can be seen.
type nullConn struct{}

func (nullConn) Read(b []byte) (int, error)       { return len(b), nil }
func (nullConn) Write(b []byte) (int, error)      { return len(b), nil }
func (nullConn) Close() error                     { return nil }
func (nullConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (nullConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (nullConn) SetDeadline(time.Time) error      { return nil }
func (nullConn) SetReadDeadline(time.Time) error  { return nil }
func (nullConn) SetWriteDeadline(time.Time) error { return nil }

func benchEndpoint(b *testing.B) *endpoint {
	return scopeFor(newMeter(b).provider).endpoint(endpointKey{side: SideServer, name: "bench"}, emptySet)
}

func BenchmarkWriteMemory(b *testing.B) {
	ep := benchEndpoint(b)
	wrapped := wrapConn(nullConn{}, ep, countBest, nil)
	defer wrapped.Close()
	for name, c := range map[string]net.Conn{"bare": nullConn{}, "wrapped": wrapped} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p := make([]byte, 1)
			for b.Loop() {
				c.Write(p)
			}
		})
	}
}

func BenchmarkLoopback(b *testing.B) {
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	kernel, calls := listen(b, newMeter(b).option()), listen(b, newMeter(b).option())
	calls.(*tcpListener).mode = countByCalls
	for _, tt := range []struct {
		name string
		ln   net.Listener
	}{{"bare", bare}, {"kernel", kernel}, {"calls", calls}} {
		b.Run(tt.name, func(b *testing.B) {
			server, client := pair(b, tt.ln)
			b.ReportAllocs()
			p := make([]byte, 1)
			for b.Loop() {
				client.Write(p)
				server.Read(p)
			}
		})
	}
}

func BenchmarkTrack(b *testing.B) {
	ep := benchEndpoint(b)
	for range 10_000 {
		s := &ConnStats{}
		s.openPacket(ep, nil)
		defer untrack(s)
	}
	b.ReportAllocs()
	for b.Loop() {
		s := &ConnStats{endpoint: ep}
		track(s)
		untrack(s)
	}
}

func BenchmarkAcceptClose(b *testing.B) {
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	for _, tt := range []struct {
		name string
		ln   net.Listener
	}{{"bare", bare}, {"wrapped", listen(b, newMeter(b).option())}} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, err := net.Dial("tcp", tt.ln.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				s, err := tt.ln.Accept()
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
				c.Close()
			}
		})
	}
}

// stayOpen lets one socket be wrapped and closed many times.
type stayOpen struct{}

func (stayOpen) Close() error { return nil }

// BenchmarkWrapClose is what a TCP connection pays for being counted, over its whole life.
func BenchmarkWrapClose(b *testing.B) {
	ep := benchEndpoint(b)
	ln := listen(b)
	server, _ := pair(b, ln)
	inner := server.(*tcpConn).TCPConn
	b.ReportAllocs()
	for b.Loop() {
		wrapTCP(inner, ep, countBest, true).(*tcpConn).stats.close(stayOpen{})
	}
}

func BenchmarkCollect(b *testing.B) {
	m := newMeter(b)
	ln := listen(b, m.option())
	const conns = 500
	for range conns {
		pair(b, ln)
	}
	b.ReportAllocs()
	for b.Loop() {
		sweep(scopeFor(m.provider))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/conns, "ns/conn")
}

func BenchmarkHandler(b *testing.B) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) })
	m := newMeter(b)
	for _, tt := range []struct {
		name string
		h    http.Handler
	}{
		{"bare", mux},
		{"otelnet", NewHandler(mux, "bench", m.option())},
		{"labels", NewHandler(mux, "bench", m.option(), WithProfileLabels())},
		{"otelhttp", otelhttp.NewHandler(mux, "bench", otelhttp.WithMeterProvider(m.provider))},
	} {
		b.Run(tt.name, func(b *testing.B) {
			w := &plainWriter{header: http.Header{}}
			r := httptest.NewRequest("GET", "/items/1", nil)
			b.ReportAllocs()
			for b.Loop() {
				tt.h.ServeHTTP(w, r)
			}
		})
	}
}

func BenchmarkTransport(b *testing.B) {
	base := &fakeTransport{resp: &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}}
	for _, tt := range []struct {
		name string
		rt   http.RoundTripper
	}{{"bare", base}, {"otelnet", NewTransport(base, newMeter(b).option())}} {
		b.Run(tt.name, func(b *testing.B) {
			req, _ := http.NewRequest("GET", "http://example.com/", http.NoBody)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := tt.rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
