// Package alerting tests package alertproc against a real Alertmanager.
package alerting

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/e2e/internal/stack"
)

// network is a transport that can be cut.
type network struct {
	down     atomic.Bool
	requests atomic.Int64
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.requests.Add(1)
	if n.down.Load() {
		return nil, errors.New("the network is cut")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// service is a process with two rules and one Alertmanager.
type service struct {
	t     *testing.T
	p     *alertproc.Processor
	am    *stack.Alertmanager
	net   *network
	value atomic.Int64 // of the gauge of either rule
}

func start(t *testing.T, am *stack.Alertmanager, name string, keepDots bool) *service {
	t.Helper()
	s := &service{t: t, am: am, net: &network{}}
	rule := func(suffix, label string) alertproc.Rule {
		return alertproc.Rule{
			Alert: name + suffix, Metric: "queue.length", Warn: alertproc.Above(10),
			Labels: map[string]string{label: "x"}, Annotations: map[string]string{"summary": "{{ .Value }} wait"},
		}
	}
	p, err := alertproc.New(alertproc.Config{
		Groups:        []alertproc.Group{{Name: "g", Every: time.Second, Rules: []alertproc.Rule{rule("", "plain"), rule("Dotted", "with.dot")}}},
		Notify:        []alertproc.Notify{{Alertmanager: &alertproc.AlertmanagerNotify{URL: am.URL, Resend: time.Second, KeepDots: keepDots}}},
		MeterProvider: noop.NewMeterProvider(), HTTPClient: &http.Client{Transport: s.net}, ExternalURL: "http://127.0.0.1:6060/",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.p = p
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// until evaluates again and again, until what Alertmanager has of the alert satisfies check; nil is no such alert.
func (s *service) until(what, alert string, check func(*stack.Alert) error) {
	s.t.Helper()
	stack.Until(s.t, 30*time.Second, what, func(ctx context.Context) error {
		rm := &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
			Name: "queue.length",
			Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Attributes: *attribute.EmptySet(), Value: s.value.Load()}}},
		}}}}}
		if err := s.p.Evaluate(ctx, time.Now(), rm); err != nil {
			return err
		}
		alerts, err := s.am.Alerts(ctx)
		if err != nil {
			return err
		}
		for i := range alerts {
			if alerts[i].Labels["alertname"] == alert {
				return check(&alerts[i])
			}
		}
		return check(nil)
	})
}

func firing(a *stack.Alert) error {
	if a == nil {
		return errors.New("it is not there")
	}
	return nil
}

func gone(a *stack.Alert) error {
	if a != nil {
		return fmt.Errorf("it is there until %s", a.EndsAt)
	}
	return nil
}

// handled gathers what goes to otel.Handle.
func handled(t *testing.T) func() int {
	var mu sync.Mutex
	n := 0
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {
		mu.Lock()
		defer mu.Unlock()
		n++
	}))
	t.Cleanup(func() { otel.SetErrorHandler(before) })
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func TestFireRepeatResolve(t *testing.T) {
	s := start(t, stack.StartAlertmanager(t, stack.Dir(t)), "Queue", false)
	s.value.Store(20)
	var first stack.Alert
	s.until("the alert to arrive", "Queue", func(a *stack.Alert) error {
		if a != nil {
			first = *a
		}
		return firing(a)
	})
	if first.Labels["plain"] != "x" || first.Labels["severity"] != "warn" || first.Annotations["summary"] != "20 wait" {
		t.Errorf("got %+v, want the rule's labels and annotations", first)
	}
	s.until("the dot in a label's name to be mapped", "QueueDotted", func(a *stack.Alert) error {
		if err := firing(a); err != nil {
			return err
		}
		if a.Labels["with_dot"] != "x" {
			return fmt.Errorf("labels %v", a.Labels)
		}
		return nil
	})
	s.until("the alert to be repeated", "Queue", func(a *stack.Alert) error {
		if a == nil {
			t.Fatal("the alert ended while it was firing")
		}
		if !a.EndsAt.After(first.EndsAt.Add(4 * time.Second)) {
			return fmt.Errorf("it ends at %s, at first it was %s", a.EndsAt, first.EndsAt)
		}
		if !a.StartsAt.Equal(first.StartsAt) {
			t.Fatalf("it began at %s, at first it was %s", a.StartsAt, first.StartsAt)
		}
		return nil
	})
	s.value.Store(5)
	s.until("the resolve to arrive", "Queue", gone)
}

// Alertmanager 0.25 refuses a label name with a dot, and the whole request with it, but takes the good alerts in it.
func TestOneBadAlertInABatch(t *testing.T) {
	errs := handled(t)
	s := start(t, stack.StartAlertmanager(t, stack.Dir(t)), "Mixed", true)
	s.value.Store(20)
	s.until("the good alert to arrive", "Mixed", firing)
	if s.p.Alerts()[1].Rule != "MixedDotted" {
		t.Fatalf("alerts: %+v, want the dotted one beside it", s.p.Alerts())
	}
	if n := errs(); n > 1 {
		t.Errorf("the refusal was reported %d times, want at most once", n)
	}
}

func TestAlertmanagerAway(t *testing.T) {
	errs := handled(t)
	s := start(t, stack.StartAlertmanager(t, stack.Dir(t)), "Away", false)
	s.net.down.Store(true)
	s.value.Store(20)
	s.until("an attempt to fail", "Away", func(a *stack.Alert) error {
		if a != nil {
			t.Fatal("the alert arrived through a cut network")
		}
		if s.net.requests.Load() < 2 {
			return errors.New("there was no second attempt")
		}
		return nil
	})
	s.net.down.Store(false)
	s.until("the alert to arrive after all", "Away", firing)
	s.net.down.Store(true)
	s.value.Store(5)
	s.until("Alertmanager to end by itself what is not repeated", "Away", gone)
	if n := errs(); n > 2 {
		t.Errorf("two outages were reported %d times", n)
	}
}
