package alertproc

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// What the processor holds for each series and slot of its window, everything included, by the runtime's own count: at
// most 64 B in every form. The most takes a quantile over the 15 buckets of request durations with an alert instance for
// each series, when every bucket gets thousands of observations in each second.
func TestMemoryOfASeriesAndSlot(t *testing.T) {
	if testing.Short() {
		t.Skip("collects garbage of tens of megabytes")
	}
	const (
		count  = 1000
		window = 60 // slots
	)
	bounds := []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	var sets []attribute.Set
	for i := range count {
		sets = append(sets, attribute.NewSet(attribute.String("series", strconv.Itoa(i)), attribute.String("zone", strconv.Itoa(i%100))))
	}
	var points []metricdata.DataPoint[float64]
	var histograms []metricdata.HistogramDataPoint[float64]
	for _, set := range sets {
		points = append(points, metricdata.DataPoint[float64]{Attributes: set, Value: 1})
		histograms = append(histograms, metricdata.HistogramDataPoint[float64]{
			Attributes: set, Bounds: bounds, BucketCounts: make([]uint64, len(bounds)+1),
		})
	}
	counter := named("m", metricdata.Metrics{Data: metricdata.Sum[float64]{DataPoints: points, Temporality: metricdata.CumulativeTemporality, IsMonotonic: true}})
	histogram := named("m", metricdata.Metrics{Data: metricdata.Histogram[float64]{DataPoints: histograms, Temporality: metricdata.CumulativeTemporality}})
	rate := Value{Aggregation: Rate, Over: window * time.Second}
	quantile := Value{Aggregation: Quantile, Arg: 0.99, Over: window * time.Second}
	fraction := Value{Aggregation: FractionAbove, Arg: 0.5, Over: window * time.Second}
	for _, test := range []struct {
		name   string
		metric metricdata.Metrics
		value  Value
		above  float64 // never reached
		by     string
		load   uint64  // observations in a bucket and slot
		most   float64 // bytes
	}{
		{"rate of each series", counter, rate, 1e9, "series", 1, 40},
		{"rate of ten series together", counter, rate, 1e9, "zone", 1, 16},
		{"quantile of ten series together", histogram, quantile, 1e9, "zone", 1, 16},
		{"quantile of each series", histogram, quantile, 1e9, "series", 1, 50},
		{"fraction of each series, hundreds a slot", histogram, fraction, 0.9, "series", 255, 50},
		{"quantile of each series, thousands a slot", histogram, quantile, 1e9, "series", 65_535, 64},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := heap()
			p, err := New(Config{
				Groups: []Group{{Name: "g", Every: time.Second, Rules: []Rule{
					{Alert: "A", Metric: "m", By: []string{test.by}, Value: test.value, Warn: Above(test.above)},
				}}},
				MaxInstances: count, MeterProvider: noop.NewMeterProvider(),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Shutdown(t.Context())
			rm := snapshot(test.metric)
			for i := range window + 10 {
				for j := range points {
					points[j].Value++
					h := &histograms[j]
					for k := range h.BucketCounts {
						h.Count += test.load
						h.BucketCounts[k] += test.load
					}
				}
				if err := p.Evaluate(t.Context(), start.Add(time.Duration(i)*time.Second), rm); err != nil {
					t.Fatal(err)
				}
			}
			got := float64(heap()-before) / count / window
			runtime.KeepAlive(p)
			t.Logf("%.1f B a series and slot", got)
			if got > test.most {
				t.Errorf("%.1f B a series and slot, want at most %v", got, test.most)
			}
		})
	}
}

func heap() int64 {
	var ms runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapAlloc)
}
