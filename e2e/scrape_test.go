package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
	"github.com/otelnet/agent/report"
)

// A Prometheus scrapes the service's admin server, which asks for a token: what it then has is what the client sent, and the tool's report from it
// knows the service's metrics as it does those that came by OTLP.
func TestPrometheusScrapes(t *testing.T) {
	dir := stack.Dir(t)
	demo := stack.StartDemo(t, dir, stack.DemoConfig{Env: []string{
		"OTEL_METRICS_EXPORTER=prometheus", "OTELNET_ADMIN_TOKEN=let-me-in-and-look",
		"OTEL_TRACES_EXPORTER=console", // so that there are exemplars
	}})
	admin, err := url.Parse(demo.Admin)
	if err != nil {
		t.Fatal(err)
	}
	const job = "  - job_name: prometheus\n"
	prometheus := stack.StartPrometheusWith(t, dir, stack.FreeAddr(t), job, fmt.Sprintf(`  - job_name: shop
    scrape_interval: 1s
    authorization: {credentials: let-me-in-and-look}
    static_configs: [{targets: [%q]}]
`, admin.Host)+job)
	const requests = 30
	scraped := func(n float64) {
		t.Helper()
		stack.Until(t, 30*time.Second, fmt.Sprintf("%v requests scraped", n), func(ctx context.Context) error {
			got, err := prometheus.Query(ctx, `http_server_request_duration_seconds_count{http_route="/api/data"}`)
			if err != nil || len(got) != 1 || got[0].Value != n || got[0].Labels["job"] != "shop" {
				return fmt.Errorf("%v, %w", got, err)
			}
			return nil
		})
	}
	stack.Send(t, demo.Client, demo.URL+"/api/data", requests)
	scraped(requests)
	stack.Send(t, demo.Client, demo.URL+"/api/data", requests)
	scraped(2 * requests)
	demo.Client.CloseIdleConnections()
	stack.Until(t, 20*time.Second, "all bytes scraped", func(ctx context.Context) error {
		got, err := prometheus.ByLabel(ctx, `sum by (network_io_direction) (otelnet_connection_io_bytes_total{otelnet_listener="http"})`, "network_io_direction")
		if err != nil {
			return err
		}
		if sent, received := float64(demo.Wire.Sent.Load()), float64(demo.Wire.Received.Load()); got["receive"] != sent || got["transmit"] != received {
			return fmt.Errorf("%v, want %v received and %v sent", got, sent, received)
		}
		return nil
	})
	if up, err := prometheus.Query(t.Context(), `up{job="shop"}`); err != nil || len(up) != 1 || up[0].Value != 1 {
		t.Errorf("up: %v, %v", up, err)
	}
	traces, err := prometheus.ExemplarTraces(t.Context(), `http_server_request_duration_seconds_bucket{http_route="/api/data"}`)
	if err != nil || len(traces) == 0 {
		t.Errorf("exemplars: %v, %v", traces, err)
	}
	stack.Until(t, 20*time.Second, "the exemplars' traces among the spans", func(context.Context) error {
		for _, id := range traces {
			if !strings.Contains(demo.Log(t), id) {
				return fmt.Errorf("trace %q was never printed", id)
			}
		}
		return nil
	})

	stdout, stderr, status := otelnetReport(t, "-from", "prometheus="+prometheus.URL, "-service", "shop", "-range", "10m", "-format", "json", "-partial")
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, row := range r.Rows {
		found[row.Metric+" "+row.Part+" "+string(row.Stat)] = true
	}
	for _, want := range []string{
		"http.server.request.duration  p99", "http.server.request.duration  rate", "otelnet.connection.io receive rate", "go.goroutine.count  value",
		"process.memory.usage  value",
	} {
		if !found[want] {
			t.Errorf("the report has no row %q", want)
		}
	}
}
