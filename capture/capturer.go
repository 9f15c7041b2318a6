package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

// Capturer makes captures and keeps them. Make one with [New]; its methods are safe for concurrent use.
type Capturer struct {
	cfg      Config
	clocked  time.Duration // how long CPU profiles by the clock last
	store    *store
	cpu      *broker
	recorder *recorder
	pressure *pressure // the running capture's
	unwatch  func()    // ends the sampling of locks
	meters   *meters
	process  Process

	ctx  context.Context // ends with the Capturer
	stop context.CancelCauseFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	list    []*Manifest // oldest first
	running *job        // the newest one that is not finished; nil when none is made
	limits  *limiter
	closed  bool

	writing sync.Mutex // held while a manifest is written
}

// New opens the directory of cfg, takes over what earlier processes left there as far as the quotas allow, and starts
// the flight recorder if that is asked for. The error joins what is wrong with cfg, or says why the directory can be
// neither opened nor made. One that cannot be written to or is another process's, and a flight recorder that is taken, are reported to
// otel.Handle: they may come right, and until then the manifests tell.
func New(cfg Config) (*Capturer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return open(cfg, continuousTime)
}

// open is New with a configuration that was checked. profile is how long CPU profiles by the clock last.
func open(cfg Config, profile time.Duration) (*Capturer, error) {
	dir, err := openStore(cfg.Dir)
	if err != nil {
		return nil, err
	}
	c := &Capturer{
		cfg: cfg, clocked: profile, store: dir, cpu: newBroker(), recorder: new(recorder), limits: newLimiter(cfg.CoolDown, cfg.PerHour),
		process: Process{
			Service: cfg.Service, Instance: cfg.Instance, PID: os.Getpid(), GoVersion: runtime.Version(),
			GOMAXPROCS: runtime.GOMAXPROCS(0),
		},
	}
	if err := c.takeOver(time.Now()); err != nil {
		dir.close()
		return nil, err
	}
	for _, err := range []error{dir.probe(), dir.alone()} {
		if err != nil {
			otel.Handle(err)
		}
	}
	if c.meters, err = newMeters(cfg.MeterProvider, c.size); err != nil {
		dir.close()
		return nil, err
	}
	c.pressure, c.unwatch = openPressure(), watchLocks()
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	if cfg.FlightRecorder {
		c.recorder = newRecorder(cfg.TraceWindow, cfg.TraceBytes)
		if err := c.recorder.start(); err != nil {
			otel.Handle(fmt.Errorf("capture: %w", err))
		}
	}
	c.wg.Go(c.keep)
	return c, nil
}

// takeOver reads what is stored. The limits on alerts go on over a restart: a process that dies and comes back again and
// again is not to be captured each time.
func (c *Capturer) takeOver(now time.Time) error {
	found, err := c.store.scan(now)
	if err != nil {
		return err
	}
	for _, m := range found {
		c.list = append(c.list, &m)
		c.limits.recall(&m, now)
	}
	c.limits.forget(now)
	for _, id := range c.surplus(now, 0) {
		_ = c.store.remove(id) // the next capture tries again
	}
	return nil
}

// Captures returns the manifests of all captures, the newest first; the first may be running. It reads no file.
func (c *Capturer) Captures() []Manifest {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Manifest, 0, len(c.list))
	for _, m := range slices.Backward(c.list) {
		all = append(all, *m)
	}
	return all
}

// Manifest returns the manifest of one capture; false for an id that is unknown, or whose capture is no longer kept.
func (c *Capturer) Manifest(id string) (Manifest, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.find(id); m != nil {
		return *m, true
	}
	return Manifest{}, false
}

// find returns the entry of id, or nil. The caller holds c.mu.
func (c *Capturer) find(id string) *Manifest {
	for _, m := range c.list {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// Open opens a stored file of a capture by the File of its artefact, or its manifest by [ManifestFile]. For anything
// else the error is fs.ErrNotExist. The caller closes it; it stays readable when the capture is removed meanwhile.
func (c *Capturer) Open(id, file string) (io.ReadSeekCloser, error) {
	m, ok := c.Manifest(id)
	if !ok {
		return nil, fmt.Errorf("capture: %.80q: %w", id, fs.ErrNotExist)
	}
	stored := file == ManifestFile
	for _, a := range m.Artefacts {
		stored = stored || a.File == file && a.Status == StatusOK
	}
	if !stored {
		return nil, fmt.Errorf("capture: %s has no %.80q: %w", id, file, fs.ErrNotExist)
	}
	f, err := c.store.open(id, file)
	if err != nil {
		return nil, fmt.Errorf("capture: open a file of %s: %w", id, err)
	}
	return f, nil
}

// Baseline returns the newest capture with a whole CPU profile that was made while no alert fired, so that others can be
// compared with it; false if there is none.
func (c *Capturer) Baseline() (Manifest, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range slices.Backward(c.list) {
		if m.Calm(CPU.File()) {
			return *m, true
		}
	}
	return Manifest{}, false
}

// size is what captures take up on disk.
func (c *Capturer) size() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.list {
		n += m.Size()
	}
	return n
}

// Shutdown cuts a capture that is being made short, keeping what it has, and stops the flight recorder. It waits for
// that until ctx ends; the error is then ctx's. Calling it again is harmless.
func (c *Capturer) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	c.stop(ErrClosed)
	ended := make(chan struct{})
	go func() {
		c.wg.Wait()
		if first {
			c.recorder.stop()
			c.unwatch()
			c.pressure.close()
			c.store.close()
		}
		close(ended)
	}()
	var err error
	if first {
		err = c.meters.close()
	}
	select {
	case <-ended:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("capture: the last capture has not ended: %w", context.Cause(ctx)))
	}
}

// keep lets captures go when their time has come, and makes the continuous ones.
func (c *Capturer) keep() {
	every := time.Hour
	if c.cfg.Continuous > 0 {
		every = c.cfg.Continuous
	}
	clock := time.NewTicker(every)
	defer clock.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-clock.C:
			c.makeRoom(0)
			if c.cfg.Continuous > 0 && c.quiet() {
				_, _ = c.Begin(Request{Reason: Continuous, Kinds: []Kind{Goroutine, Heap, CPU, Mutex}}) // one is being made: then not now
			}
		}
	}
}

// quiet says whether no alert is firing.
func (c *Capturer) quiet() (quiet bool) {
	if c.cfg.Quiet == nil {
		return true
	}
	defer func() {
		if recover() != nil {
			quiet = false
		}
	}()
	return c.cfg.Quiet()
}
