package ruletest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// maxSteps bounds what a short text such as 1x1000000000 can ask for.
const maxSteps = 100_000

// series is one series with a value for each collection.
type series struct {
	Metric     string            `yaml:"metric"`
	Kind       string            `yaml:"kind"`
	Attributes map[string]string `yaml:"attributes"`
	Bounds     []float64         `yaml:"bounds"`
	Values     string            `yaml:"values"`

	points []point
}

// point is what a collection finds.
type point struct {
	missing bool
	value   float64  // of numbers
	buckets []uint64 // of a histogram, since its beginning
	sum     float64  // likewise
}

var kinds = []string{"gauge", "updown", "counter", "histogram"}

func (s *series) parse() error {
	switch {
	case s.Metric == "":
		return fmt.Errorf("metric is missing")
	case !slices.Contains(kinds, s.Kind):
		return fmt.Errorf("kind %q is none of %s", s.Kind, strings.Join(kinds, ", "))
	case s.Kind != "histogram" && s.Bounds != nil:
		return fmt.Errorf("only a histogram has bounds")
	case s.Kind == "histogram" && (len(s.Bounds) == 0 || !slices.IsSorted(s.Bounds)):
		return fmt.Errorf("a histogram needs bounds in ascending order")
	}
	s.points = nil
	now := point{buckets: make([]uint64, len(s.Bounds)+1)}
	for _, word := range strings.Fields(s.Values) {
		if err := s.word(word, &now); err != nil {
			return fmt.Errorf("%q: %w", word, err)
		}
		if len(s.points) > maxSteps {
			return fmt.Errorf("more than %d values", maxSteps)
		}
	}
	return nil
}

// word adds what one word stands for: "5", "_" (missing), "0+10x3" (0 10 20 30), "_x4", and for a histogram what is
// observed before that collection: "0.2", "0.2*90,3*10", "-" for nothing, each also with "x" and how often more.
func (s *series) word(word string, now *point) error {
	text, times, repeated := strings.Cut(word, "x")
	more := 0
	if repeated {
		n, err := strconv.Atoi(times)
		if err != nil || n < 0 || n > maxSteps {
			return fmt.Errorf("after x stands how often it is repeated, up to %d", maxSteps)
		}
		more = n
	}
	if text == "_" {
		for range max(1, more) {
			s.points = append(s.points, point{missing: true})
		}
		return nil
	}
	if s.Kind == "histogram" {
		for range 1 + more {
			if err := now.observe(text, s.Bounds); err != nil {
				return err
			}
			s.points = append(s.points, point{buckets: slices.Clone(now.buckets), sum: now.sum})
		}
		return nil
	}
	first, step, err := progression(text)
	if err != nil {
		return err
	}
	for i := range 1 + more {
		s.points = append(s.points, point{value: first + float64(i)*step})
	}
	return nil
}

// progression reads "5", "5+2" or "5-2".
func progression(text string) (first, step float64, err error) {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return v, 0, nil
	}
	i := strings.LastIndexAny(text, "+-")
	if i <= 0 {
		return 0, 0, fmt.Errorf("no number; want 5, _ or 0+10x3")
	}
	first, err1 := strconv.ParseFloat(text[:i], 64)
	step, err2 := strconv.ParseFloat(text[i:], 64)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("no numbers; want 5, _ or 0+10x3")
	}
	return first, step, nil
}

func (p *point) observe(text string, bounds []float64) error {
	if text == "-" {
		return nil
	}
	for _, one := range strings.Split(text, ",") {
		number, count, many := strings.Cut(one, "*")
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || math.IsNaN(v) {
			return fmt.Errorf("no observation; want 0.2, 0.2*90,3*10, - or _")
		}
		n := uint64(1)
		if many {
			if n, err = strconv.ParseUint(count, 10, 32); err != nil {
				return fmt.Errorf("after * stands how often it was observed")
			}
		}
		i, _ := slices.BinarySearch(bounds, v)
		p.buckets[i] += n
		p.sum += v * float64(n)
	}
	return nil
}

// snapshot makes what a collection finds at a step.
func snapshot(all []*series, step int) *metricdata.ResourceMetrics {
	var metrics []metricdata.Metrics
	for _, s := range all {
		if step >= len(s.points) || s.points[step].missing {
			continue
		}
		metrics = append(metrics, metricdata.Metrics{Name: s.Metric, Data: s.data(s.points[step])})
	}
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: metrics}}}
}

func (s *series) data(p point) metricdata.Aggregation {
	kvs := make([]attribute.KeyValue, 0, len(s.Attributes))
	for k, v := range s.Attributes {
		kvs = append(kvs, attribute.String(k, v))
	}
	set := attribute.NewSet(kvs...)
	if s.Kind == "histogram" {
		h := metricdata.HistogramDataPoint[float64]{Attributes: set, Bounds: s.Bounds, BucketCounts: p.buckets, Sum: p.sum}
		for _, n := range p.buckets {
			h.Count += n
		}
		return metricdata.Histogram[float64]{
			Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.HistogramDataPoint[float64]{h},
		}
	}
	points := []metricdata.DataPoint[float64]{{Attributes: set, Value: p.value}}
	if s.Kind == "gauge" {
		return metricdata.Gauge[float64]{DataPoints: points}
	}
	return metricdata.Sum[float64]{
		DataPoints: points, Temporality: metricdata.CumulativeTemporality, IsMonotonic: s.Kind == "counter",
	}
}
