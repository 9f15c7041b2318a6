package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

// Defaults of [Config].
const (
	DefaultMaxBytes = 128 << 20
	DefaultMaxAge   = 24 * time.Hour
	DefaultTimeout  = 10 * time.Second

	// MinMaxBytes is the least that Config.MaxBytes may be.
	MinMaxBytes = 64 << 10
)

// Config says where a spool is and how much it may hold.
type Config struct {
	// Dir is the directory; it is made, for its owner alone, if it is missing.
	Dir string
	// Name tells the spools of one directory apart: "metrics", "traces". It becomes part of a directory's name.
	Name string
	// MaxBytes bounds the files, in bytes. The oldest requests give way, an eighth of the whole at a time. 0: [DefaultMaxBytes].
	MaxBytes int64
	// MaxAge is how old a request may be when it is sent. 0: [DefaultMaxAge].
	MaxAge time.Duration
	// Timeout bounds one attempt to send. 0: [DefaultTimeout].
	Timeout time.Duration
	// OnError is told what is lost or broken, each cause once until it changes; from any goroutine. nil: otel.Handle.
	OnError func(error)
}

// Spool sends requests in order and keeps them on disk until they have been taken. Its methods are safe for concurrent use.
type Spool struct {
	config Config
	place  *place
	queue  *queue
	pack   packer

	wake  chan struct{} // there may be something to do
	stop  context.CancelFunc
	ended chan struct{}

	admit   sync.Mutex                // one request is appended at a time, together with its waiter; taken before mu
	waiting map[uint64]chan<- outcome // callers by the number of their record

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced at every change of what follows
	send      sendFunc      // how, as the latest call showed; nil before the first
	away      error         // why the receiver does not take anything; nil while it does
	failures  int           // attempts that failed, ever
	inARow    int           // of these, since the last that did not
	notBefore time.Time     // of the next attempt
	asked     bool          // the receiver asked for that pause
	closed    bool
	stats     Stats
	told      map[string]string // the last error of each kind, so that one cause is told once

	released chan struct{} // closed by Release
	release  sync.Once
}

// Stats is a spool's account of its requests. All but the first two fields only grow.
type Stats struct {
	Requests int64 // waiting now
	Size     int64 // of the files, in bytes
	Sent     int64 // requests that the receiver took, whether they had to wait or not
	Dropped  map[Reason]int64
	Rejected int64 // points or spans that the receiver left out of requests that it took
	Away     bool  // the last attempt failed in a way that will be repeated
}

// Reason is why a request was dropped.
type Reason string

// The reasons.
const (
	ReasonSize    Reason = "size"    // pushed out by newer requests
	ReasonAge     Reason = "age"     // older than MaxAge
	ReasonRefused Reason = "refused" // the receiver will not have it, ever
	ReasonCorrupt Reason = "corrupt" // not as it was written
	ReasonDisk    Reason = "disk"    // could not be written, and the receiver was away
)

var reasons = [...]Reason{ReasonSize, ReasonAge, ReasonRefused, ReasonCorrupt, ReasonDisk}

// QueuedError says that a request has not been sent yet: it waits on disk. The exporter that gets it must not repeat the request, so it
// hides its cause from errors.As: exporters look there for a gRPC status that asks for repetition.
type QueuedError struct {
	Requests int   // that wait, this one among them; as far as is known
	Cause    error // of the last attempt; nil while the receiver answers and earlier requests are being sent
}

func (e *QueuedError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("kept on disk, %d requests are to be sent in order", e.Requests)
	}
	return fmt.Sprintf("kept on disk with %d requests in all: %v", e.Requests, e.Cause)
}

var errClosed = errors.New("spool: closed")

// Open takes a place in the directory, reads what earlier processes have left there, and starts the goroutine that sends it, once a
// first call of the exporter has shown how; see [Prime]. Damaged files are told to OnError and set aside. An error means that the
// directory cannot be used.
func Open(c Config) (*Spool, error) { return open(c, osOpen) }

func open(c Config, openFile openFile) (*Spool, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.OnError == nil {
		c.OnError = otel.Handle
	}
	switch {
	case c.Dir == "" || c.Name == "":
		return nil, errors.New("spool: Dir and Name must be set")
	case c.MaxBytes < MinMaxBytes:
		return nil, fmt.Errorf("spool: MaxBytes is %d; allowed: %d or more", c.MaxBytes, MinMaxBytes)
	case c.MaxAge < 0 || c.Timeout < 0:
		return nil, fmt.Errorf("spool: MaxAge is %v and Timeout %v; allowed: more than 0", c.MaxAge, c.Timeout)
	}
	place, err := takePlace(c.Dir, c.Name)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	queue, damaged, err := openQueue(place.path, openFile, c.MaxBytes)
	if err != nil {
		place.leave()
		return nil, fmt.Errorf("spool: %w", err)
	}
	queue.renew = place.renew
	s := &Spool{
		config: c, place: place, queue: queue,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), changed: make(chan struct{}),
		waiting: map[uint64]chan<- outcome{},
		stats:   Stats{Dropped: map[Reason]int64{}},
		told:    map[string]string{},

		released: make(chan struct{}),
	}
	for _, err := range damaged {
		s.stats.Dropped[ReasonCorrupt]++
		c.OnError(fmt.Errorf("spool: %w", err))
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	go s.run(ctx)
	return s, nil
}

// Stats returns the account of this moment.
func (s *Spool) Stats() Stats {
	requests, size := s.queue.depth()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Requests, out.Size, out.Away = int64(requests), size, s.away != nil
	out.Dropped = make(map[Reason]int64, len(reasons))
	for _, r := range reasons {
		out.Dropped[r] = s.stats.Dropped[r]
	}
	return out
}

// Dir is the directory that this process took.
func (s *Spool) Dir() string { return s.place.path }

// Flush waits until everything that waits has been sent. It gives up with a [*QueuedError] at the first attempt that fails from now on,
// at once if the receiver has asked for a pause, and when ctx ends.
func (s *Spool) Flush(ctx context.Context) error {
	s.mu.Lock()
	failures := s.failures
	if s.away != nil && !s.asked {
		s.notBefore = time.Time{} // try at once
	}
	s.mu.Unlock()
	s.poke()
	for {
		s.mu.Lock()
		changed, away, tried := s.changed, s.away, s.failures > failures
		asked := s.asked && time.Now().Before(s.notBefore)
		sendable := s.send != nil && !s.closed
		s.mu.Unlock()
		requests, _ := s.queue.depth() // after changed, so that no change is missed
		switch {
		case requests == 0:
			return nil
		case away != nil && (tried || asked) || !sendable:
			return &QueuedError{Requests: requests, Cause: away}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &QueuedError{Requests: requests, Cause: context.Cause(ctx)}
		}
	}
}

// Release ends the waiting of the exporter's calls: from now on each is told a [*QueuedError] as soon as its request is on disk. It is for
// the time before Close, when a receiver that never answers would hold up those who have more to hand over.
func (s *Spool) Release() { s.release.Do(func() { close(s.released) }) }

// Close flushes within ctx, ends the sending and leaves the rest on disk for the next process. A [*QueuedError] tells that there is
// some. Calls of the exporter fail from then on. Close it before the exporter, whose connection it needs.
func (s *Spool) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.mu.Unlock()
	var err error
	if first {
		err = s.Flush(ctx)
	}
	s.mu.Lock()
	first = !s.closed
	s.closed = true
	s.mu.Unlock()
	if !first {
		return nil
	}
	s.stop()
	<-s.ended // it heeds the context that stop has ended
	if closeErr := s.queue.close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("spool: %w", closeErr))
	}
	s.place.leave()
	return err
}

// poke has the sending goroutine look again.
func (s *Spool) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// broadcast tells Flush of a change; mu is held.
func (s *Spool) broadcast() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// drop counts requests that are lost and tells of it.
func (s *Spool) drop(n int, why Reason, err error) {
	if n == 0 && err == nil {
		return
	}
	s.mu.Lock()
	s.stats.Dropped[why] += int64(n)
	s.mu.Unlock()
	s.trouble(string(why), err)
}

// trouble tells OnError of an error once, until it changes or has gone.
func (s *Spool) trouble(what string, err error) {
	s.mu.Lock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	told := s.told[what] == text
	s.told[what] = text
	s.mu.Unlock()
	if err != nil && !told {
		s.config.OnError(fmt.Errorf("spool: %w", err))
	}
}
