package runtimemetrics

import (
	"context"
	"runtime/metrics"
	"sync"

	"go.opentelemetry.io/otel/metric"
)

// runtimeReader reads all its keys with one metrics.Read at each collect.
type runtimeReader struct {
	index map[string]int // of a key in samples

	mu      sync.Mutex // several readers may collect at once
	samples []metrics.Sample
	series  []series
}

// newRuntimeReader makes one sample for each available key that list needs.
func newRuntimeReader(list []instrument, available []metrics.Description) *runtimeReader {
	r := &runtimeReader{index: make(map[string]int)}
	has := make(map[string]bool, len(available))
	for _, d := range available {
		has[d.Name] = d.Kind == metrics.KindUint64 || d.Kind == metrics.KindFloat64
	}
	for _, inst := range list {
		for _, p := range inst.points {
			for _, key := range append([]string{p.key}, p.minus...) {
				if _, done := r.index[key]; !done && has[key] {
					r.index[key] = len(r.samples)
					r.samples = append(r.samples, metrics.Sample{Name: key})
				}
			}
		}
	}
	return r
}

// observe is a callback of every collect.
func (r *runtimeReader) observe(_ context.Context, o metric.Observer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	observe(o, r, r.series)
	return nil
}

func (r *runtimeReader) read() { readSamples(r.samples) }

// readSamples reads none where a Go version has none of the keys, with which metrics.Read would panic.
func readSamples(samples []metrics.Sample) {
	if len(samples) > 0 {
		metrics.Read(samples)
	}
}

func (r *runtimeReader) float(s *series) (float64, bool) {
	v := r.samples[s.plus].Value
	if v.Kind() != metrics.KindFloat64 {
		return 0, false
	}
	return v.Float64(), true
}

// noLimit and above mean that nothing is set. The runtime says math.MaxInt64 for no memory limit, math.MaxUint64 for a
// collector that is off, and then derives a heap goal from the former that is a little below it.
const noLimit = 1 << 62

func (r *runtimeReader) integer(s *series) (int64, bool) {
	v := r.samples[s.plus].Value
	if v.Kind() != metrics.KindUint64 || v.Uint64() >= noLimit {
		return 0, false
	}
	sum := int64(v.Uint64())
	for _, m := range s.minus {
		sum -= int64(r.samples[m].Value.Uint64())
	}
	return sum, true
}
