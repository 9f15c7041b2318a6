package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

const trafficEvery = 20 * time.Millisecond

// exportsStored returns how many samples of one series each store holds. Both were sent the same exports, so the numbers are
// equal unless one of the stores missed some: a total alone would not tell, as it heals with the next export.
func (p *pipeline) exportsStored(ctx context.Context, route string) (prometheus, influx float64, err error) {
	samples, err := p.prometheus.Query(ctx, fmt.Sprintf("count_over_time(%s{http_route=%q}[1h])", requestCount, route))
	if err != nil {
		return 0, 0, err
	}
	if len(samples) != 1 {
		return 0, 0, fmt.Errorf("Prometheus has %d series of %s, want 1", len(samples), route)
	}
	rows, err := p.influx.Query(ctx, fmt.Sprintf(`SELECT count("count") FROM "http.server.request.duration" WHERE "http.route" = '%s' GROUP BY *`, route))
	if err != nil {
		return 0, 0, err
	}
	if len(rows) != 1 {
		return 0, 0, fmt.Errorf("InfluxDB has %d series of %s, want 1", len(rows), route)
	}
	return samples[0].Value, rows[0].Columns["count"], nil
}

// wantSameExports fails unless both stores come to hold the same exports, of which there are at least `least`. Exports go on
// while it looks, so it compares until a moment when both have stored the newest one.
func (p *pipeline) wantSameExports(t *testing.T, route string, least float64) {
	t.Helper()
	stack.Until(t, 30*time.Second, "the same exports in both stores", func(ctx context.Context) error {
		prometheus, influx, err := p.exportsStored(ctx, route)
		if err != nil {
			return err
		}
		if prometheus != influx || prometheus < least {
			return fmt.Errorf("exports of %s: Prometheus has %v, InfluxDB has %v, want the same and at least %v", route, prometheus, influx, least)
		}
		return nil
	})
}

// passExports waits until InfluxDB has stored n more exports, the clock of an outage in these tests.
func (p *pipeline) passExports(t *testing.T, route string, n float64) {
	t.Helper()
	begin := -1.0
	stack.Until(t, 60*time.Second, fmt.Sprintf("%v more exports", n), func(ctx context.Context) error {
		rows, err := p.influx.Query(ctx, fmt.Sprintf(`SELECT count("count") FROM "http.server.request.duration" WHERE "http.route" = '%s'`, route))
		if err != nil {
			return err
		}
		if len(rows) != 1 {
			return fmt.Errorf("%d series, want 1", len(rows))
		}
		if begin < 0 {
			begin = rows[0].Columns["count"]
		}
		if passed := rows[0].Columns["count"] - begin; passed < n {
			return fmt.Errorf("%v so far", passed)
		}
		return nil
	})
}

func TestCollectorKilledDuringTraffic(t *testing.T) {
	p := startPipeline(t)
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})
	traffic := stack.StartTraffic(t, demo.Client, demo.URL+"/api/data", trafficEvery)
	p.passExports(t, "/api/data", 2)

	p.collector.Kill()
	// Traffic that the Collector never hears of while it happens: three export intervals of it.
	stack.Send(t, demo.Client, demo.URL+"/api/users", int(3*stack.ExportInterval/(50*time.Millisecond)))
	p.collector.Start(t)
	p.passExports(t, "/api/data", 2)

	p.wantRequests(t, map[string]float64{"/api/data": float64(traffic.Stop(t)), "/api/users": 60}, 60*time.Second)
}

func TestPrometheusAwayAndBack(t *testing.T) {
	p := startPipeline(t)
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})
	traffic := stack.StartTraffic(t, demo.Client, demo.URL+"/api/data", trafficEvery)
	p.passExports(t, "/api/data", 2)

	p.prometheus.Stop(t)
	p.passExports(t, "/api/data", 5) // InfluxDB goes on
	p.prometheus.Start(t)

	p.wantRequests(t, map[string]float64{"/api/data": float64(traffic.Stop(t))}, 90*time.Second)
	p.wantSameExports(t, "/api/data", 7)
}

// The queue must be on disk: the Collector is killed while it holds what Prometheus has not had.
func TestCollectorKilledWhilePrometheusIsAway(t *testing.T) {
	p := startPipeline(t)
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})
	traffic := stack.StartTraffic(t, demo.Client, demo.URL+"/api/data", trafficEvery)
	p.passExports(t, "/api/data", 2)

	p.prometheus.Stop(t)
	p.passExports(t, "/api/data", 5)
	p.collector.Kill()
	p.collector.Start(t)
	p.passExports(t, "/api/data", 2)
	p.prometheus.Start(t)

	p.wantRequests(t, map[string]float64{"/api/data": float64(traffic.Stop(t))}, 90*time.Second)
	p.wantSameExports(t, "/api/data", 9)
}
