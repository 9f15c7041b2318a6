package capture

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"runtime/trace"
	"sync"
	"time"
)

// recorder is the flight recorder. Safe for concurrent use.
type recorder struct {
	mu  sync.Mutex
	rec *trace.FlightRecorder // nil when off
	on  bool                  // ours runs; FlightRecorder.Enabled races with Stop
}

// errRecorderOff is why there is no trace where nobody has asked for the flight recorder.
var errRecorderOff = errors.New("the flight recorder is off")

func newRecorder(window time.Duration, bytes int) *recorder {
	return &recorder{rec: trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: window, MaxBytes: uint64(bytes)})}
}

// start starts it, if it does not run already. The process may have one of somebody else's.
func (r *recorder) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.startLocked()
}

func (r *recorder) startLocked() error {
	switch {
	case r.rec == nil:
		return errRecorderOff
	case r.on:
		return nil
	}
	if err := r.rec.Start(); err != nil {
		return fmt.Errorf("the flight recorder could not be started: %w", err)
	}
	r.on = true
	return nil
}

// write writes the trace of the last seconds, compressed. A recorder that did not run is started, for the next time.
func (r *recorder) write(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		if err := r.startLocked(); err != nil {
			return err
		}
		return errors.New("the flight recorder had been taken by another one; it runs from now on")
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := r.rec.WriteTo(&pacedWriter{to: z}); err != nil { // the recorder goes on meanwhile
		return err
	}
	return z.Close()
}

func (r *recorder) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on {
		r.rec.Stop()
		r.on = false
	}
}
