//go:build linux && !386 && !s390x

package otelnet

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/goleak"
)

// openSockets returns the process' sockets, by the names the kernel gives them. Other file descriptors come and go on their
// own: package net keeps the pipes it splices through until the garbage collector takes them.
func openSockets(t testing.TB) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	sockets := map[string]bool{}
	for _, e := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(link, "socket:") {
			sockets[link] = true
		}
	}
	return sockets
}

// nothingLeft checks at the end of a test that it has left no goroutine and no socket.
func nothingLeft(t *testing.T) {
	goroutines := goleak.IgnoreCurrent()
	before := openSockets(t) // a socket of an earlier test may still be on its way out
	t.Cleanup(func() {
		if err := goleak.Find(goroutines); err != nil {
			t.Error(err)
		}
		for s := range openSockets(t) {
			if !before[s] {
				t.Errorf("left behind: %s", s)
			}
		}
	})
}

// stressFor makes TestStress go on for so long, and stressConns with so many connections at a time.
var (
	stressFor   = flag.Duration("stress.for", 0, "how long TestStress goes on; 0 for a second or so")
	stressConns = flag.Int("stress.conns", 8, "how many connections TestStress has open at a time")
)

// TestStress ends connections in every way there is, many at a time, while the metrics and the table are read.
//
//	go test -run TestStress/best ./otelnet -stress.for 2m -stress.conns 10000
func TestStress(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) { stress(t, mode) })
	}
}

func stress(t *testing.T, mode counting) {
	nothingLeft(t)
	m := newMeter(t)
	// An address has ports for some thousand connections.
	lns := make([]net.Listener, 1+*stressConns/1000)
	accept := make([]sync.Mutex, len(lns)) // a connection is accepted by the one who dialled it
	for i := range lns {
		var err error
		if lns[i], err = Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+1), m.option(), WithName("front")); err != nil {
			t.Fatal(err)
		}
		defer lns[i].Close()
		lns[i].(*tcpListener).mode = mode
	}

	const rounds = 20
	workers, until := *stressConns, time.Now().Add(*stressFor)
	var sent, received, opened atomic.Int64 // as those who moved the bytes know it, our side's view
	var atClose atomic.Int64                // sent in the moment of a close, which the kernel's count may miss in part
	var most atomic.Int64                   // connections at a time
	connect := func(worker int) (server net.Conn, client *net.TCPConn) {
		i := worker % len(lns)
		ln := lns[i]
		accept[i].Lock()
		defer accept[i].Unlock()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Error(err)
			return nil, nil
		}
		s, err := ln.Accept()
		if err != nil {
			t.Error(err)
			c.Close()
			return nil, nil
		}
		opened.Add(1)
		return s, c.(*net.TCPConn)
	}
	write := func(c net.Conn, n int, by *atomic.Int64) {
		got, _ := c.Write(make([]byte, n))
		by.Add(int64(got))
	}
	much := make([]byte, 4<<20)
	manners := []func(server net.Conn, client *net.TCPConn, n int){
		func(server net.Conn, client *net.TCPConn, n int) { // an echo
			done := make(chan struct{})
			go func() {
				defer close(done)
				io.Copy(server, server)
				server.Close()
			}()
			write(client, n, &received)
			client.CloseWrite()
			back, _ := io.Copy(io.Discard, client)
			sent.Add(back)
			client.Close()
			<-done
		},
		func(server net.Conn, client *net.TCPConn, n int) { // reset by the peer
			write(client, n, &received)
			io.ReadFull(server, make([]byte, n))
			client.SetLinger(0)
			client.Close()
			server.Read(make([]byte, 1))
			server.Close()
		},
		func(server net.Conn, client *net.TCPConn, n int) { // half-closed by us
			write(server, n, &sent)
			server.(closeWriter).CloseWrite()
			io.Copy(io.Discard, client)
			write(client, 7, &received)
			client.Close()
			io.Copy(io.Discard, server)
			server.Close()
		},
		func(server net.Conn, client *net.TCPConn, n int) { // timed out
			server.SetReadDeadline(time.Now().Add(time.Millisecond))
			server.Read(make([]byte, 1))
			server.Close()
			client.Close()
		},
		func(server net.Conn, client *net.TCPConn, n int) { // closed by many at once
			write(server, n, &sent)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { server.Close() })
			}
			wg.Wait()
			io.Copy(io.Discard, client)
			client.Close()
		},
		func(server net.Conn, client *net.TCPConn, n int) { // closed while a write is held back
			done, filled := make(chan struct{}), make(chan struct{})
			if err := errors.Join(server.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(1), client.SetReadBuffer(1)); err != nil {
				t.Error(err)
			}
			go func() {
				defer close(done)
				for got := 1; got > 0; { // until nothing more fits
					server.SetWriteDeadline(time.Now().Add(2 * time.Millisecond))
					got, _ = server.Write(much)
					sent.Add(int64(got))
				}
				server.SetWriteDeadline(time.Time{})
				close(filled)
				got, err := server.Write(much)
				sent.Add(int64(got))
				if mode == countBest {
					atClose.Add(int64(got)) // mostly 0, but a busy machine may have made room meanwhile
				}
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("a write that a close interrupts: got %d, %v, want net.ErrClosed", got, err)
				}
			}()
			<-filled
			server.Close()
			<-done
			client.Close()
		},
	}

	stop := make(chan struct{})
	var watchers sync.WaitGroup
	watchers.Go(func() {
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
			most.Store(max(most.Load(), m.sum(metricServerActive)))
			ConnectionsPage(Filter{State: "all", Sort: "-sentBytes", Limit: 5})
		}
	})
	var users sync.WaitGroup
	for w := range workers {
		users.Go(func() {
			for i := 0; i < rounds || time.Now().Before(until); i++ {
				server, client := connect(w)
				if server == nil {
					return
				}
				if *stressFor > 0 {
					// It is idle for a while, so that there are as many as were asked for.
					time.Sleep(time.Duration((w*7919+i*104729)%1000) * time.Millisecond)
				}
				manners[(w+i)%len(manners)](server, client, 1+(w*7919+i*104729)%30_000)
			}
		})
	}
	users.Wait()
	close(stop)
	watchers.Wait()

	for _, ln := range lns {
		ln.Close()
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: got %v, want net.ErrClosed", err)
		}
	}
	if n, total := m.sum(metricServerConnections), opened.Load(); n != total || m.sum(metricServerDuration) != total {
		t.Errorf("connections: got %d opened, %d closed, want %d", n, m.sum(metricServerDuration), total)
	}
	if got := m.sum(metricServerActive); got != 0 {
		t.Errorf("active: got %d, want 0", got)
	}
	if got := m.sum(metricAcceptErrors); got != 0 {
		t.Errorf("accept errors: got %d, want 0", got)
	}
	got := m.sum(metricIO, transmit)
	if want := sent.Load(); got > want || got < want-atClose.Load() {
		t.Errorf("sent: got %d, want %d, or %d less at most", got, want, atClose.Load())
	}
	came := m.sum(metricIO, receive)
	m.wantIO(got, received.Load())
	if rows := Connections(Filter{Match: "front"}); len(rows) != 0 {
		t.Errorf("rows left in the table: %+v", rows)
	}
	t.Logf("%d connections, up to %d at a time; %d bytes sent, %d of them in the moment of a close, %d received, counted as %d",
		opened.Load(), most.Load(), sent.Load(), atClose.Load(), received.Load(), came)
}

// With no file descriptor left, Accept fails, is counted, and works again when there are some.
func TestFilesExhausted(t *testing.T) {
	const inner = "OTELNET_TEST_FILES"
	if os.Getenv(inner) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFilesExhausted$", "-test.v")
		cmd.Env = append(os.Environ(), inner+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("accept errors counted")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	m := newMeter(t)
	srv := &http.Server{Handler: NewHandler(http.NotFoundHandler(), "test", m.option()), ErrorLog: log.New(io.Discard, "", 0)}
	Instrument(srv)
	ln := serve(t, srv, false, m.option(), WithName("front"))

	var files []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, f)
	}
	files[0].Close() // for the client's end
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	tooMany := []attribute.KeyValue{errType("too_many_open_files"), attribute.String("otelnet.listener", "front")}
	eventually(t, "the accept loop has failed more than once", func() bool { return m.sum(metricAcceptErrors, tooMany...) > 1 })
	if got := m.sum(metricServerConnections); got != 0 {
		t.Errorf("connections without a file: got %d, want 0", got)
	}
	if got := m.sum(metricQueueLength); got != 1 {
		t.Errorf("accept queue: got %d, want the 1 that waits", got)
	}
	for _, f := range files[1:] {
		f.Close()
	}
	client.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(client, "GET / HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(client); err != nil || !bytes.Contains(b, []byte("404")) {
		t.Errorf("got %q, %v, want an answer", b, err)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	eventually(t, "no connection is left", func() bool { return m.sum(metricServerActive) == 0 && m.sum(metricServerDuration) == 1 })
	t.Logf("accept errors counted: %d", m.sum(metricAcceptErrors))
}

// A second Close must not take the socket away while the first is about to read its counts.
func TestSecondCloseWaitsForTheCounts(t *testing.T) {
	m := newMeter(t)
	server, client := pair(t, listen(t, m.option(), WithName("front")))
	mustWrite(t, server, 900)
	mustRead(t, client, 900)
	stats := statsOf(server)
	held := &heldRaw{RawConn: stats.raw, entered: make(chan struct{}), leave: make(chan struct{})}
	stats.raw = held
	var wg sync.WaitGroup
	wg.Go(func() { server.Close() })
	<-held.entered
	wg.Go(func() { server.Close() })
	client.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // time enough to go wrong
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the peer reads %v: the socket is closed, and its counts are not read", err)
	}
	close(held.leave)
	wg.Wait()
	m.wantIO(900, 0)
}

// heldRaw is held up before its first use.
type heldRaw struct {
	syscall.RawConn
	once           sync.Once
	entered, leave chan struct{}
}

func (r *heldRaw) Control(f func(uintptr)) error {
	r.once.Do(func() {
		close(r.entered)
		<-r.leave
	})
	return r.RawConn.Control(f)
}
