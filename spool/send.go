package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/otelnet/agent/internal/guard"
)

const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
	maxAsked   = 5 * time.Minute // the longest pause that a receiver may ask for
)

// sendFunc sends one request and returns the answer: the message of the reply, or the whole of an HTTP response.
type sendFunc func(ctx context.Context, r record) (reply, error)

// reply is what a receiver answered.
type reply struct {
	message  []byte // an Export…ServiceResponse in protobuf; may be empty
	response *httpReply
}

// outcome is what became of a record.
type outcome struct {
	reply reply
	err   error
}

// deliver is the way of a request that the exporter hands over: through the queue. It returns what the exporter is to be told.
func (s *Spool) deliver(ctx context.Context, r record, send sendFunc) (reply, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return reply{}, errClosed
	}
	s.send = send
	away := s.away
	s.mu.Unlock()

	s.expire()
	done := make(chan outcome, 1)
	seq, lost, err := s.enqueue(r, away != nil, done)
	if lost > 0 {
		s.drop(lost, ReasonSize, fmt.Errorf("full at %d bytes, the oldest requests give way", s.config.MaxBytes))
	}
	if err != nil {
		return s.unkept(ctx, r, send, err)
	}
	s.trouble("write", nil)
	s.poke()
	requests, _ := s.queue.depth()
	s.mu.Lock()
	cause, paused := s.away, time.Now().Before(s.notBefore)
	s.mu.Unlock()
	if requests <= 1 && !paused {
		// It is the only one, and its turn is now.
		select {
		case o := <-done:
			return o.reply, o.err
		case <-s.released:
		case <-ctx.Done():
			cause = context.Cause(ctx)
		}
	}
	s.forget(seq)
	select {
	case o := <-done: // just now
		return o.reply, o.err
	default:
		return reply{}, &QueuedError{Requests: requests, Cause: cause}
	}
}

// enqueue appends r, and returns how many others had to give way. done is told what becomes of it, unless it is forgotten.
func (s *Spool) enqueue(r record, toLast bool, done chan<- outcome) (seq uint64, lost int, err error) {
	s.admit.Lock()
	defer s.admit.Unlock()
	if toLast {
		r = s.pack.pack(r)
	}
	seq, lost, err = s.queue.append(r, toLast)
	if err == nil {
		s.waiting[seq] = done
	}
	return seq, lost, err
}

func (s *Spool) forget(seq uint64) {
	s.admit.Lock()
	defer s.admit.Unlock()
	delete(s.waiting, seq)
}

// waiter returns who waits for a record, and nil if nobody does.
func (s *Spool) waiter(seq uint64) chan<- outcome {
	s.admit.Lock()
	defer s.admit.Unlock()
	w := s.waiting[seq]
	delete(s.waiting, seq)
	return w
}

// unkept sends a request that could not be written. Without the disk all is as without a spool: the exporter repeats it for a while.
// Only where earlier requests wait, which it must not overtake, it is lost at once.
func (s *Spool) unkept(ctx context.Context, r record, send sendFunc, cause error) (reply, error) {
	s.trouble("write", fmt.Errorf("a request cannot be kept: %w", cause))
	if waiting, _ := s.queue.depth(); waiting > 0 {
		s.drop(1, ReasonDisk, nil)
		return reply{}, fmt.Errorf("spool: dropped, %d earlier requests wait and this one cannot be kept: %w", waiting, cause)
	}
	answer, err := send(ctx, r)
	if err == nil {
		s.mu.Lock()
		s.stats.Sent++
		s.mu.Unlock()
	}
	return answer, err
}

// run sends what waits, in order, until ctx ends.
func (s *Spool) run(ctx context.Context) {
	defer close(s.ended)
	for ctx.Err() == nil {
		s.expire()
		if pause := s.pause(time.Now()); pause != 0 {
			s.sleep(ctx, pause)
			continue
		}
		s.sendOldest(ctx)
	}
}

// pause is how long to wait before the next attempt; negative: until woken.
func (s *Spool) pause(now time.Time) time.Duration {
	requests, _ := s.queue.depth()
	s.mu.Lock()
	defer s.mu.Unlock()
	if requests == 0 || s.send == nil {
		return -1
	}
	return max(0, s.notBefore.Sub(now))
}

func (s *Spool) sleep(ctx context.Context, d time.Duration) {
	var over <-chan time.Time
	if d > 0 {
		over = time.After(d)
	}
	select {
	case <-over:
	case <-s.wake:
	case <-ctx.Done():
	}
}

// expire drops what has become too old.
func (s *Spool) expire() {
	n, err := s.queue.dropOlder(time.Now().Add(-s.config.MaxAge))
	if n == 0 && err == nil {
		return
	}
	s.drop(n, ReasonAge, errors.Join(fmt.Errorf("requests older than %v are given up", s.config.MaxAge), err))
	s.changedNow()
}

func (s *Spool) changedNow() {
	s.mu.Lock()
	s.broadcast()
	s.mu.Unlock()
}

// sendOldest makes one attempt and acts on its outcome. A panic in a transport is an attempt that failed.
func (s *Spool) sendOldest(ctx context.Context) {
	r, seq, ok, err := s.queue.take()
	if errors.Is(err, errNotNow) {
		s.trouble("open", err)
		s.failed(err, 0)
		return
	}
	if err != nil {
		n, dropErr := s.queue.dropOldest()
		s.drop(n, ReasonCorrupt, errors.Join(err, dropErr))
		s.changedNow()
		return
	}
	if !ok {
		return
	}
	answer, err := s.attempt(ctx, r)
	verdict := judge(err)
	if ctx.Err() != nil && err != nil {
		verdict.again = true // we ended it ourselves
	}
	if verdict.again {
		if !s.queue.release() {
			s.drop(1, ReasonSize, nil)
		}
		s.failed(err, verdict.after)
		return
	}
	s.trouble("settle", s.queue.settle())
	rejected, message := int64(0), ""
	if err == nil {
		rejected, message = answer.partial()
	}
	waiter := s.waiter(seq)
	s.mu.Lock()
	if err == nil {
		s.stats.Sent++
		s.stats.Rejected += rejected
	} else {
		s.stats.Dropped[ReasonRefused]++
	}
	s.away, s.inARow, s.notBefore, s.asked = nil, 0, time.Time{}, false
	delete(s.told, string(ReasonSize)) // the next outage's loss is news again
	delete(s.told, string(ReasonAge))
	s.broadcast()
	s.mu.Unlock()
	switch {
	case waiter != nil:
		waiter <- outcome{answer, err} // the exporter tells of it
	case err != nil:
		s.trouble(string(ReasonRefused), fmt.Errorf("a request is refused for good: %w", err))
	case rejected > 0 || message != "":
		s.trouble("partial", fmt.Errorf("a request is taken but for %d points or spans: %s", rejected, message))
	}
}

func (s *Spool) attempt(ctx context.Context, r record) (answer reply, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	s.mu.Lock()
	send := s.send
	s.mu.Unlock()
	err = guard.Call("sending", func() (err error) {
		answer, err = send(ctx, r)
		return err
	})
	return answer, err
}

// failed notes that the receiver is away and when to try again.
func (s *Spool) failed(err error, asked time.Duration) {
	s.mu.Lock()
	first := s.away == nil
	s.away = err
	pause := min(maxBackoff, minBackoff<<min(s.inARow, 10))
	pause = pause/2 + rand.N(pause/2) // a fleet must not come back in step
	s.asked = asked > 0
	if s.asked {
		pause = min(max(pause, asked), maxAsked)
	}
	s.failures++
	s.inARow++
	s.notBefore = time.Now().Add(pause)
	s.broadcast()
	s.mu.Unlock()
	if first {
		s.trouble("sync", s.queue.sync()) // what was written without force may have to last from here on
	}
	s.admit.Lock()
	defer s.admit.Unlock()
	requests, _ := s.queue.depth() // under admit, so that each waiter's own is among them
	for seq, waiter := range s.waiting {
		waiter <- outcome{err: &QueuedError{Requests: requests, Cause: err}}
		delete(s.waiting, seq)
	}
}
