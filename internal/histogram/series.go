package histogram

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// series is one set of attributes of a Histogram.
type series struct {
	of        *Histogram
	attrs     attribute.Set
	exemplars *exemplar.HistogramReservoir // nil for none
	shards    []shard                      // a power of two
}

// shard is a part of a series' sums. There are about as many as processors, so that two seldom meet at one lock.
type shard struct {
	mu       sync.Mutex
	count    uint64
	sum      float64
	min, max float64
	buckets  []uint64
	_        [64]byte // no two on a cache line
}

// maxShards bounds the memory of a series; a power of two.
const maxShards = 8

func newSeries(h *Histogram, attrs attribute.Set) *series {
	n := 1
	for n < runtime.GOMAXPROCS(0) && n < maxShards {
		n *= 2
	}
	s := &series{of: h, attrs: attrs, shards: make([]shard, n)}
	for i := range s.shards {
		// Room on either side keeps the counts of two shards apart too.
		s.shards[i].buckets = make([]uint64, len(h.bounds)+1, len(h.bounds)+1+8)
	}
	if h.cfg.Exemplars != nil {
		s.exemplars = exemplar.NewHistogramReservoir(h.bounds)
	}
	return s
}

func (s *series) record(ctx context.Context, value float64) {
	at := bucket(s.of.bounds, value)
	sh := &s.shards[0]
	if n := len(s.shards); n > 1 {
		sh = &s.shards[rand.Uint32()&uint32(n-1)]
	}
	sh.mu.Lock()
	if sh.count == 0 {
		sh.min, sh.max = value, value
	} else {
		sh.min, sh.max = min(sh.min, value), max(sh.max, value)
	}
	sh.count++
	sh.sum += value
	sh.buckets[at]++
	sh.mu.Unlock()
	if s.exemplars != nil && s.of.cfg.Exemplars(ctx) {
		s.exemplars.Offer(ctx, time.Now(), exemplar.NewValue(value), nil)
	}
}

// bucket returns the index of the first bound that is not below v, and their number if there is none.
func bucket(bounds []float64, v float64) int {
	lo, hi := 0, len(bounds)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if bounds[mid] >= v {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// addTo adds the series up. Each shard is read at one moment, so that count, sum and buckets belong together.
func (s *series) addTo(p *metricdata.HistogramDataPoint[float64]) {
	var least, most float64
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		if sh.count > 0 {
			if p.Count == 0 {
				least, most = sh.min, sh.max
			} else {
				least, most = min(least, sh.min), max(most, sh.max)
			}
			p.Count += sh.count
			p.Sum += sh.sum
			for b, n := range sh.buckets {
				p.BucketCounts[b] += n
			}
		}
		sh.mu.Unlock()
	}
	if p.Count > 0 && !s.of.noMinMax {
		p.Min, p.Max = metricdata.NewExtrema(least), metricdata.NewExtrema(most)
	}
	if s.exemplars == nil {
		return
	}
	var all []exemplar.Exemplar
	s.exemplars.Collect(&all)
	for _, e := range all {
		p.Exemplars = append(p.Exemplars, metricdata.Exemplar[float64]{
			FilteredAttributes: e.FilteredAttributes,
			Time:               e.Time,
			Value:              e.Value.Float64(),
			SpanID:             e.SpanID,
			TraceID:            e.TraceID,
		})
	}
}
