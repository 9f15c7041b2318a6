package oracle

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
)

// subject is alertproc's side. It runs in a synctest bubble, where it is known when the notifier has nothing left to do.
type subject struct {
	tb        testing.TB
	scenario  *scenario
	rule      spec
	processor *alertproc.Processor
	receiver  receiver
	previous  map[string]float64 // of a delta counter
	dir       string
}

// receiver stands for an Alertmanager.
type receiver struct {
	mu   sync.Mutex
	sent []string
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	var alerts []struct {
		Labels, Annotations map[string]string
		StartsAt, EndsAt    time.Time
	}
	err := json.NewDecoder(req.Body).Decode(&alerts)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.sent = append(r.sent, "not JSON: "+err.Error())
	}
	for _, a := range alerts {
		r.sent = append(r.sent, message(a.Labels, a.Annotations, a.StartsAt, a.EndsAt))
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func newSubject(tb testing.TB, s *scenario) *subject {
	return &subject{tb: tb, scenario: s, rule: s.rule, previous: map[string]float64{}}
}

func (s *subject) config() alertproc.Config {
	cfg := alertproc.Config{
		Groups: []alertproc.Group{{Name: "g", Every: s.scenario.every, Rules: []alertproc.Rule{s.rule.otelnet()}}},
		Notify: []alertproc.Notify{{Alertmanager: &alertproc.AlertmanagerNotify{
			URL: "http://alertmanager.invalid", Resend: s.scenario.resend,
		}}},
		MeterProvider: noop.NewMeterProvider(), HTTPClient: &http.Client{Transport: &s.receiver},
		MaxInstances: s.scenario.limit,
	}
	if s.dir != "" {
		cfg.StateFile = filepath.Join(s.dir, "state.json")
	}
	return cfg
}

func (s *subject) start() {
	p, err := alertproc.New(s.config())
	if err != nil {
		s.tb.Fatal(err)
	}
	s.processor = p
}

func (s *subject) stop() {
	if err := s.processor.Shutdown(s.tb.Context()); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *subject) run() (all []outcome) {
	s.start()
	for i := range s.scenario.steps {
		st := &s.scenario.steps[i]
		if st.restart {
			s.stop()
			s.start()
		}
		if st.reload != nil {
			s.rule = *st.reload
			if err := s.processor.Reload(s.config()); err != nil {
				s.tb.Fatal(err)
			}
		}
		rm := s.snapshot(st)
		if st.failed {
			rm = nil
		}
		s.receiver.sent = nil
		err := s.processor.Evaluate(s.tb.Context(), start.Add(st.at), rm)
		synctest.Wait()
		if s.scenario.evaluated(st) {
			all = append(all, s.outcome(err))
		}
	}
	s.stop()
	return all
}

func (s *subject) outcome(err error) outcome {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	o := outcome{alerts: map[string]alert{}, sent: s.receiver.sent, failed: err != nil}
	slices.Sort(o.sent)
	for _, a := range s.processor.Alerts() {
		o.alerts[labels.FromMap(plain(a.Labels)).String()] = alert{a.State.String(), a.ActiveAt, a.FiredAt, math.Float64bits(a.Value)}
	}
	return o
}

func (s *subject) snapshot(st *step) *metricdata.ResourceMetrics {
	m := metricdata.Metrics{Name: "m"}
	switch s.rule.kind {
	case gauge:
		m.Data = metricdata.Gauge[float64]{DataPoints: s.points(st, false)}
	case upDown:
		m.Data = metricdata.Sum[float64]{DataPoints: s.points(st, false), Temporality: metricdata.CumulativeTemporality}
	case counter:
		m.Data = metricdata.Sum[float64]{
			DataPoints: s.points(st, false), Temporality: metricdata.CumulativeTemporality, IsMonotonic: true,
		}
	case deltaCounter:
		m.Data = metricdata.Sum[float64]{
			DataPoints: s.points(st, true), Temporality: metricdata.DeltaTemporality, IsMonotonic: true,
		}
	case histogramKind:
		data := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
		for attrs, counts := range st.buckets {
			p := metricdata.HistogramDataPoint[float64]{Attributes: attributeSet(attrs), Bounds: bounds, BucketCounts: counts}
			for _, n := range counts {
				p.Count += n
			}
			data.DataPoints = append(data.DataPoints, p)
		}
		m.Data = data
	}
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{m}}}}
}

// points makes the step's data points. Under delta temporality a series that did not grow is left out, as the SDK does.
func (s *subject) points(st *step, delta bool) []metricdata.DataPoint[float64] {
	var points []metricdata.DataPoint[float64]
	for attrs, v := range st.points {
		p := metricdata.DataPoint[float64]{Attributes: attributeSet(attrs), Value: v}
		if delta {
			before, known := s.previous[attrs]
			s.previous[attrs] = v
			if p.Value = v - before; p.Value == 0 && known {
				continue
			}
		}
		points = append(points, p)
	}
	return points
}

func attributeSet(text string) attribute.Set {
	var kvs []attribute.KeyValue
	for k, v := range attributes(text) {
		kvs = append(kvs, attribute.String(k, v))
	}
	return attribute.NewSet(kvs...)
}
