package main

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// acceptScenario measures a connection's beginning and end: connect, Accept, the client's close, Close.
func acceptScenario() scenario {
	return scenario{
		name:     "accept",
		subjects: without(connSubjects, oursCalls),
		start:    startAccept,
		most:     500, // the ports of loopback are used again only after a second
		rounds:   31,
		rows: []row{
			{label: "Accept and Close, connections per CPU second", of: cpuTime, show: throughput, goals: goals{ours: 0.97}},
			{label: "Accept and Close, CPU", of: cpuTime, show: extraNanoseconds, goals: goals{ours: 2000}},
			{label: "Accept and Close, allocations", of: allocs, show: extraCount},
		},
	}
}

func startAccept(subject string) (*work, error) {
	w, err := newWrapping(subject)
	if err != nil {
		return nil, err
	}
	ln, err := w.listenOn()
	if err != nil {
		return nil, err
	}
	if w.collect != nil {
		// In a service somebody does, and otelnet hands the ends of connections to the SDK in batches from then on.
		if err := w.collect(); err != nil {
			return nil, err
		}
	}
	address := ln.Addr().String()
	p := make([]byte, 1)
	return &work{run: func(n int) error {
		for range n {
			client, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			server, err := ln.Accept()
			if err != nil {
				return err
			}
			if err := client.Close(); err != nil {
				return err
			}
			if _, err := server.Read(p); !errors.Is(err, io.EOF) {
				return fmt.Errorf("read after the client's close: got %w, want EOF", err)
			}
			if err := server.Close(); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}
