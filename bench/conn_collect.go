package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// collectScenarios measure what open connections cost: their memory, and a collect that brings all of them up to date.
func collectScenarios() []scenario {
	var all []scenario
	for _, n := range []int{100, 1_000, 10_000} {
		conns := fmt.Sprintf("%d connections", n)
		if n >= 1000 {
			conns = fmt.Sprintf("%d,000 connections", n/1000)
		}
		rows := []row{
			{label: conns + ", one collect", of: cpuTime, show: absoluteMicroseconds},
			{label: conns + ", allocations of a collect", of: allocs, show: absoluteCount},
			{label: conns + ", bytes for each", of: memory, show: extraBytes, goals: goals{ours: 256}},
		}
		if n == 10_000 {
			rows[0].goals = goals{ours: 12_000_000}
			rows = slices.Insert(rows, 1, row{
				label: conns + ", one collect, of asking the kernel alone",
				of:    cpuTime, show: costRatio, goals: goals{ours: 1.2},
			})
		}
		all = append(all, scenario{
			name:     conns,
			subjects: without(connSubjects, oursCalls),
			start:    startCollect,
			drive:    driveCollect,
			ops:      n,
			rounds:   3,
			files:    uint64(n) + 100,
			rows:     rows,
		})
	}
	return all
}

// collects is how many collects a round times; the middle one counts.
const collects = 7

func startCollect(subject string) (*work, error) {
	w, err := newWrapping(subject)
	if err != nil {
		return nil, err
	}
	ln, err := w.listenOn()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var open []net.Conn
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			_, _ = c.Write([]byte{1}) // the driver waits for it
		}
	}()
	var kernel sockets
	if w.collect == nil {
		w.collect = func() error { return kernel.ask(open) }
	}
	var heap uint64
	return &work{
		addr: ln.Addr().String(),
		begin: func() error {
			mu.Lock()
			defer mu.Unlock()
			for _, c := range open {
				c.Close()
			}
			open = make([]net.Conn, 0, 10_000)
			kernel.raws = nil
			heap = heapInUse()
			return nil
		},
		end: func() values {
			mu.Lock()
			defer mu.Unlock()
			v := values{memory: float64(heapInUse()-heap) / float64(len(open))}
			var times, mallocs []float64
			for range collects {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := processTime()
				if err := w.collect(); err != nil {
					panic(err)
				}
				times = append(times, float64(processTime()-start))
				runtime.ReadMemStats(&after)
				mallocs = append(mallocs, float64(after.Mallocs-before.Mallocs))
			}
			v[cpuTime], v[allocs] = median(times), slices.Min(mallocs)
			return v
		},
	}, nil
}

// heapInUse is what is left after two collections: the first lets finalizers and pools go.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sockets are asked for their counters, which is the least that a collect of exact counts can cost.
type sockets struct {
	reader *tcpInfoReader
	raws   []syscall.RawConn // made at the first ask of a round
}

func (s *sockets) ask(open []net.Conn) error {
	if s.raws == nil {
		s.reader = newTCPInfoReader()
		for _, c := range open {
			raw, err := c.(syscall.Conn).SyscallConn()
			if err != nil {
				return err
			}
			s.raws = append(s.raws, raw)
		}
	}
	for _, raw := range s.raws {
		if err := s.reader.read(raw); err != nil {
			return err
		}
	}
	return nil
}

// driveCollect opens n connections and waits until each has been accepted.
func driveCollect(address string, n int) (func(), error) {
	var conns []*net.TCPConn
	release := func() {
		for _, c := range conns {
			// By a reset: no port is to wait for a minute.
			_ = c.SetLinger(0)
			c.Close()
		}
	}
	deadline := time.Now().Add(driverTimeout)
	b := make([]byte, 1)
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			release()
			return nil, err
		}
		conns = append(conns, c.(*net.TCPConn))
		if err := errors.Join(c.SetReadDeadline(deadline), second(io.ReadFull(c, b))); err != nil {
			release()
			return nil, err
		}
	}
	return release, nil
}

func second(_ int, err error) error { return err }
