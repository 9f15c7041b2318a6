package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// With tracing on, otelhttp is on the path of every request. Each must give one server span at the Collector, and the
// metrics must still count it once, under the same route, with exemplars that point at these traces.
func TestEveryRequestHasOneSpan(t *testing.T) {
	p := startPipeline(t, "DEBUG_VERBOSITY=detailed") // the debug exporter then prints each span
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{
		OTLPEndpoint: p.collector.GRPCEndpoint,
		Env:          []string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_BSP_SCHEDULE_DELAY=200"},
	})
	sent := map[string]float64{"/api/data": 41, "/api/users": 7, "/api/fail": 5}
	for route, n := range sent {
		stack.Send(t, demo.Client, demo.URL+route, int(n))
	}

	status := map[string]string{"/api/data": "200", "/api/users": "200", "/api/fail": "500"}
	stack.Until(t, 30*time.Second, "one span for each request", func(context.Context) error {
		spans := serverSpans(p.collector.Log(t))
		for route, n := range sent {
			if got := spans[route+" "+status[route]]; got != int(n) {
				return fmt.Errorf("server spans of %s with status %s: %d, want %v; all: %v", route, status[route], got, n, spans)
			}
		}
		return nil
	})
	p.wantRequests(t, sent, 30*time.Second)

	traces, err := p.prometheus.ExemplarTraces(t.Context(), `http_server_request_duration_seconds_bucket{http_route="/api/data"}`)
	if err != nil || len(traces) == 0 {
		t.Fatalf("exemplars in Prometheus: %v, %v", traces, err)
	}
	for _, id := range traces {
		if !strings.Contains(p.collector.Log(t), id) {
			t.Errorf("an exemplar points at trace %q, which no span has", id)
		}
	}
}

var (
	spanStart  = regexp.MustCompile(`(?m)^Span #\d+`)
	spanRoute  = regexp.MustCompile(`http\.route: Str\(([^)]*)\)`)
	spanStatus = regexp.MustCompile(`http\.response\.status_code: Int\((\d+)\)`)
)

// serverSpans counts the server spans in what the debug exporter printed, by "route status".
func serverSpans(log string) map[string]int {
	counts := map[string]int{}
	for _, span := range spanStart.Split(log, -1)[1:] {
		route, status := spanRoute.FindStringSubmatch(span), spanStatus.FindStringSubmatch(span)
		if strings.Contains(span, "Kind           : Server") && route != nil && status != nil {
			counts[route[1]+" "+status[1]]++
		}
	}
	return counts
}
