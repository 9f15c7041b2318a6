package otelnet

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/net/nettest"
)

var (
	transmit = attribute.String("network.io.direction", "transmit")
	receive  = attribute.String("network.io.direction", "receive")
)

func reason(r string) attribute.KeyValue { return attribute.String("otelnet.close_reason", r) }

func errType(e string) attribute.KeyValue { return attribute.String("error.type", e) }

// modes are the two ways of counting TCP. On a platform without kernel counts both are the same.
var modes = map[string]counting{"best": countBest, "asking": countAsking, "calls": countByCalls}

// eachMode runs a test with a listener that counts in each of the two ways.
func eachMode(t *testing.T, f func(t *testing.T, m *meter, ln net.Listener)) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			ln := listen(t, m.option(), WithName("front"))
			ln.(*tcpListener).mode = mode
			f(t, m, ln)
		})
	}
}

func (m *meter) wantIO(sent, received int64) {
	m.t.Helper()
	listener := attribute.String("otelnet.listener", "front")
	if got := m.sum(metricIO, transmit, listener, attribute.String("otelnet.side", "server")); got != sent {
		m.t.Errorf("%s transmit: got %d, want %d", metricIO, got, sent)
	}
	if got := m.sum(metricIO, receive, listener); got != received {
		m.t.Errorf("%s receive: got %d, want %d", metricIO, got, received)
	}
}

// wantEnd checks that exactly one connection has ended, for this reason.
func (m *meter) wantEnd(reason, errorType string) {
	m.t.Helper()
	sets := m.attrSets(metricServerDuration)
	if got := m.sum(metricServerDuration); got != 1 || len(sets) != 1 {
		m.t.Fatalf("durations recorded: got %d, want 1", got)
	}
	if v, _ := sets[0].Value("otelnet.close_reason"); v.AsString() != reason {
		m.t.Errorf("close reason: got %q, want %q", v.AsString(), reason)
	}
	v, _ := sets[0].Value("error.type")
	if v.AsString() != errorType {
		m.t.Errorf("error.type: got %q, want %q", v.AsString(), errorType)
	}
	want := int64(0)
	if errorType != "" {
		want = 1
	}
	if got := m.sum(metricConnErrors); got != want {
		m.t.Errorf("%s: got %d, want %d", metricConnErrors, got, want)
	}
	if got := m.sum(metricServerActive); got != 0 {
		m.t.Errorf("active: got %d, want 0", got)
	}
}

func TestBytesAreThoseThePeerSaw(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, client := pair(t, ln)
		mustWrite(t, client, 1000)
		mustRead(t, server, 1000)
		mustWrite(t, server, 70_000)
		mustRead(t, client, 70_000)

		stats := statsOf(server)
		if got := stats.SentBytes(); stats.ReceivedBytes() != 1000 || got != 70_000 {
			t.Errorf("stats while open: got %d sent, %d received, want 70000, 1000", got, stats.ReceivedBytes())
		}
		m.wantIO(70_000, 1000)
		if got := m.sum(metricServerActive); got != 1 {
			t.Errorf("active while open: got %d, want 1", got)
		}

		client.Close()
		if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("read after the peer's close: got %d, %v, want 0, EOF", n, err)
		}
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := server.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second close: got %v, want net.ErrClosed as from the bare conn", err)
		}
		m.wantIO(70_000, 1000)
		m.wantEnd("remote", "")
		if got := m.sum(metricServerConnections); got != 1 {
			t.Errorf("connections: got %d, want 1", got)
		}
		if got := stats.SentBytes(); got != 70_000 {
			t.Errorf("sent after close: got %d, want 70000", got)
		}
	})
}

func TestLocalClose(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, client := pair(t, ln)
		mustWrite(t, server, 10)
		server.Close()
		mustRead(t, client, 10)
		m.wantIO(10, 0)
		m.wantEnd("local", "")
	})
}

func TestCloseWakesReadWithoutError(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, _ := pair(t, ln)
		done := make(chan error)
		go func() {
			_, err := server.Read(make([]byte, 1))
			done <- err
		}()
		server.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: got %v, want net.ErrClosed", err)
		}
		m.wantEnd("local", "")
	})
}

func TestHalfClose(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, client := pair(t, ln)
		mustWrite(t, server, 5000)
		if err := server.(closeWriter).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, client); n != 5000 || err != nil {
			t.Fatalf("peer read %d, %v, want 5000, nil", n, err)
		}
		mustWrite(t, client, 300) // the other direction is still open
		client.Close()
		if n, err := io.Copy(io.Discard, server); n != 300 || err != nil {
			t.Fatalf("read %d, %v, want 300, nil", n, err)
		}
		server.Close()
		m.wantIO(5000, 300)
		m.wantEnd("local", "")
	})
}

func TestReset(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, client := pair(t, ln)
		mustWrite(t, server, 100)
		mustRead(t, client, 100)
		client.(*net.TCPConn).SetLinger(0)
		client.Close()
		if _, err := server.Read(make([]byte, 1)); err == nil {
			t.Fatal("read after a reset: got no error")
		}
		server.Close()
		m.wantIO(100, 0)
		m.wantEnd("reset", "connection_reset")
	})
}

// The reset comes while nobody reads, so only the kernel knows of it.
func TestResetUnread(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option(), WithName("front"))
	server, client := pair(t, ln)
	stats := statsOf(server)
	needKernelCounts(t, stats)
	client.(*net.TCPConn).SetLinger(0)
	client.Close()
	waitState(t, stats, 7)
	server.Close()
	m.wantIO(0, 0)
	m.wantEnd("reset", "connection_reset")
}

// The peer's end of data is not read before a write meets the reset that follows it.
func TestResetAfterUnreadEnd(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option(), WithName("front"))
	server, client := pair(t, ln)
	stats := statsOf(server)
	needKernelCounts(t, stats)
	mustWrite(t, client, 40)
	client.Close()
	waitState(t, stats, 8)
	mustWrite(t, server, 10)
	waitState(t, stats, 7)
	server.Close()
	m.wantIO(10, 40)
	m.wantEnd("reset", "broken_pipe")
}

func TestTimeoutEndsConnection(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, _ := pair(t, ln)
		server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want a timeout", err)
		}
		server.Close()
		m.wantEnd("timeout", "timeout")
	})
}

// A timeout that the connection survives is no reason for its end, and a deadline in the past is none at all: an
// HTTP/1 server ends its background reads by one after every request.
func TestTimeoutSurvived(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, client := pair(t, ln)
		server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		server.Read(make([]byte, 1))
		server.SetReadDeadline(time.Time{})
		mustWrite(t, client, 1)
		mustRead(t, server, 1)
		server.SetReadDeadline(time.Unix(1, 0))
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want a timeout", err)
		}
		server.Close()
		m.wantEnd("local", "")
	})
}

// Data that a call moves after Close has counted the end still reaches the sums.
func TestCallUnderWayAtClose(t *testing.T) {
	m := newMeter(t)
	inner := &slowConn{wrote: make(chan struct{}), release: make(chan struct{})}
	ln := &oneConn{conn: inner}
	wrapped, err := NewListener(ln, m.option(), WithName("front"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := wrapped.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Write(make([]byte, 77))
	}()
	<-inner.wrote
	c.Close()
	m.wantIO(0, 0)
	close(inner.release)
	<-done
	m.wantIO(77, 0)
}

// slowConn finishes a write only when it is released.
type slowConn struct {
	net.Conn
	wrote, release chan struct{}
}

func (c *slowConn) Write(b []byte) (int, error) {
	close(c.wrote)
	<-c.release
	return len(b), nil
}
func (c *slowConn) Close() error         { return nil }
func (c *slowConn) LocalAddr() net.Addr  { return nil }
func (c *slowConn) RemoteAddr() net.Addr { return nil }

// oneConn is a listener that accepts one connection, or fails with err.
type oneConn struct {
	net.Listener
	conn net.Conn
	err  error
}

func (l *oneConn) Accept() (net.Conn, error) { return l.conn, l.err }
func (l *oneConn) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (l *oneConn) Close() error              { return nil }

// Everything that moves bytes without passing Read and Write.
func TestFastPathsAreCounted(t *testing.T) {
	const size = 3 << 20
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(t *testing.T) *os.File {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	tests := map[string]struct {
		move       func(t *testing.T, server net.Conn) (int64, error)
		kernelOnly bool
	}{
		"ReadFrom a file":     {move: func(t *testing.T, c net.Conn) (int64, error) { return c.(io.ReaderFrom).ReadFrom(file(t)) }},
		"io.Copy from a file": {move: func(t *testing.T, c net.Conn) (int64, error) { return io.Copy(c, file(t)) }},
		"io.CopyN of a file":  {move: func(t *testing.T, c net.Conn) (int64, error) { return io.CopyN(c, file(t), size) }},
		"io.Copy from memory": {move: func(t *testing.T, c net.Conn) (int64, error) { return io.Copy(c, io.LimitReader(zeros{}, size)) }},
		"net.Buffers": {kernelOnly: true, move: func(t *testing.T, c net.Conn) (int64, error) {
			b := net.Buffers{make([]byte, size/2), make([]byte, size/2)}
			return b.WriteTo(c)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
				server, client := pair(t, ln)
				if tt.kernelOnly && !statsOf(server).kernelCounts() {
					t.Skip("written past the wrapper, as documented")
				}
				seen := make(chan int64)
				go func() {
					n, _ := io.Copy(io.Discard, client)
					seen <- n
				}()
				if n, err := tt.move(t, server); n != size || err != nil {
					t.Fatalf("moved %d, %v, want %d, nil", n, err, size)
				}
				server.Close()
				if n := <-seen; n != size {
					t.Fatalf("the peer saw %d, want %d", n, size)
				}
				m.wantIO(size, 0)
			})
		})
	}
}

// A proxy between two wrapped connections, by splice where there is one.
func TestProxyIsCounted(t *testing.T) {
	const size = 2 << 20
	for name, copyBytes := range map[string]func(dst, src net.Conn) (int64, error){
		"io.Copy":  func(dst, src net.Conn) (int64, error) { return io.Copy(dst, src) },
		"io.CopyN": func(dst, src net.Conn) (int64, error) { return io.CopyN(dst, src, size) },
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
				in, source := pair(t, ln)
				out, sink := pair(t, ln)
				seen := make(chan int64)
				go func() {
					n, _ := io.Copy(io.Discard, sink)
					seen <- n
				}()
				go func() {
					source.Write(make([]byte, size))
					source.Close()
				}()
				if n, err := copyBytes(out, in); n != size || err != nil {
					t.Fatalf("copied %d, %v, want %d, nil", n, err, size)
				}
				out.Close()
				if n := <-seen; n != size {
					t.Fatalf("the peer saw %d, want %d", n, size)
				}
				in.Close()
				m.wantIO(size, size)
			})
		})
	}
}

func TestCopyNKeepsTheRest(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		in, source := pair(t, ln)
		out, sink := pair(t, ln)
		mustWrite(t, source, 100)
		limited := &io.LimitedReader{R: in, N: 150}
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(out, limited)
		}()
		mustRead(t, sink, 100)
		source.Close()
		<-done
		if limited.N != 50 {
			t.Errorf("LimitedReader.N: got %d, want 50", limited.N)
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestUnixConn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no peer addresses there")
	}
	m := newMeter(t)
	ln, err := Listen("unix", filepath.Join(t.TempDir(), "s"), m.option(), WithName("front"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	server, client := pair(t, ln)
	mustWrite(t, client, 30)
	mustRead(t, server, 30)
	mustWrite(t, server, 20)
	mustRead(t, client, 20)
	client.Close()
	server.Read(make([]byte, 1))
	server.Close()
	m.wantIO(20, 30)
	m.wantEnd("remote", "")
	if got := m.sum(metricServerConnections, attribute.String("network.transport", "unix")); got != 1 {
		t.Errorf("unix connections: got %d, want 1", got)
	}
}

// Half of the connections are closed by us, half by the peer, while a reader collects all the time.
func TestChurn(t *testing.T) {
	const conns, workers = 500, 20
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		var peerSent, peerReceived int64
		var mu sync.Mutex
		var servers, clients sync.WaitGroup

		servers.Go(func() {
			for range conns {
				c, err := ln.Accept()
				if err != nil {
					t.Errorf("accept: %v", err)
					return
				}
				servers.Go(func() {
					defer c.Close()
					io.Copy(c, c) // echo
				})
			}
		})
		stop, collected := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(collected)
			last := int64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				now := m.sum(metricIO)
				if now < last {
					t.Errorf("%s went back from %d to %d", metricIO, last, now)
				}
				last = now
			}
		}()
		for w := range workers {
			clients.Go(func() {
				for i := range conns / workers {
					size := 1 + (w*31+i*997)%20_000
					c, err := net.Dial("tcp", ln.Addr().String())
					if err != nil {
						t.Errorf("dial: %v", err)
						return
					}
					n, _ := c.Write(make([]byte, size))
					c.(*net.TCPConn).CloseWrite()
					r, _ := io.Copy(io.Discard, c)
					c.Close()
					mu.Lock()
					peerSent += int64(n)
					peerReceived += r
					mu.Unlock()
				}
			})
		}
		clients.Wait()
		servers.Wait()
		close(stop)
		<-collected

		m.wantIO(peerReceived, peerSent)
		if got := m.sum(metricServerActive); got != 0 {
			t.Errorf("active: got %d, want 0", got)
		}
		if got := m.sum(metricServerConnections); got != conns {
			t.Errorf("connections: got %d, want %d", got, conns)
		}
		if got := m.sum(metricServerDuration); got != conns {
			t.Errorf("durations: got %d, want %d", got, conns)
		}
	})
}

// A wrapped connection behaves as a bare one.
func TestNetConn(t *testing.T) {
	m := newMeter(t)
	over := func(network string, address func() string, mode counting) nettest.MakePipe {
		return func() (net.Conn, net.Conn, func(), error) {
			ln, err := Listen(network, address(), m.option(), WithName("nettest"))
			if err != nil {
				return nil, nil, nil, err
			}
			defer ln.Close()
			if l, ok := ln.(*tcpListener); ok {
				l.mode = mode
			}
			d, err := NewDialer(nil, m.option())
			if err != nil {
				return nil, nil, nil, err
			}
			d.mode = mode
			c1, err := d.Dial(network, ln.Addr().String())
			if err != nil {
				return nil, nil, nil, err
			}
			c2, err := ln.Accept()
			if err != nil {
				return nil, nil, nil, err
			}
			return c1, c2, func() { c1.Close(); c2.Close() }, nil
		}
	}
	loopback := func() string { return "127.0.0.1:0" }
	t.Run("tcp", func(t *testing.T) { nettest.TestConn(t, over("tcp", loopback, countBest)) })
	t.Run("tcp by calls", func(t *testing.T) { nettest.TestConn(t, over("tcp", loopback, countByCalls)) })
	if nettest.TestableNetwork("unix") {
		dir, n := t.TempDir(), 0
		path := func() string { n++; return filepath.Join(dir, strconv.Itoa(n)) }
		t.Run("unix", func(t *testing.T) { nettest.TestConn(t, over("unix", path, countBest)) })
	}
	t.Run("pipe", func(t *testing.T) {
		ep := scopeFor(m.provider).endpoint(endpointKey{side: SideServer, name: "pipe"}, *attribute.EmptySet())
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			a, b := net.Pipe()
			c1, c2 := wrapConn(a, ep, countBest, nil), wrapConn(b, ep, countBest, nil)
			return c1, c2, func() { c1.Close(); c2.Close() }, nil
		})
	})
}

func TestReadWriteAllocateNothing(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, client := pair(t, ln)
		b := make([]byte, 1)
		if n := testing.AllocsPerRun(100, func() {
			client.Write(b)
			server.Read(b)
			server.Write(b)
			client.Read(b)
		}); n != 0 {
			t.Errorf("got %v allocations a round, want 0", n)
		}
	})
}

// A deadline only wakes a call up if it lies in the past when it is set.
func TestNoteDeadline(t *testing.T) {
	var s ConnStats
	for _, tt := range []struct {
		name string
		at   time.Time
		want bool
	}{
		{"net/http's", time.Unix(1, 0), true},
		{"none", time.Time{}, false},
		{"now", time.Now(), true},
		{"later", time.Now().Add(time.Hour), false},
		{"a moment ago", time.Now().Add(-time.Millisecond), true},
		{"later, without a monotonic clock", time.Now().Add(time.Hour).Round(0), false},
	} {
		s.noteDeadline(tt.at)
		if got := s.has(flagAborting); got != tt.want {
			t.Errorf("%s: aborting is %t, want %t", tt.name, got, tt.want)
		}
	}
}

// The wait for the first byte is that of the first one alone, and of accepted connections, whoever counts their bytes.
func TestFirstByteWait(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			ln := listen(t, newMeter(t).option())
			ln.(*tcpListener).mode = mode
			before := time.Now()
			server, client := pair(t, ln)
			s := statsOf(server)
			io.WriteString(server, "hello")
			if got := s.FirstByteWait(); got != 0 {
				t.Errorf("before any byte: got %v, want 0", got)
			}
			const pause = 20 * time.Millisecond // the wait that is measured
			time.Sleep(pause)
			io.WriteString(client, "a")
			if _, err := server.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if got := s.FirstByteWait(); got < pause || got > time.Since(before) {
				t.Errorf("got %v, want %v at least and %v at most", got, pause, time.Since(before))
			}
			first := s.FirstByteWait()
			time.Sleep(pause) // a later byte that counted would show
			io.WriteString(client, "c")
			server.Read(make([]byte, 1))
			if got := s.FirstByteWait(); got != first {
				t.Errorf("after another byte: got %v, want %v still", got, first)
			}
		})
	}
}
