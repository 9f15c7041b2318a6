package otelnet

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// samples are what the ends of connections give to histograms, on its way to the SDK. Recording one costs a closing
// goroutine half a microsecond, nearly all of it because the SDK's code and data are cold there; a batch costs a third
// of that for each.
//
// Nothing is late for anybody: a collect hands over what is there, and where nobody collects, or not any more, each
// sample is recorded at once.
type samples struct {
	mu      sync.Mutex
	waiting []sample

	// Held by who hands a batch to the SDK, which runs code of others meanwhile. A collect waits for it, the end of a
	// connection never does.
	handing sync.Mutex
	spare   []sample // the room of the batch before; guarded by handing
}

// sample is one value, and where it goes.
type sample struct {
	histogram metric.Float64Histogram
	options   *optionSet
	value     float64
}

func (s *sample) record(ctx context.Context) {
	s.histogram.Record(ctx, s.value, s.options.record...)
}

const (
	// sampleBatch bounds what one closing goroutine does for others to some ten microseconds.
	sampleBatch = 64

	// collectorGone is how long after a collect it is believed that another will come.
	collectorGone = 5 * time.Minute
)

// add takes a sample at a time of the process; collected is when the scope was last collected, 0 for never.
func (q *samples) add(s sample, now, collected int64) {
	if collected == 0 || now-collected > int64(collectorGone) {
		// Also if a View drops everything that the collect's callback observes: then it is never called.
		q.tryHandOver()
		s.record(context.Background())
		return
	}
	q.mu.Lock()
	room := len(q.waiting) < sampleBatch
	if room {
		q.waiting = append(q.waiting, s)
	}
	full := len(q.waiting) == sampleBatch
	q.mu.Unlock()
	if !room {
		s.record(context.Background())
	}
	if full {
		q.tryHandOver()
	}
}

// addSample records a sample of this moment, at the latest when a reader collects.
func (s *scope) addSample(x sample, now int64) { s.samples.add(x, now, s.sweptAt.Load()) }

// tryHandOver hands the batch over unless somebody is at it already.
func (q *samples) tryHandOver() {
	if q.handing.TryLock() {
		q.handOver()
	}
}

// flush hands over everything that was added before the call.
func (q *samples) flush() {
	q.handing.Lock()
	q.handOver()
}

// handOver is called with q.handing held, and releases it.
func (q *samples) handOver() {
	defer q.handing.Unlock()
	q.mu.Lock()
	batch := q.waiting
	if len(batch) == 0 {
		q.mu.Unlock()
		return
	}
	if q.spare == nil {
		q.spare = make([]sample, 0, sampleBatch)
	}
	q.waiting, q.spare = q.spare[:0], batch
	q.mu.Unlock()
	ctx := context.Background()
	for i := range batch {
		batch[i].record(ctx)
	}
}
