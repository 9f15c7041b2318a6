package alertproc

import (
	"strconv"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"
)

func TestTooManyInstances(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10)})
	cfg.MaxInstances = 2
	s := newScene(t, cfg)
	s.at(0, gauge(values{"a=1": 5, "a=2": 20}))
	if groups := s.p.Rules(); len(groups) != 1 || len(s.p.Alerts()) != 1 {
		t.Errorf("within the limit: %d groups, %d alerts; want 1 and 1", len(groups), len(s.p.Alerts()))
	}
	s.at(10, gauge(values{"a=1": 5, "a=2": 20, "a=3": 20, "a=4": 20}))
	alerts := s.p.Alerts()
	if len(alerts) != 2 {
		t.Fatalf("got %+v, want that of a=2 and that of the limit", alerts)
	}
	if a := alerts[0]; a.Labels["a"] != "2" {
		t.Errorf("the first label sets stay: got %v, want a=2", a.Labels)
	}
	a := alerts[1]
	if a.Rule != limitAlert || a.Labels["rule"] != "A" || a.Labels["group"] != "g" || a.Value != 2 || a.State != StateFiring {
		t.Errorf("got %+v, want a firing %s of the rule A with 2 left out", a, limitAlert)
	}
	if groups := s.p.Rules(); len(groups) != 2 || groups[1].Name != limitGroup {
		t.Errorf("groups: got %+v, want a second one", groups)
	}
}

// A rule may have a limit of its own.
func TestLimitOfOneRule(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: always, MaxInstances: 2})
	cfg.Groups[0].Rules = append(cfg.Groups[0].Rules, Rule{Alert: "B", Metric: "m", By: []string{"a"}, Warn: always})
	cfg.MaxInstances = 3
	sc := newScene(t, cfg)
	sc.at(0, gauge(values{"a=1": 1, "a=2": 1, "a=3": 1, "a=4": 1}))
	for i, want := range []int{2, 3} {
		if r := sc.p.Rules()[0].Rules[i]; len(r.Alerts) != want || r.Skipped != 4-want {
			t.Errorf("rule %s: %d alerts and %d skipped, want %d and %d", r.Name, len(r.Alerts), r.Skipped, want, 4-want)
		}
	}
}

// When everything fails at once, each alert is looked at, and not each beside each other one.
func BenchmarkAlertsAtOnce(b *testing.B) {
	for _, count := range []int{1_000, 10_000} {
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			all := values{}
			for i := range count {
				all["a="+strconv.Itoa(i)] = 20
			}
			bad := snapshot(gauge(all))
			for b.Loop() {
				b.StopTimer()
				cfg := oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10), MaxInstances: count})
				cfg.MeterProvider = noop.NewMeterProvider()
				p, err := New(cfg)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := p.Evaluate(b.Context(), start, bad); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := p.Shutdown(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
