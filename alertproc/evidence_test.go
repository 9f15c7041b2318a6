package alertproc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// Each notifier is to carry the link in its first message already, and the alert from then on.
func TestEvidenceIsInTheFirstNotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		to := &receiver{}
		asked := 0
		cfg := oneRule(Rule{
			Metric: "m", Warn: Above(10), Crit: Above(100), Capture: []string{"cpu"}, Annotations: map[string]string{"summary": "hot"},
		})
		cfg.Notify = []Notify{
			{Log: &LogNotify{}},
			{Webhook: &WebhookNotify{URL: "http://hook.invalid"}},
			{Alertmanager: &AlertmanagerNotify{URL: "http://am.invalid"}},
		}
		cfg.HTTPClient = &http.Client{Transport: to}
		cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		var s *scene
		cfg.Evidence = func(tr Transition) Evidence {
			asked++
			s.p.Alerts() // allowed here
			id := fmt.Sprintf("%s-%d", tr.Alert.Severity, asked)
			return Evidence{ID: id, URL: "http://here/" + id}
		}
		s = newScene(t, cfg)
		for i, v := range []float64{5, 20, 25, 200, 20, 5} {
			s.at(float64(10*i), gauge(values{"": v}))
		}
		synctest.Wait()
		if asked != 2 {
			t.Errorf("asked %d times, want twice: when it fired, and when it got worse", asked)
		}
		lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
		for i, want := range []string{"warn-1", "crit-2", "crit-2", "crit-2"} {
			if i >= len(lines) || !strings.Contains(lines[i], "capture=http://here/"+want) {
				t.Errorf("log record %d: got %q, want the link to %s", i, lines, want)
			}
		}
		first := map[string]bool{}
		for _, r := range to.all() {
			if first[r.url] {
				continue
			}
			first[r.url] = true
			if !strings.Contains(r.body, `"capture":"http://here/warn-1"`) {
				t.Errorf("the first message to %s has no annotation with the link: %s", r.url, r.body)
			}
			if strings.Contains(r.url, "hook") && !strings.Contains(r.body, `"capture":{"id":"warn-1","url":"http://here/warn-1"}`) {
				t.Errorf("the webhook's message has no field with the capture: %s", r.body)
			}
		}
		if len(first) != 2 {
			t.Errorf("messages went to %v, want two receivers", first)
		}
		var ids []string
		for _, tr := range s.p.Transitions("A") {
			ids = append(ids, tr.Alert.Evidence.ID)
		}
		if got := fmt.Sprint(ids); got != "[warn-1 crit-2 crit-2 crit-2]" {
			t.Errorf("the alert's history has the captures %s", got)
		}
	})
}

func TestEvidenceOfTheNextAlertIsItsOwn(t *testing.T) {
	n := 0
	cfg := oneRule(Rule{Metric: "m", Warn: Above(10), Capture: []string{"heap"}})
	cfg.Evidence = func(Transition) Evidence {
		n++
		if n == 2 {
			panic("no disk")
		}
		return Evidence{ID: fmt.Sprint(n)}
	}
	s := newScene(t, cfg)
	var got []string
	for i, v := range []float64{20, 5, 20, 5, 20} {
		s.at(float64(10*i), gauge(values{"": v}))
		for _, a := range s.p.Alerts() {
			got = append(got, a.Evidence.String()+a.Annotations["capture"])
		}
	}
	if fmt.Sprint(got) != "[11  33]" {
		t.Errorf("got the captures %q, want the first, none as it panicked, and the third", got)
	}
}

func TestARuleMayHaveItsOwnCaptureAnnotation(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", Warn: Above(10), Capture: []string{"heap"}, Annotations: map[string]string{"capture": "see the wiki"}})
	cfg.Evidence = func(Transition) Evidence { return Evidence{ID: "x"} }
	s := newScene(t, cfg)
	s.at(0, gauge(values{"": 20}))
	if a := s.p.Alerts()[0]; a.Annotations["capture"] != "see the wiki" || a.Evidence.ID != "x" {
		t.Errorf("got %+v, want the rule's annotation beside the evidence", a)
	}
}

func TestNoEvidenceIsAskedForWithoutCapture(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", Warn: Above(10)})
	cfg.Evidence = func(Transition) Evidence {
		t.Error("asked for evidence that the rule does not want")
		return Evidence{}
	}
	newScene(t, cfg).at(0, gauge(values{"": 20}))
}

func TestEvidenceSurvivesARestart(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", Warn: Above(10), Capture: []string{"heap"}})
	cfg.StateFile = filepath.Join(t.TempDir(), "state.json")
	asked := 0
	cfg.Evidence = func(Transition) Evidence {
		asked++
		return Evidence{ID: "before"}
	}
	s := newScene(t, cfg)
	s.at(0, gauge(values{"": 20}))
	if err := s.p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = newScene(t, cfg)
	s.at(10, gauge(values{"": 20}))
	if alerts := s.p.Alerts(); len(alerts) != 1 || alerts[0].Evidence.ID != "before" || asked != 1 {
		t.Errorf("after the restart: got %+v, asked %d times; want the evidence from before, and not another", alerts, asked)
	}
	if err := s.p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWebhookWithoutEvidenceHasNoField(t *testing.T) {
	w := newWebhook(nil, WebhookNotify{URL: "http://hook.invalid"}, "")
	body, err := json.Marshal(w.message([]Transition{{To: StateFiring, Alert: Alert{Rule: "A"}}}))
	if err != nil || bytes.Contains(body, []byte("capture")) {
		t.Errorf("got %s, error %v", body, err)
	}
}
