package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// ticker collects a snapshot at every tick and hands it to its consumers in order. Ticks that come too late are
// skipped, never made up for.
type ticker struct {
	interval  time.Duration
	source    collector
	consumers []consumer
	took      func(time.Duration) // records the cost of a tick

	viewers atomic.Int64
	changed chan struct{} // the number of viewers went from or to zero
	done    chan struct{}
	once    sync.Once
	stopped sync.WaitGroup

	// Only the running tick touches these.
	last     time.Time                  // that of the tick before
	rm       metricdata.ResourceMetrics // reused
	reported map[string]string          // the last error of each part, so that one cause is told once
}

// consumer looks at a snapshot during the call and keeps nothing of it. A nil snapshot says that there is none.
type consumer struct {
	name string
	take func(context.Context, time.Time, *metricdata.ResourceMetrics) error
}

func newTicker(interval time.Duration, source collector, took func(time.Duration), consumers ...consumer) *ticker {
	return &ticker{
		interval:  interval,
		source:    source,
		consumers: consumers,
		took:      took,
		changed:   make(chan struct{}, 1),
		done:      make(chan struct{}),
		reported:  map[string]string{},
	}
}

// start takes the first snapshot before it returns, so that whatever the service counts from then on is measured
// against a known beginning.
func (t *ticker) start() {
	t.tick(time.Now())
	t.stopped.Go(t.run)
}

// stop ends the ticker and waits for a running tick, unless ctx ends first.
func (t *ticker) stop(ctx context.Context) error {
	t.once.Do(func() { close(t.done) })
	ended := make(chan struct{})
	go func() {
		t.stopped.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("agent: the last tick has not ended: %w", context.Cause(ctx))
	}
}

// setViewers is told how many pages are open.
func (t *ticker) setViewers(n int) {
	if before := t.viewers.Swap(int64(n)); (before > 0) == (n > 0) {
		return
	}
	select {
	case t.changed <- struct{}{}:
	default: // the loop has yet to see the change before, and will then see this one
	}
}

func (t *ticker) period() time.Duration {
	if t.viewers.Load() > 0 {
		return min(t.interval, viewerTick)
	}
	return t.interval
}

func (t *ticker) run() {
	clock := time.NewTicker(t.period())
	defer clock.Stop()
	for {
		select {
		case <-t.done:
			return
		case <-t.changed:
			clock.Reset(t.period())
		case at := <-clock.C:
			t.tick(at)
		}
	}
}

// tick collects once and lets every consumer look. A panic in an observable callback of the service, or in us, ends
// this tick and nothing else.
func (t *ticker) tick(at time.Time) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			t.report("tick", fmt.Errorf("panicked: %v", p))
		}
		t.took(time.Since(start))
	}()
	// A callback that hangs must not hold the rules for ever; the SDK checks the context between callbacks.
	ctx, cancel := context.WithTimeout(context.Background(), max(t.interval, time.Second))
	defer cancel()
	err := t.source.Collect(ctx, &t.rm)
	t.report("collect", err)
	snapshot := &t.rm
	if ctx.Err() != nil || errors.Is(err, sdkmetric.ErrReaderShutdown) {
		snapshot = nil // if only one callback failed, what the others gave is still good
	}
	at = t.timeOf(at)
	for _, c := range t.consumers {
		t.report(c.name, c.take(ctx, at, snapshot))
	}
}

// timeOf is the time of what has just been collected for the tick that was due at due. That is due, for even steps. But a tick that
// waited for the one before, for a processor or for a slow callback has counts of now: with an earlier time, all that they rose by
// would count for too short a stretch, as a rate that there never was.
func (t *ticker) timeOf(due time.Time) time.Time {
	if now := time.Now(); now.Sub(due) > t.period()/10 || !due.After(t.last) {
		due = now
	}
	t.last = due
	return due
}

// report tells OpenTelemetry's error handler of an error, once until it changes or goes away.
func (t *ticker) report(part string, err error) {
	if err == nil {
		delete(t.reported, part)
		return
	}
	if text := err.Error(); t.reported[part] != text {
		t.reported[part] = text
		otel.Handle(fmt.Errorf("agent: %s: %w", part, err))
	}
}
