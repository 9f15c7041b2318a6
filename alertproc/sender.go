package alertproc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The limits of a delivery.
const (
	queueLength  = 256              // messages that wait for one notifier
	maxAttempts  = 5                // for one message
	firstBackoff = time.Second      // doubled after each attempt
	maxBackoff   = 30 * time.Second // at most
	drainTime    = 30 * time.Second // for what is left in the queue of a notifier that a reload took away
)

// message is what a notifier gets from one evaluation.
type message struct {
	changes []Transition // for those that tell changes
	alerts  []outgoing   // for those that repeat
}

// outgoing is an alert with the time until which it holds if it is not repeated.
type outgoing struct {
	Alert
	until time.Time
}

// deliverer is the part of a notifier that differs.
type deliverer interface {
	// deliver sends one message. An error that is permanent is not tried again.
	deliver(ctx context.Context, m message) error
}

// permanent marks an error that the same message would get again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// sender is a notifier with its queue and its goroutine.
type sender struct {
	name    string
	to      deliverer
	timeout time.Duration
	resend  time.Duration           // for those that repeat; otherwise 0
	wants   func(t Transition) bool // for those that tell changes: which ones
	split   bool                    // a message of its own for each rule
	delay   *delayed                // nil without a Delay
	counter metric.Int64Counter     // of what became of the messages
	sent    []metric.AddOption      // its attributes
	failed  []metric.AddOption      // likewise
	dropped []metric.AddOption      // likewise
	wake    chan struct{}           // has room for one
	closing chan struct{}           // closed when nothing more will come

	mu     sync.Mutex
	queue  []message // oldest first
	closed bool
}

func newSender(name string, to deliverer, timeout time.Duration, counter metric.Int64Counter) *sender {
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	outcome := func(what string) []metric.AddOption {
		return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attrNotifier.String(name), attrOutcome.String(what)))}
	}
	return &sender{
		name: name, to: to, timeout: timeout, counter: counter,
		sent: outcome("sent"), failed: outcome("failed"), dropped: outcome("dropped"),
		wake: make(chan struct{}, 1), closing: make(chan struct{}),
	}
}

// enqueue never blocks. When the queue is full the oldest message goes: what is newer says more about how things
// stand.
func (s *sender) enqueue(m message) {
	s.mu.Lock()
	lost := s.closed
	if !lost {
		if lost = len(s.queue) == queueLength; lost {
			copy(s.queue, s.queue[1:])
			s.queue = s.queue[:queueLength-1]
		}
		s.queue = append(s.queue, m)
	}
	s.mu.Unlock()
	if lost {
		s.counter.Add(context.Background(), 1, s.dropped...)
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is awake or about to be
	}
}

// close lets the goroutine end when the queue is empty.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
}

func (s *sender) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// run delivers until the sender is closed and its queue empty, or ctx ends.
func (s *sender) run(ctx context.Context) {
	healthy := true
	for {
		m, ok := s.next(ctx)
		if !ok {
			if n := s.waiting(); n > 0 {
				s.counter.Add(context.WithoutCancel(ctx), int64(n), s.dropped...)
			}
			return
		}
		err := s.try(ctx, m)
		if err != nil {
			s.counter.Add(context.WithoutCancel(ctx), 1, s.failed...)
			if healthy && ctx.Err() == nil { // once for each outage, not for each message
				otel.Handle(fmt.Errorf("alertproc: notify %s: %w", s.name, err))
			}
		} else {
			s.counter.Add(ctx, 1, s.sent...)
		}
		healthy = err == nil
	}
}

// next waits for a message. It is false when there will be none.
func (s *sender) next(ctx context.Context) (message, bool) {
	for {
		if ctx.Err() != nil {
			return message{}, false
		}
		s.mu.Lock()
		if len(s.queue) > 0 {
			m := s.queue[0]
			copy(s.queue, s.queue[1:])
			s.queue[len(s.queue)-1] = message{}
			s.queue = s.queue[:len(s.queue)-1]
			s.mu.Unlock()
			return m, true
		}
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return message{}, false
		}
		select {
		case <-s.wake:
		case <-s.closing:
		case <-ctx.Done():
		}
	}
}

// try makes up to maxAttempts attempts with growing pauses. Once the sender is closed there is no time for more than
// one further attempt.
func (s *sender) try(ctx context.Context, m message) error {
	pause := firstBackoff
	for attempt := 1; ; attempt++ {
		last := attempt == maxAttempts
		select {
		case <-s.closing:
			last = true
		default:
		}
		err := s.attempt(ctx, m)
		if err == nil || last || ctx.Err() != nil || errors.As(err, new(permanent)) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.closing:
		case <-ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, maxBackoff)
	}
}

func (s *sender) attempt(ctx context.Context, m message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panicked: %v", p)
		}
	}()
	return s.to.deliver(ctx, m)
}
