package browser

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// The alert API is Prometheus': its own Go client reads both paths, while an alert fires.
func TestPrometheusClientReadsAlertsAndRules(t *testing.T) {
	t.Parallel()
	rules := stack.Root() + "/e2e/browser/testdata/quick.yaml"
	demo := stack.StartDemo(t, stack.Dir(t), stack.DemoConfig{Args: []string{"-load", "40", "-incident", "now", "-rules", rules}})
	client, err := api.NewClient(api.Config{Address: demo.Admin, Client: demo.Client})
	if err != nil {
		t.Fatal(err)
	}
	server := prometheus.NewAPI(client)
	var alert prometheus.Alert
	stack.Until(t, 60*time.Second, "the alert fires", func(ctx context.Context) error {
		got, err := server.Alerts(ctx)
		if err != nil {
			return err
		}
		if len(got.Alerts) != 1 || got.Alerts[0].State != prometheus.AlertStateFiring {
			return fmt.Errorf("alerts: %+v", got.Alerts)
		}
		alert = got.Alerts[0]
		return nil
	})
	var share float64
	if _, err := fmt.Sscan(alert.Value, &share); err != nil || share <= 0.08 || share > 1 {
		t.Errorf("value %q, want a share above 0.08", alert.Value)
	}
	if alert.Labels["alertname"] != "HighErrorRate" || alert.Annotations["summary"] == "" || time.Since(alert.ActiveAt) > time.Minute {
		t.Errorf("got %+v, want HighErrorRate with a summary, active for less than a minute", alert)
	}
	got, err := server.Rules(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Groups) != 1 || len(got.Groups[0].Rules) != 1 || got.Groups[0].Name != "quick" || got.Groups[0].Interval != 0.2 {
		t.Fatalf("got %+v, want one group of one rule, each 0.2 s", got.Groups)
	}
	rule, ok := got.Groups[0].Rules[0].(prometheus.AlertingRule)
	if !ok {
		t.Fatalf("got a %T, want an alerting rule", got.Groups[0].Rules[0])
	}
	if rule.Name != "HighErrorRate" || rule.Health != prometheus.RuleHealthGood || rule.State != "firing" || rule.Duration != 4 ||
		len(rule.Alerts) != 1 || rule.Alerts[0].Labels["alertname"] != model.LabelValue(rule.Name) || rule.LastEvaluation.IsZero() {
		t.Errorf("got %+v, want HighErrorRate, healthy and firing, for 4 s", rule)
	}
}
