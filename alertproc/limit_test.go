package alertproc

import (
	"testing"
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
