package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

const requestCount = "http_server_request_duration_seconds_count"

// pipeline is the way out of a service: Collector, Prometheus and InfluxDB.
type pipeline struct {
	dir        string
	prometheus *stack.Prometheus
	influx     *stack.InfluxDB
	collector  *stack.Collector
}

func startPipeline(t *testing.T, collectorEnv ...string) *pipeline {
	t.Helper()
	dir := stack.Dir(t)
	p := &pipeline{
		dir:        dir,
		prometheus: stack.StartPrometheus(t, dir),
		influx:     stack.StartInfluxDB(t, dir),
	}
	p.collector = stack.StartCollector(t, dir, p.prometheus.URL, p.influx.URL, collectorEnv...)
	return p
}

// requestsByRoute asks both stores how many requests the service has counted, by route.
func (p *pipeline) requestsByRoute(ctx context.Context) (prometheus, influx map[string]float64, err error) {
	prometheus, err = p.prometheus.ByLabel(ctx, fmt.Sprintf("sum by (http_route) (%s)", requestCount), "http_route")
	if err != nil {
		return nil, nil, err
	}
	influx, err = p.influx.SumLast(ctx, "http.server.request.duration", "count", "http.route")
	return prometheus, influx, err
}

// wantRequests waits until both stores hold exactly the requests that the test sent, and then that two more exports, seen by
// the time of Prometheus' newest sample, change nothing.
func (p *pipeline) wantRequests(t *testing.T, want map[string]float64, within time.Duration) {
	t.Helper()
	compare := func(ctx context.Context) error {
		prometheus, influx, err := p.requestsByRoute(ctx)
		if err != nil {
			return err
		}
		for route, n := range want {
			if prometheus[route] != n || influx[route] != n {
				return fmt.Errorf("requests of %s: Prometheus has %v, InfluxDB has %v, want %v", route, prometheus[route], influx[route], n)
			}
		}
		return nil
	}
	stack.Until(t, within, "counts equal to what was sent", compare)

	equalAt := p.newestSample(t)
	for p.newestSample(t).Before(equalAt.Add(2 * stack.ExportInterval)) {
		if err := compare(t.Context()); err != nil {
			t.Fatalf("after having been equal: %v", err)
		}
	}
}

// newestSample waits for a sample newer than now's newest and returns its time.
func (p *pipeline) newestSample(t *testing.T) time.Time {
	t.Helper()
	var newest time.Time
	stack.Until(t, 15*time.Second, "the next export", func(ctx context.Context) error {
		samples, err := p.prometheus.Query(ctx, fmt.Sprintf("max(timestamp(%s))", requestCount))
		if err != nil {
			return err
		}
		if len(samples) != 1 {
			return fmt.Errorf("%d series, want 1", len(samples))
		}
		at := time.UnixMilli(int64(samples[0].Value * 1000))
		if newest.IsZero() {
			newest = at
		}
		if !at.After(newest) {
			return fmt.Errorf("the newest sample is still of %s", newest)
		}
		newest = at
		return nil
	})
	return newest
}

func TestEveryRequestIsCountedInBothStores(t *testing.T) {
	p := startPipeline(t)
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})

	sent := map[string]float64{"/api/data": 137, "/api/users": 29}
	for route, n := range sent {
		stack.Send(t, demo.Client, demo.URL+route, int(n))
	}
	p.wantRequests(t, sent, 30*time.Second)
}
