package runtimemetrics

import (
	"context"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelnet/agent/internal/version"
)

// processStart stands for the moment from which the runtime counts; package initialisation is as close as one can get.
var processStart = time.Now()

// Producer gives the runtime's histograms to an SDK reader. It implements the SDK's metric.Producer and may be given to
// any number of readers, which may collect at the same time.
type Producer struct {
	mu      sync.Mutex
	list    []histogram
	samples []metrics.Sample // samples[i] is read for list[i]
	folds   []fold           // folds[i] is how list[i] is made of it
	all     []sourced        // WithAll
}

// NewProducer returns a Producer of those histograms in the package comment that the running Go version has, and
// [WithAll] of everything else there. It needs no stop: files below /proc that WithAll keeps open are closed when the
// Producer is no longer reachable.
func NewProducer(opts ...ProducerOption) *Producer {
	return newProducer(newProducerConfig(opts), metrics.All())
}

func newProducer(cfg config, available []metrics.Description) *Producer {
	p := &Producer{}
	for _, h := range histograms() {
		if slices.ContainsFunc(available, func(d metrics.Description) bool {
			return d.Name == h.key && d.Kind == metrics.KindFloat64Histogram
		}) {
			p.list = append(p.list, h)
			p.samples = append(p.samples, metrics.Sample{Name: h.key})
		}
	}
	// The bounds of a key stay the same as long as the program runs, so how to merge them is settled here.
	readSamples(p.samples)
	for _, s := range p.samples {
		p.folds = append(p.folds, newFold(s.Value.Float64Histogram().Buckets))
	}
	if cfg.all {
		p.addAll(cfg, available)
	}
	return p
}

// addAll makes p give what Start would. The histograms' samples join the others, to be read with them.
func (p *Producer) addAll(cfg config, available []metrics.Description) {
	list := cfg.runtimeInstruments(available)
	reader := newRuntimeReader(list, available)
	first := len(reader.samples)
	reader.samples = append(reader.samples, p.samples...)
	p.samples = reader.samples[first:]
	p.all = []sourced{{reader, families(list, reader.index)}}
	if !cfg.withoutProcess {
		system := newSystemReader(cfg.root)
		runtime.AddCleanup(p, (*systemReader).close, system)
		p.all = append(p.all, sourced{system, families(systemInstruments(), systemIndex())})
	}
}

// gives tells whether p gives everything now.
func (p *Producer) gives() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all != nil
}

// stop leaves p with its histograms.
func (p *Producer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, from := range p.all {
		if system, ok := from.source.(*systemReader); ok {
			system.close()
		}
	}
	p.all = nil
}

func (p *Producer) read() {
	if p.all == nil {
		readSamples(p.samples)
	}
	for _, from := range p.all {
		from.read()
	}
}

// produced holds what one call of Produce returns, in a single piece of memory.
type produced struct {
	scope   [1]metricdata.ScopeMetrics
	metrics [maxHistograms]metricdata.Metrics
	points  [maxHistograms]metricdata.HistogramDataPoint[float64]
	bounds  [maxHistograms][maxBounds]float64
	counts  [maxHistograms][maxBounds + 1]uint64
}

// maxHistograms is how many the list may have; a test compares.
const maxHistograms = 3

// Produce returns the metrics as they are now, always cumulative since the program started, whatever temporality the
// reader prefers. The result shares no memory with the runtime or with another call. It never returns an error.
//
// Of a histogram, Count and BucketCounts are exact. The runtime keeps no sum: Sum is estimated from the middles of its own finer
// buckets, at most 13 % off for values from 256 ns to a day.
func (p *Producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list)+len(p.all) == 0 {
		return nil, nil
	}
	now := time.Now()
	p.read()
	out := new(produced)
	for i, h := range p.list {
		f, point := &p.folds[i], &out.points[i]
		n := copy(out.bounds[i][:], f.bounds)
		point.Bounds, point.BucketCounts = out.bounds[i][:n:n], out.counts[i][:n+1:n+1]
		point.Count, point.Sum = f.merge(p.samples[i].Value.Float64Histogram().Counts, point.BucketCounts)
		point.StartTime, point.Time = processStart, now
		out.metrics[i] = metricdata.Metrics{
			Name:        h.name,
			Description: h.description,
			Unit:        h.unit,
			Data: metricdata.Histogram[float64]{
				Temporality: metricdata.CumulativeTemporality,
				DataPoints:  out.points[i : i+1 : i+1],
			},
		}
	}
	out.scope[0] = metricdata.ScopeMetrics{
		Scope:   instrumentation.Scope{Name: ScopeName, Version: version.Module(), SchemaURL: semconv.SchemaURL},
		Metrics: appendAll(out.metrics[:len(p.list):len(p.list)], p.all, now),
	}
	return out.scope[:], nil
}
