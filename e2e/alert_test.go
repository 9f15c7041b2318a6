package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// alertRules fire after a handful of requests and resolve when they have left the window.
const alertRules = `groups:
  - name: e2e
    every: 1s
    rules:
      - alert: Requests
        metric: http.server.request.duration
        where: {http.route: /api/data}
        by: [http.route]
        value: {increase, over: 10s}
        crit: {above: 20}
        for: 1s
        labels: {team: e2e}
        annotations:
          summary: 'busy: {{ index .Labels "http.route" }}'
notify:
  - webhook: {url: "%s"}
  - alertmanager: {url: "%s"}
`

// webhookMessage is what a webhook receiver of Alertmanager gets, as far as the test reads it.
type webhookMessage struct {
	Version string
	Status  string
	Alerts  []struct {
		Status      string
		Labels      map[string]string
		Annotations map[string]string
		StartsAt    time.Time
		EndsAt      time.Time
	}
}

func TestAlertReachesWebhookAndAlertmanager(t *testing.T) {
	messages := make(chan webhookMessage, 16)
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m webhookMessage
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("the webhook's body: %v", err)
		}
		messages <- m
	}))
	t.Cleanup(webhook.Close)

	dir := stack.Dir(t)
	alertmanager := stack.StartAlertmanager(t, dir)
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, fmt.Appendf(nil, alertRules, webhook.URL, alertmanager.URL), 0o644); err != nil {
		t.Fatal(err)
	}
	demo := stack.StartDemo(t, dir, stack.DemoConfig{Args: []string{"-rules", rules}}) // no Collector: rules need none

	begun := time.Now()
	traffic := stack.StartTraffic(t, demo.Client, demo.URL+"/api/data", 50*time.Millisecond)

	firing := nextMessage(t, messages)
	if firing.Version != "4" || firing.Status != "firing" || len(firing.Alerts) != 1 {
		t.Fatalf("the first message is %+v, want version 4, firing, with one alert", firing)
	}
	alert := firing.Alerts[0]
	for name, want := range map[string]string{"alertname": "Requests", "severity": "crit", "team": "e2e", "http.route": "/api/data"} {
		if got := alert.Labels[name]; got != want {
			t.Errorf("label %s is %q, want %q; all labels: %v", name, got, want, alert.Labels)
		}
	}
	if got, want := alert.Annotations["summary"], "busy: /api/data"; got != want {
		t.Errorf("the summary is %q, want %q", got, want)
	}
	if alert.Status != "firing" || alert.StartsAt.Before(begun) || alert.StartsAt.After(time.Now()) {
		t.Errorf("the alert is %+v, want it to be firing since the traffic began at %s", alert, begun)
	}
	stack.Until(t, 20*time.Second, "the alert in Alertmanager", func(ctx context.Context) error {
		alerts, err := alertmanager.Alerts(ctx)
		if err != nil {
			return err
		}
		if len(alerts) != 1 || alerts[0].Labels["alertname"] != "Requests" || alerts[0].Labels["http_route"] != "/api/data" {
			return fmt.Errorf("Alertmanager has %+v, want the one alert, with the label http_route", alerts)
		}
		return nil
	})

	traffic.Stop(t)
	resolved := nextMessage(t, messages)
	if resolved.Status != "resolved" || len(resolved.Alerts) != 1 {
		t.Fatalf("the second message is %+v, want the alert resolved", resolved)
	}
	if got := resolved.Alerts[0]; got.Status != "resolved" || !got.StartsAt.Equal(alert.StartsAt) || !got.EndsAt.After(got.StartsAt) {
		t.Errorf("the resolved alert is %+v, want the start %s and an end after it", got, alert.StartsAt)
	}
	stack.Until(t, 20*time.Second, "the alert resolved in Alertmanager", func(ctx context.Context) error {
		alerts, err := alertmanager.Alerts(ctx)
		if err == nil && len(alerts) > 0 {
			err = fmt.Errorf("still active: %+v", alerts)
		}
		return err
	})
	select {
	case m := <-messages:
		t.Errorf("a third message: %+v", m)
	default:
	}
}

func nextMessage(t *testing.T, messages <-chan webhookMessage) webhookMessage {
	t.Helper()
	select {
	case m := <-messages:
		return m
	case <-time.After(60 * time.Second):
		t.Fatal("no message to the webhook within a minute")
		return webhookMessage{}
	}
}
