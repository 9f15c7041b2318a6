package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/trace"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/otelnet"
)

// captureSubjects are a service without captures and one with: with the flight recorder and without it, and with a capture being made in the
// scenario of the pause. The last one is what of the flight recorder is the Go runtime's: it runs, and nothing of ours does.
var captureSubjects = []string{bare, ours, oursIdle, runtimeRecorder}

// hashes is the work of a handler that takes a third to half a millisecond.
const hashes = 4500

// What the scenario of the pause gives.
const (
	slowest value = "p99.9" // ns, of the requests' latencies
	took    value = "took"  // ns, of the capture
)

// The open-loop load of that scenario.
const (
	pauseRate = 1000 // requests a second
	pauseTime = 8 * time.Second
)

// recorderScenario measures what the flight recorder costs a server whose handler does the work.
func recorderScenario(name, label string, n int, goal float64) scenario {
	return scenario{
		name:     name,
		subjects: captureSubjects,
		start: func(subject string) (*work, error) {
			w, err := startPlain(n)
			if err == nil {
				w.close, err = startRecorder(subject)
			}
			return w, err
		},
		drive: driveServer,
		round: time.Second,
		rows:  []row{{label: label, of: cpuTime, show: costRatio, goals: goals{ours: goal}}},
	}
}

// startRecorder sets up what a subject has beside its server.
func startRecorder(subject string) (end func(), err error) {
	switch subject {
	case ours, oursIdle:
		_, end, err = newCapturer(subject == ours)
	case runtimeRecorder:
		r := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: capture.DefaultTraceWindow, MaxBytes: capture.DefaultTraceBytes})
		end, err = r.Stop, r.Start()
	}
	return end, err
}

// lockScenario measures what captures cost between them: a share of the unlocks of locks that somebody waits for is sampled.
func lockScenario() scenario {
	return scenario{
		name:     "lock sampling",
		subjects: []string{bare, oursIdle},
		start: func(subject string) (*work, error) {
			end, err := startRecorder(subject)
			return &work{run: takeTurns, close: end}, err
		},
		rounds: 60,
		rows: []row{
			{label: "A lock that eight goroutines want, CPU a turn", of: cpuTime, show: extraNanoseconds, best: true},
		},
	}
}

// takeTurns has eight goroutines hold one lock n times in all. The holder lets the others run, so that all of them stand in the queue and
// each unlock wakes one.
func takeTurns(n int) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	left := n
	for range clients {
		wg.Go(func() {
			for {
				mu.Lock()
				runtime.Gosched()
				left--
				more := left > 0
				mu.Unlock()
				if !more {
					return
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// newCapturer keeps its captures in a directory that goes with it.
func newCapturer(recorder bool) (c *capture.Capturer, end func(), err error) {
	dir, err := os.MkdirTemp("", "bench-captures-")
	if err != nil {
		return nil, nil, err
	}
	c, err = capture.New(capture.Config{
		Dir: dir, FlightRecorder: recorder, Connections: otelnet.ConnectionsPage, MeterProvider: noop.NewMeterProvider(),
	})
	return c, func() {
		_ = c.Shutdown(context.Background()) // nothing is lost with it
		os.RemoveAll(dir)
	}, err
}

func startPlain(n int) (*work, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go http.Serve(ln, working(n))
	return &work{addr: ln.Addr().String()}, nil
}

// working is a handler that computes so many hashes before it answers.
func working(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var sum [sha256.Size]byte
		for range n {
			sum = sha256.Sum256(sum[:])
		}
		_, _ = io.WriteString(w, body) // an error is the peer's
	})
}

// pauseScenario measures what requests see of a capture: the latencies of an open-loop load, each from the moment the
// request was due, while a capture with all of its parts is made.
func pauseScenario() scenario {
	return scenario{
		name:     "capture pause",
		subjects: []string{bare, ours},
		start:    startPause,
		ops:      int(pauseRate * pauseTime / time.Second),
		rounds:   5,
		rows: []row{
			{label: "p99.9 of 1,000 requests a second while a capture is made", of: slowest, show: extraDuration, goals: goals{ours: 20e6}},
			{label: "A capture with all of its parts takes", of: took, show: absoluteMicroseconds, goals: goals{ours: 8e9}},
		},
	}
}

func startPause(subject string) (*work, error) {
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: otelnet.NewHandler(working(100), "bench")}
	otelnet.Instrument(srv)
	go srv.Serve(ln)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	load := &openLoop{url: "http://" + ln.Addr().String() + "/", client: client}
	var capturer *capture.Capturer
	var end func()
	if subject == ours {
		if capturer, end, err = newCapturer(true); err != nil {
			return nil, err
		}
	}
	v := values{}
	return &work{
		close: end,
		run: func(n int) error {
			begin := time.Now()
			done := make(chan error, 1)
			go func() {
				if capturer == nil {
					done <- nil
					return
				}
				time.Sleep(time.Second) // into the load
				m, err := capturer.Capture(context.Background(), capture.Request{})
				v[took] = float64(m.Took)
				done <- errors.Join(err, whole(m))
			}()
			latencies, err := load.run(begin, n)
			if err = errors.Join(err, <-done); err != nil {
				return err
			}
			slices.Sort(latencies)
			v[slowest] = float64(latencies[len(latencies)*999/1000])
			return nil
		},
		end: func() values { return v },
	}, nil
}

// whole says what a capture lacks.
func whole(m capture.Manifest) error {
	var errs []error
	for _, a := range m.Artefacts {
		if a.Status != capture.StatusOK && a.Kind != capture.Metrics { // there is no history here
			errs = append(errs, errors.New(string(a.Kind)+": "+a.Why))
		}
	}
	return errors.Join(errs...)
}

// openLoop sends requests when they are due, whatever became of those before.
type openLoop struct {
	url    string
	client *http.Client
}

func (l *openLoop) run(begin time.Time, n int) ([]time.Duration, error) {
	latencies := make([]time.Duration, n)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for i := range n {
		due := begin.Add(time.Duration(i) * time.Second / pauseRate)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			resp, err := l.client.Get(l.url)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			latencies[i] = time.Since(due)
			if err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return latencies, failed
}
