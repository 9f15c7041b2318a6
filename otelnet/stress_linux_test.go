//go:build linux && !386 && !s390x

package otelnet

import (
	"bytes"
	"context"
	"errors"
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

// openSockets counts the process' file descriptors that are sockets. Others come and go on their own: package net keeps
// the pipes it splices through until the garbage collector takes them.
func openSockets(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(link, "socket:") {
			n++
		}
	}
	return n
}

// nothingLeft checks at the end of a test that it has left no goroutine and no socket.
func nothingLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	sockets := openSockets(t)
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Error(err)
		}
		if now := openSockets(t); now != sockets {
			t.Errorf("sockets: got %d, before the test %d", now, sockets)
		}
	})
}

// TestStress ends connections in every way there is, many at a time, while the metrics and the table are read.
func TestStress(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) { stress(t, mode) })
	}
}

func stress(t *testing.T, mode counting) {
	nothingLeft(t)
	m := newMeter(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	ln, err := NewListener(inner, m.option(), WithName("front"))
	if err != nil {
		t.Fatal(err)
	}
	ln.(*tcpListener).mode = mode

	const workers, rounds = 8, 20
	var sent, received, opened atomic.Int64 // as those who moved the bytes know it, our side's view
	var accept sync.Mutex                   // a connection is accepted by the one who dialled it
	connect := func() (server net.Conn, client *net.TCPConn) {
		accept.Lock()
		defer accept.Unlock()
		c, err := net.Dial("tcp", inner.Addr().String())
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
			ConnectionsPage(Filter{State: "all", Sort: "-sentBytes", Limit: 5})
		}
	})
	var users sync.WaitGroup
	for w := range workers {
		users.Go(func() {
			for i := range rounds {
				server, client := connect()
				if server == nil {
					return
				}
				manners[(w+i)%len(manners)](server, client, 1+(w*7919+i*104729)%30_000)
			}
		})
	}
	users.Wait()
	close(stop)
	watchers.Wait()

	ln.Close()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: got %v, want net.ErrClosed", err)
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
	m.wantIO(sent.Load(), received.Load())
	if rows := Connections(Filter{Match: "front"}); len(rows) != 0 {
		t.Errorf("rows left in the table: %+v", rows)
	}
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
	client.SetDeadline(time.Now().Add(5 * time.Second))
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
