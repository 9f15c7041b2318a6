package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	mebibyte  = 1 << 20
	fileSize  = 4 * mebibyte
	batchSize = 64 << 10 // of net.Buffers
)

// transferScenarios measure where the kernel moves the bytes, if the wrapper lets it.
func transferScenarios() []scenario {
	transfer := func(name, label string, start func(string) (*work, error), drive func(string, int) (func(), error)) scenario {
		return scenario{
			name:     name,
			subjects: without(connSubjects, oursCalls),
			start:    start,
			drive:    drive,
			round:    200 * time.Millisecond,
			rows: []row{
				{label: label + ", throughput", of: wallTime, show: throughput, goals: goals{ours: 0.98}},
				{label: label + ", CPU", of: cpuTime, show: costRatio, goals: goals{ours: 1.02}},
			},
		}
	}
	return []scenario{
		transfer("serve a file", "http.ServeFile of 4 MiB (sendfile)", startFileServer, driveFileServer),
		transfer("proxy", "TCP proxy, 1 MiB there and back (splice)", startProxy, driveProxy),
		transfer("buffers", "net.Buffers of 16 × 4 KiB (writev)", startBuffers, driveBuffers),
	}
}

// makeFile makes the file that is served.
func makeFile() (string, error) {
	f, err := os.CreateTemp("", "otelnet-bench")
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = f.Write(bytes.Repeat([]byte("otelnet "), fileSize/8))
	return f.Name(), err
}

func startFileServer(subject string) (*work, error) {
	file := os.Getenv(fileVar)
	return serveEach(subject, func(ln net.Listener, _ wrapping) {
		_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }))
	})
}

// driveFileServer fetches the file n times, with a client that costs as little as it can.
func driveFileServer(address string, n int) (func(), error) {
	return nil, dialed(address, func(c net.Conn) error {
		b := make([]byte, mebibyte)
		for range n {
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
				return err
			}
			got, err := c.Read(b)
			if err != nil {
				return err
			}
			head := bytes.Index(b[:got], []byte("\r\n\r\n"))
			if head < 0 || !bytes.HasPrefix(b, []byte("HTTP/1.1 200 OK\r\n")) {
				return fmt.Errorf("the answer is %.100q", b[:got])
			}
			if err := discard(c, fileSize-(got-head-4), b); err != nil {
				return err
			}
		}
		return nil
	})
}

// startProxy is a TCP proxy as one writes it in Go.
func startProxy(subject string) (*work, error) {
	upstream := os.Getenv(upstreamVar)
	return serveEach(subject, func(ln net.Listener, w wrapping) {
		eachConn(ln, func(down net.Conn) {
			up, err := w.dial("tcp", upstream)
			if err != nil {
				return // the driver sees its connection closed
			}
			go func() {
				defer up.Close()
				_, _ = io.Copy(up, down)
			}()
			_, _ = io.Copy(down, up)
		})
	})
}

// listenEcho returns the upstream of the proxy, which sends everything back.
func listenEcho() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go eachConn(ln, func(c net.Conn) { _, _ = io.Copy(c, c) })
	return ln, nil
}

// driveProxy sends n MiB and reads them back.
func driveProxy(address string, n int) (func(), error) {
	return nil, dialed(address, func(c net.Conn) error {
		sent := make(chan error, 1)
		go func() {
			b := make([]byte, mebibyte)
			for range n {
				if _, err := c.Write(b); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		if err := discard(c, n*mebibyte, make([]byte, mebibyte)); err != nil {
			return err
		}
		return <-sent
	})
}

// startBuffers sends as many batches as the client asks for.
func startBuffers(subject string) (*work, error) {
	part := make([]byte, batchSize/16)
	return serveEach(subject, func(ln net.Listener, _ wrapping) {
		eachConn(ln, func(c net.Conn) {
			var n uint64
			if binary.Read(c, binary.BigEndian, &n) != nil {
				return
			}
			parts := make([][]byte, 16)
			for range n {
				for i := range parts {
					parts[i] = part
				}
				batch := net.Buffers(parts)
				if _, err := batch.WriteTo(c); err != nil {
					return
				}
			}
		})
	})
}

func driveBuffers(address string, n int) (func(), error) {
	return nil, dialed(address, func(c net.Conn) error {
		if err := binary.Write(c, binary.BigEndian, uint64(n)); err != nil {
			return err
		}
		return discard(c, n*batchSize, make([]byte, mebibyte))
	})
}

// serveEach starts a server on a listener of the subject.
func serveEach(subject string, serve func(net.Listener, wrapping)) (*work, error) {
	w, err := newWrapping(subject)
	if err != nil {
		return nil, err
	}
	ln, err := w.listenOn()
	if err != nil {
		return nil, err
	}
	go serve(ln, w)
	return &work{addr: ln.Addr().String()}, nil
}

// eachConn lets f have every connection of ln, and closes it afterwards.
func eachConn(ln net.Listener, f func(net.Conn)) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			f(c)
		}()
	}
}

// driverTimeout bounds what a driver waits for in one round.
const driverTimeout = time.Minute

// dialed lets f have a connection to address.
func dialed(address string, f func(net.Conn) error) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(driverTimeout)); err != nil {
		return err
	}
	return f(c)
}

// discard reads n bytes through b.
func discard(c net.Conn, n int, b []byte) error {
	for n > 0 {
		got, err := c.Read(b[:min(n, len(b))])
		if err != nil {
			return err
		}
		n -= got
	}
	return nil
}
