package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// The demo writes its metrics to a file. The Collector's own reader of OTLP in JSON, which its otlpjsonfile receiver is made of, reads
// every line and finds the requests that were sent, with the traces of some as exemplars; and the tool replays rules on them.
func TestMetricsFile(t *testing.T) {
	dir := stack.Dir(t)
	path := filepath.Join(dir, "metrics.jsonl")
	demo := stack.StartDemo(t, dir, stack.DemoConfig{Env: []string{
		"OTEL_METRICS_EXPORTER=file", "OTELNET_METRICS_FILE=" + path,
		"OTEL_TRACES_EXPORTER=console", // so that there are exemplars
	}})
	const requests = 40
	for i := range requests {
		if i == requests/2 { // the rest belongs to later exports, so that the counter is seen to rise
			stack.Until(t, 20*time.Second, "an export", func(context.Context) error {
				if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte(`/api/data`)) {
					return fmt.Errorf("no export of the requests yet: %v", err)
				}
				return nil
			})
		}
		if _, err := stack.Get(t.Context(), demo.Client, demo.URL+"/api/data"); err != nil {
			t.Fatal(err)
		}
	}
	if resp, err := demo.Client.Get(demo.URL + "/api/none"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Fatal(resp, err)
	} else {
		resp.Body.Close()
	}
	stack.Until(t, 20*time.Second, "three exports", func(context.Context) error { // a rule is evaluated a second apart
		if text, err := os.ReadFile(path); err != nil || bytes.Count(text, []byte("\n")) < 3 {
			return fmt.Errorf("fewer: %v", err)
		}
		return nil
	})
	demo.Stop(t)

	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines, counted, traces := 0, uint64(0), map[string]bool{}
	for line := range bytes.Lines(text) {
		lines++
		metrics, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
		if err != nil {
			t.Fatalf("line %d: %v\n%s", lines, err, line)
		}
		counted = 0
		eachHistogramPoint(metrics, "http.server.request.duration", func(p pmetric.HistogramDataPoint) {
			if route, ok := p.Attributes().Get("http.route"); !ok || route.AsString() != "/api/data" {
				return
			}
			counted += p.Count()
			for _, e := range p.Exemplars().All() {
				if id := e.TraceID(); !id.IsEmpty() && !e.SpanID().IsEmpty() {
					traces[id.String()] = true
				}
			}
		})
	}
	if counted != requests {
		t.Errorf("the last of %d lines counts %d requests, want %d", lines, counted, requests)
	}
	if len(traces) == 0 {
		t.Error("no exemplar names a trace")
	}
	printed := demo.Log(t)
	for id := range traces {
		if !bytes.Contains([]byte(printed), []byte(id)) {
			t.Errorf("trace %s of an exemplar is none that the service has made", id)
		}
	}

	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte(`groups:
- name: file
  every: 1s
  rules:
  - alert: AnyRequest
    metric: http.server.request.duration
    where: {http.route: /api/data}
    value: {increase, over: 1m}
    warn: {above: 0}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", "-C", stack.Root(), "./cmd/otelnet", "rules", "replay", rules, "-from", path).CombinedOutput()
	if err != nil {
		t.Errorf("replay: %v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("AnyRequest")) {
		t.Errorf("replay does not tell of the alert:\n%s", out)
	}
	t.Logf("%d lines, %d traces; replay:\n%s", lines, len(traces), out)
}

func eachHistogramPoint(metrics pmetric.Metrics, name string, f func(pmetric.HistogramDataPoint)) {
	for _, rm := range metrics.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != name {
					continue
				}
				if m.Type() != pmetric.MetricTypeHistogram {
					panic(fmt.Sprint(name, " is a ", m.Type()))
				}
				for _, p := range m.Histogram().DataPoints().All() {
					f(p)
				}
			}
		}
	}
}
