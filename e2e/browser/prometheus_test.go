package browser

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
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

// promtool has no command that asks for alerts or rules. What it can read of a server, it reads from this one: profiles, and
// metrics that pass its linter.
func TestPromtoolReadsProfilesAndMetrics(t *testing.T) {
	t.Parallel()
	promtool := stack.Program(t, "promtool", "prometheus")
	dir := stack.Dir(t)
	demo := stack.StartDemo(t, dir, stack.DemoConfig{Args: []string{"-load", "40"}, Env: []string{"OTEL_METRICS_EXPORTER=prometheus"}})
	target, err := url.Parse(demo.Admin)
	if err != nil {
		t.Fatal(err)
	}
	// It takes a profile and a trace of thirty seconds each; one will do.
	shorter := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if r.Out.URL.Query().Has("seconds") {
			r.Out.URL.RawQuery = "seconds=1"
		}
	}})
	defer shorter.Close()
	debug := exec.CommandContext(t.Context(), promtool, "debug", "all", shorter.URL)
	debug.Dir = dir
	if out, err := debug.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", debug, err, out)
	}
	packed, err := exec.CommandContext(t.Context(), "tar", "-tzvf", filepath.Join(dir, "debug.tar.gz")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, packed)
	}
	for _, name := range []string{"cpu.pb", "heap.pb", "goroutine.pb", "mutex.pb", "block.pb", "threadcreate.pb", "trace.pb", "metrics.txt"} {
		if !regexp.MustCompile(`\s[1-9]\d{2,} .*` + regexp.QuoteMeta(name)).Match(packed) {
			t.Errorf("promtool debug all brought no %s:\n%s", name, packed)
		}
	}
	stack.Until(t, 30*time.Second, "requests are exposed", func(ctx context.Context) error {
		body, err := stack.Get(ctx, demo.Client, demo.Admin+"/metrics")
		if err == nil && !bytes.Contains(body, []byte("http_server_request_duration_seconds_bucket{")) {
			err = fmt.Errorf("%.500s", body)
		}
		return err
	})
	body, err := stack.Get(t.Context(), demo.Client, demo.Admin+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	// The semantic conventions call gauges go.goroutine.count and the like, which the linter would keep for histograms.
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(body)
	said, _ := cmd.CombinedOutput() // its status tells of any remark
	for line := range bytes.Lines(said) {
		if !bytes.HasSuffix(bytes.TrimSpace(line), []byte(`non-histogram and non-summary metrics should not have "_count" suffix`)) {
			t.Errorf("promtool check metrics: %s", line)
		}
	}
}
