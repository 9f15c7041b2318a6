package history_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
)

// service is a snapshot about as large as a real service's: 60 histograms of 16 buckets, 100 counters and gauges.
type service struct {
	rm     *metricdata.ResourceMetrics
	counts [][]uint64
	ints   []metricdata.DataPoint[int64]
	tick   int
}

func newService() *service {
	sv := &service{ints: make([]metricdata.DataPoint[int64], 100)}
	hb := make([]float64, 15)
	for i := range hb {
		hb[i] = 0.001 * float64(i+1)
	}
	hist := make([]metricdata.HistogramDataPoint[float64], 60)
	for i := range hist {
		c := make([]uint64, 16)
		sv.counts = append(sv.counts, c)
		hist[i] = metricdata.HistogramDataPoint[float64]{Attributes: attribute.NewSet(attribute.Int("i", i)), Bounds: hb, BucketCounts: c}
	}
	for i := range sv.ints {
		sv.ints[i].Attributes = attribute.NewSet(attribute.Int("i", i))
	}
	sv.rm = snapshot(histogram("h", hist...), counter("c", sv.ints...), gauge("f", point(1.5)))
	return sv
}

// step lets a third of the histograms and all counters move.
func (sv *service) step() {
	sv.tick++
	for i := sv.tick % 3; i < len(sv.counts); i += 3 {
		for b := range sv.counts[i] {
			sv.counts[i][b] += uint64((i + b) % 5)
		}
	}
	for i := range sv.ints {
		sv.ints[i].Value += int64(i * 10)
	}
}

func TestAppendAllocatesNothingOnceRound(t *testing.T) {
	s := newStore(t, history.Config{Keep: 100 * time.Second})
	sv := newService()
	i := 0
	step := func() {
		sv.step()
		s.Append(at(i), sv.rm)
		i++
	}
	for range 600 {
		step()
	}
	if got := testing.AllocsPerRun(256, step); got > 1 {
		t.Errorf("Append allocates %g times, want at most 1", got)
	}
}

func BenchmarkAppend(b *testing.B) {
	s := newStore(b, history.Config{Keep: 15 * time.Minute})
	sv := newService()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		sv.step()
		s.Append(at(i), sv.rm)
		i++
	}
	st := s.Stats()
	b.ReportMetric(float64(st.Bytes)/float64(st.Snapshots), "B/snapshot")
}

func BenchmarkQuery15MinutesMerged(b *testing.B) {
	s := newStore(b, history.Config{Keep: 15 * time.Minute})
	sv := newService()
	for i := range 900 {
		sv.step()
		s.Append(at(i), sv.rm)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Query(history.Query{Step: 3 * time.Second, Select: []history.Selector{{Metric: "h"}}})
	}
}
