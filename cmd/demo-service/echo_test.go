package main

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// startEcho returns a running server that is closed with the test.
func startEcho(t *testing.T) *echoServer {
	t.Helper()
	s, err := listenEcho("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, serve := range []func() error{s.serveTCP, s.serveUDP} {
		wg.Go(func() {
			if err := serve(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		s.close()
		wg.Wait()
	})
	return s
}

func TestEchoSendsBackWhatItGets(t *testing.T) {
	s := startEcho(t)
	for _, addr := range []net.Addr{s.tcp.Addr(), s.udp.LocalAddr()} {
		t.Run(addr.Network(), func(t *testing.T) {
			conn, err := net.Dial(addr.Network(), addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			for _, want := range [][]byte{[]byte("hello"), bytes.Repeat([]byte{0, 255}, 500)} {
				if _, err := conn.Write(want); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(conn, got); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

func TestEchoCloseEndsConnections(t *testing.T) {
	s := startEcho(t)
	conn, err := net.Dial("tcp", s.tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.close()
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes after close, want the end of the connection", n)
	}
}
