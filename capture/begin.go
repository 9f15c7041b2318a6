package capture

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// maxAttached bounds what a manifest lists.
const maxAttached = 50

// overdue is how much longer than its deadline a caller waits for a capture that does not end.
const overdue = 5 * time.Second

// job is a capture that is being made.
type job struct {
	id       string
	request  Request
	wanted   wanted // guarded by Capturer.mu
	closing  bool   // likewise: nothing is added any more
	after    <-chan struct{}
	ctx      context.Context
	cancel   context.CancelCauseFunc
	finished chan struct{}
}

// Capture makes a capture and waits for it: about six seconds with a CPU profile, and no longer than [Config.Deadline] and a
// little. If one is being made, r is attached to it, adds what it lacks, and gets its manifest. An alert in its
// cool-down, or beyond the hourly limit, gets the manifest of the capture it is attached to and an error that wraps
// [ErrLimited]. What a capture could not record is no error; its manifest tells. When ctx ends the waiting ends, and the
// capture goes on.
func (c *Capturer) Capture(ctx context.Context, r Request) (Manifest, error) {
	m, j, err := c.begin(r)
	if err != nil {
		return m, err
	}
	limit := time.NewTimer(2*c.cfg.Deadline + overdue) // another one may have to end first
	defer limit.Stop()
	select {
	case <-j.finished:
	case <-ctx.Done():
		err = fmt.Errorf("capture: %s goes on, nobody waits for it: %w", j.id, context.Cause(ctx))
	case <-limit.C:
		err = fmt.Errorf("capture: %s has not ended in its time", j.id)
	}
	if now, ok := c.Manifest(j.id); ok {
		m = now
	}
	return m, err
}

// Begin is [Capturer.Capture] without the waiting: it decides, and returns at once. The manifest has the ID already, and the
// State running; its artefacts come. No file is touched before it returns, so that it may be called where time counts.
func (c *Capturer) Begin(r Request) (Manifest, error) {
	m, _, err := c.begin(r)
	return m, err
}

func (c *Capturer) begin(r Request) (Manifest, *job, error) {
	if err := r.check(); err != nil {
		return Manifest{}, nil, err
	}
	r.Value, r.Threshold = finite(r.Value), finite(r.Threshold)
	r.Kinds = slices.Clone(r.Kinds)
	quiet := c.quiet()
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return Manifest{}, nil, fmt.Errorf("capture: %w", ErrClosed)
	}
	if j := c.running; j != nil && !j.closing {
		switch {
		case r.Reason == Continuous:
			return Manifest{}, nil, fmt.Errorf("capture: %w: %s is being made", ErrLimited, j.id)
		case j.request.Reason != Continuous:
			m := c.join(j, &r, now)
			return m, j, nil
		}
		// Whoever asks now wants the moment, not the end of the clock's ten seconds.
		j.cancel(errPreempted)
	}
	if r.Reason == Alert {
		if why, id := c.limits.refuse(&r, now); why != "" {
			m := c.attach(id, &r, now, why)
			c.meters.count(r.Reason, outcomeOf(m.ID != ""))
			return m, nil, fmt.Errorf("capture: %w: %s", ErrLimited, why)
		}
	}
	j := c.start(&r, now, quiet)
	if r.Reason == Alert {
		c.limits.took(&r, j.id, now, true)
	}
	return *c.find(j.id), j, nil
}

// start begins a job. The caller holds c.mu.
func (c *Capturer) start(r *Request, now time.Time, quiet bool) *job {
	j := &job{id: c.freshID(r, now), request: *r, wanted: wanted{}, finished: make(chan struct{})}
	if c.running != nil {
		j.after = c.running.finished
	}
	j.wanted.add(*r)
	j.ctx, j.cancel = context.WithCancelCause(c.ctx)
	c.running = j
	c.list = append(c.list, &Manifest{
		ID: j.id, State: StateRunning, At: now.UTC().Round(0), Reason: r.Reason, Alert: r.Alert, Labels: r.Labels, Severity: r.Severity,
		Value: r.Value, Threshold: r.Threshold, Note: r.Note, Quiet: quiet, Artefacts: []Artefact{}, Process: c.process,
	})
	c.wg.Go(func() { c.run(j) })
	return j
}

// whyJoined is noted of a request that came while the capture was made: it was captured, unlike one that came in a cool-down.
const whyJoined = "this capture was being made"

// join has a running capture answer r too. The caller holds c.mu.
func (c *Capturer) join(j *job, r *Request, now time.Time) Manifest {
	j.wanted.add(*r)
	j.request.Force = j.request.Force || r.Force
	if r.Reason == Alert {
		c.limits.took(r, j.id, now, false)
	}
	c.meters.count(r.Reason, outcomeAttached)
	return c.attach(j.id, r, now, whyJoined)
}

// attach notes in the capture id that it answers r. The manifest is the zero one if the capture is gone. The caller
// holds c.mu.
func (c *Capturer) attach(id string, r *Request, now time.Time, why string) Manifest {
	m := c.find(id)
	if m == nil {
		return Manifest{}
	}
	if len(m.Attached) < maxAttached {
		m.Attached = append(slices.Clip(m.Attached), r.attachment(now.UTC().Round(0), why))
	} else {
		m.AttachedMore++
	}
	if m.State != StateRunning { // a running one is written anyway
		c.wg.Go(func() { c.save(id) })
	}
	return *m
}

// freshID is a name that no other capture has. The caller holds c.mu.
func (c *Capturer) freshID(r *Request, now time.Time) string {
	id := newID(r, now)
	for c.find(id) != nil { // of two within a second, once in 65,536
		id = newID(r, now)
	}
	return id
}

// newID names a capture by its moment and alert; the end keeps those of one second apart.
func newID(r *Request, now time.Time) string {
	var tail [2]byte
	_, _ = rand.Read(tail[:]) // never fails
	id := now.UTC().Format("20060102T150405Z")
	if name := plainName(r.Alert); name != "" {
		id += "-" + name
	}
	return id + "-" + hex.EncodeToString(tail[:])
}

// plainName keeps of a rule's name what is good in a path and a URL.
func plainName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, s)
	return s[:min(len(s), 40)]
}

// finite makes a number that JSON can hold.
func finite(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return min(max(v, -math.MaxFloat64), math.MaxFloat64)
}
