package alertproc

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// start is when every scene begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// scene drives a Processor through snapshots at chosen times.
type scene struct {
	t       *testing.T
	p       *Processor
	changes []Transition
}

func newScene(t *testing.T, cfg Config) *scene {
	t.Helper()
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = noop.NewMeterProvider()
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, p: p}
	p.Subscribe(func(tr Transition) { s.changes = append(s.changes, tr) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the test's has ended
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// oneRule makes a Config of one group that is evaluated every 10 s.
func oneRule(r Rule) Config {
	if r.Alert == "" {
		r.Alert = "A"
	}
	return Config{Groups: []Group{{Name: "g", Every: 10 * time.Second, Rules: []Rule{r}}}}
}

// at evaluates a snapshot of the given metrics, seconds after the start.
func (s *scene) at(seconds float64, metrics ...metricdata.Metrics) {
	s.t.Helper()
	if err := s.try(seconds, metrics...); err != nil {
		s.t.Fatalf("at %gs: %v", seconds, err)
	}
}

func (s *scene) try(seconds float64, metrics ...metricdata.Metrics) error {
	return s.p.Evaluate(s.t.Context(), start.Add(time.Duration(seconds*float64(time.Second))), snapshot(metrics...))
}

// value returns the value of the only alert. Rules that are to be asked for it have a bound that is always crossed.
func (s *scene) value() float64 {
	s.t.Helper()
	alerts := s.p.Alerts()
	if len(alerts) != 1 {
		s.t.Fatalf("got %d alerts, want 1: %+v", len(alerts), alerts)
	}
	return alerts[0].Value
}

func (s *scene) wantValue(want float64) {
	s.t.Helper()
	if got := s.value(); math.Abs(got-want) > 1e-12*math.Abs(want) {
		s.t.Errorf("value: got %v, want %v", got, want)
	}
}

// wantIdle checks that no alert is active, because there is no value or it is not crossed.
func (s *scene) wantIdle() {
	s.t.Helper()
	if alerts := s.p.Alerts(); len(alerts) != 0 {
		s.t.Errorf("got alerts %+v, want none", alerts)
	}
}

// status returns the first rule's status.
func (s *scene) status() RuleStatus { return s.p.Rules()[0].Rules[0] }

var always = Above(-1e300)

func snapshot(metrics ...metricdata.Metrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: "test"}, Metrics: metrics,
	}}}
}

// set makes an attribute set of "a=1 b=2".
func set(text string) attribute.Set {
	var kvs []attribute.KeyValue
	for _, field := range strings.Fields(text) {
		k, v, _ := strings.Cut(field, "=")
		kvs = append(kvs, attribute.String(k, v))
	}
	return attribute.NewSet(kvs...)
}

// series maps attributes, as set reads them, to a value.
type values map[string]float64

func (v values) points() []metricdata.DataPoint[float64] {
	var points []metricdata.DataPoint[float64]
	for _, key := range sortedKeys(v) {
		points = append(points, metricdata.DataPoint[float64]{Attributes: set(key), Value: v[key]})
	}
	return points
}

func gauge(v values) metricdata.Metrics {
	return metricdata.Metrics{Name: "m", Data: metricdata.Gauge[float64]{DataPoints: v.points()}}
}

func upDown(v values) metricdata.Metrics {
	return metricdata.Metrics{Name: "m", Data: metricdata.Sum[float64]{
		DataPoints: v.points(), Temporality: metricdata.CumulativeTemporality,
	}}
}

func counter(v values) metricdata.Metrics {
	return metricdata.Metrics{Name: "m", Data: metricdata.Sum[float64]{
		DataPoints: v.points(), Temporality: metricdata.CumulativeTemporality, IsMonotonic: true,
	}}
}

func deltaCounter(v values) metricdata.Metrics {
	return metricdata.Metrics{Name: "m", Data: metricdata.Sum[float64]{
		DataPoints: v.points(), Temporality: metricdata.DeltaTemporality, IsMonotonic: true,
	}}
}

func named(name string, m metricdata.Metrics) metricdata.Metrics {
	m.Name = name
	return m
}

// observations maps attributes to the values recorded so far.
type observations map[string][]float64

var testBounds = []float64{0.1, 0.25, 0.5, 1}

func histogramOf(bounds []float64, obs observations) metricdata.Metrics {
	data := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for _, key := range sortedKeys(obs) {
		p := metricdata.HistogramDataPoint[float64]{
			Attributes: set(key), Bounds: bounds, BucketCounts: make([]uint64, len(bounds)+1),
		}
		for _, v := range obs[key] {
			p.Count++
			p.Sum += v
			i, _ := slices.BinarySearch(bounds, v)
			p.BucketCounts[i]++
		}
		data.DataPoints = append(data.DataPoints, p)
	}
	return metricdata.Metrics{Name: "m", Data: data}
}

func histogram(obs observations) metricdata.Metrics { return histogramOf(testBounds, obs) }
