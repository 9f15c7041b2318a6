package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"
)

// serve is the worker's side: it sets the subject up and measures what it is asked to, until its input ends.
func serve(job string) error {
	work, err := set(job)
	out := json.NewEncoder(os.Stdout)
	if err != nil {
		return out.Encode(message{Err: err.Error()})
	}
	if work.close != nil {
		defer work.close()
	}
	if file := os.Getenv(profileVar); file != "" {
		f, err := os.Create(file)
		if err != nil {
			return out.Encode(message{Err: err.Error()})
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return out.Encode(message{Err: err.Error()})
		}
		defer pprof.StopCPUProfile()
	}
	if err := out.Encode(message{Addr: work.addr}); err != nil {
		return err
	}
	in := json.NewDecoder(os.Stdin)
	m := &meter{work: work}
	for {
		var ask message
		if err := in.Decode(&ask); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		answer, err := m.do(ask)
		if err != nil {
			answer.Err = err.Error()
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
}

// set finds the scenario and sets the subject up.
func set(job string) (*work, error) {
	name, subject, _ := strings.Cut(job, "/")
	for _, g := range groups() {
		for _, s := range g.scenarios {
			if s.name == name {
				return s.start(subject)
			}
		}
	}
	return nil, fmt.Errorf("no scenario %q", name)
}

// meter takes what a round used.
type meter struct {
	work  *work
	n     int
	cpu   time.Duration
	start time.Time
	heap  runtime.MemStats
}

func (m *meter) do(ask message) (message, error) {
	if ask.Do == "end" {
		return message{Values: m.end()}, nil
	}
	if m.work.begin != nil {
		if err := m.work.begin(); err != nil {
			return message{}, err
		}
	}
	m.begin(ask.N)
	if m.work.run == nil {
		return message{}, nil
	}
	err := m.work.run(ask.N)
	return message{Values: m.end()}, err
}

func (m *meter) begin(n int) {
	m.n = n
	runtime.ReadMemStats(&m.heap)
	m.start, m.cpu = time.Now(), processTime()
}

func (m *meter) end() values {
	cpu, wall := processTime()-m.cpu, time.Since(m.start)
	before := m.heap.Mallocs
	runtime.ReadMemStats(&m.heap)
	v := values{}
	m.add(v, cpuTime, float64(cpu.Nanoseconds()))
	m.add(v, wallTime, float64(wall.Nanoseconds()))
	m.add(v, allocs, float64(m.heap.Mallocs-before))
	if m.work.end != nil {
		for name, x := range m.work.end() {
			v[name] = x
		}
	}
	return v
}

func (m *meter) add(v values, name value, total float64) { v[name] = total / float64(m.n) }
