package main

import (
	"io"
	"net"
	"time"
)

// ioScenarios measure Read and Write.
func ioScenarios() []scenario {
	extra := func(label string) []row {
		return []row{
			{label: label, of: cpuTime, show: extraNanoseconds, best: true, goals: goals{ours: 4, oursCalls: 12}},
			{label: label + ", allocations", of: allocs, show: extraCount, goals: goals{ours: 0, oursCalls: 0}},
		}
	}
	ratio := func(label string) []row { return []row{{label: label, of: cpuTime, show: costRatio}} }
	return []scenario{
		{
			name: "write in memory", subjects: without(connSubjects, ours), start: startWriteMemory,
			rows: extra("Write of 1 B, in memory"),
		},
		{
			name: "read nothing", subjects: connSubjects, start: startReadNothing,
			rows: extra("Read of 0 B from a TCP socket, no system call"),
		},
		{name: "echo 1 B", subjects: connSubjects, start: echo(1), rows: ratio("Read and Write of 1 B, loopback")},
		{name: "echo 4 KiB", subjects: connSubjects, start: echo(4 << 10), rows: ratio("Read and Write of 4 KiB, loopback")},
		{name: "echo 64 KiB", subjects: connSubjects, start: echo(64 << 10), rows: ratio("Read and Write of 64 KiB, loopback")},
	}
}

// without returns all but one.
func without(all []string, one string) []string {
	var rest []string
	for _, s := range all {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}

// startWriteMemory isolates what a wrapper adds to a call. A connection in memory has no kernel that counts for us.
func startWriteMemory(subject string) (*work, error) {
	w, err := newWrapping(subject)
	if err != nil {
		return nil, err
	}
	ln, err := w.listen(memoryListener{})
	if err != nil {
		return nil, err
	}
	c, err := ln.Accept()
	if err != nil {
		return nil, err
	}
	p := make([]byte, 1)
	return &work{run: func(n int) error {
		for range n {
			if _, err := c.Write(p); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// memoryListener hands out connections whose calls cost next to nothing.
type memoryListener struct{}

func (memoryListener) Accept() (net.Conn, error) { return memoryConn{}, nil }
func (memoryListener) Close() error              { return nil }
func (memoryListener) Addr() net.Addr            { return &net.TCPAddr{} }

type memoryConn struct{}

func (memoryConn) Read(b []byte) (int, error)       { return len(b), nil }
func (memoryConn) Write(b []byte) (int, error)      { return len(b), nil }
func (memoryConn) Close() error                     { return nil }
func (memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (memoryConn) SetDeadline(time.Time) error      { return nil }
func (memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (memoryConn) SetWriteDeadline(time.Time) error { return nil }

// startReadNothing does the same for a real socket: package net answers a Read into no space without asking the kernel.
func startReadNothing(subject string) (*work, error) {
	_, server, err := connect(subject)
	if err != nil {
		return nil, err
	}
	return &work{run: func(n int) error {
		for range n {
			if _, err := server.Read(nil); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// echo sends size bytes to the subject and back. Both ends are in one goroutine, so that no scheduler is measured; the
// client is bare.
func echo(size int) func(string) (*work, error) {
	return func(subject string) (*work, error) {
		client, server, err := connect(subject)
		if err != nil {
			return nil, err
		}
		// The whole message has to fit into the socket: nobody reads while it is written.
		if err := client.SetReadBuffer(1 << 20); err != nil {
			return nil, err
		}
		if err := client.SetWriteBuffer(1 << 20); err != nil {
			return nil, err
		}
		p := make([]byte, size)
		return &work{run: func(n int) error {
			for range n {
				if _, err := client.Write(p); err != nil {
					return err
				}
				if _, err := io.ReadFull(server, p); err != nil {
					return err
				}
				if _, err := server.Write(p); err != nil {
					return err
				}
				if _, err := io.ReadFull(client, p); err != nil {
					return err
				}
			}
			return nil
		}}, nil
	}
}

// connect returns a bare client and the subject's end of its connection.
func connect(subject string) (client *net.TCPConn, server net.Conn, err error) {
	w, err := newWrapping(subject)
	if err != nil {
		return nil, nil, err
	}
	ln, err := w.listenOn()
	if err != nil {
		return nil, nil, err
	}
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	server, err = ln.Accept()
	return c.(*net.TCPConn), server, err
}
