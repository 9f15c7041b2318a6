package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

const trafficEvery = 20 * time.Millisecond

// In these tests one route has one series, and each export adds one sample to it. A total alone would not tell of a lost export,
// as it heals with the next one; the number of samples tells.

func (p *pipeline) samplesInPrometheus(ctx context.Context, route string) (float64, error) {
	series, err := p.prometheus.Query(ctx, fmt.Sprintf("count_over_time(%s{http_route=%q}[1h])", requestCount, route))
	if err != nil {
		return 0, err
	}
	if len(series) != 1 {
		return 0, fmt.Errorf("Prometheus has %d series of %s, want 1", len(series), route)
	}
	return series[0].Value, nil
}

func (p *pipeline) samplesInInfluxDB(ctx context.Context, route string) (float64, error) {
	rows, err := p.influx.Query(ctx, fmt.Sprintf(
		`SELECT count("count") FROM "http.server.request.duration" WHERE "http.route" = '%s' GROUP BY *`, route))
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 {
		return 0, fmt.Errorf("InfluxDB has %d series of %s, want 1", len(rows), route)
	}
	return rows[0].Columns["count"], nil
}

// wantSameExports fails unless both stores come to hold the same exports, of which there are at least `least`. Exports go on
// while it looks, so it compares until a moment when both have stored the newest one.
func (p *pipeline) wantSameExports(t *testing.T, route string, least float64) {
	t.Helper()
	stack.Until(t, 30*time.Second, "the same exports in both stores", func(ctx context.Context) error {
		prometheus, err := p.samplesInPrometheus(ctx, route)
		if err != nil {
			return err
		}
		influx, err := p.samplesInInfluxDB(ctx, route)
		if err != nil {
			return err
		}
		if prometheus != influx || prometheus < least {
			return fmt.Errorf("exports of %s: Prometheus has %v, InfluxDB has %v, want the same and at least %v", route, prometheus, influx, least)
		}
		return nil
	})
}

// passExports waits until a store has n more samples of the route: the clock of an outage here.
func passExports(t *testing.T, n float64, route string, samples func(context.Context, string) (float64, error)) {
	t.Helper()
	begin := -1.0
	stack.Until(t, 60*time.Second, fmt.Sprintf("%v more exports", n), func(ctx context.Context) error {
		now, err := samples(ctx, route)
		if err != nil {
			return err
		}
		if begin < 0 {
			begin = now
		}
		if now < begin+n {
			return fmt.Errorf("%v so far", now-begin)
		}
		return nil
	})
}

func TestCollectorKilledDuringTraffic(t *testing.T) {
	p := startPipeline(t)
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})
	traffic := stack.StartTraffic(t, demo.Client, demo.URL+"/api/data", trafficEvery)
	passExports(t, 2, "/api/data", p.samplesInInfluxDB)

	p.collector.Kill()
	// Traffic that the Collector never hears of while it happens: three export intervals of it.
	stack.Send(t, demo.Client, demo.URL+"/api/users", int(3*stack.ExportInterval/(50*time.Millisecond)))
	p.collector.Start(t)
	passExports(t, 2, "/api/data", p.samplesInInfluxDB)

	p.wantRequests(t, map[string]float64{"/api/data": float64(traffic.Stop(t)), "/api/users": 60}, 60*time.Second)
}

func TestPrometheusAwayAndBack(t *testing.T) {
	p := startPipeline(t)
	p.wantNothingLostWithout(t, p.prometheus, p.samplesInInfluxDB)
}

func TestInfluxDBAwayAndBack(t *testing.T) {
	p := startPipeline(t)
	p.wantNothingLostWithout(t, p.influx, p.samplesInPrometheus)
}

// wantNothingLostWithout takes a backend away for five exports under traffic. The other one, of which samples tells, goes
// on meanwhile, and in the end both have every export.
func (p *pipeline) wantNothingLostWithout(t *testing.T, backend interface {
	Stop(testing.TB)
	Start(testing.TB)
}, samples func(context.Context, string) (float64, error),
) {
	t.Helper()
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})
	traffic := stack.StartTraffic(t, demo.Client, demo.URL+"/api/data", trafficEvery)
	passExports(t, 2, "/api/data", samples)

	backend.Stop(t)
	passExports(t, 5, "/api/data", samples)
	backend.Start(t)

	p.wantRequests(t, map[string]float64{"/api/data": float64(traffic.Stop(t))}, 90*time.Second)
	p.wantSameExports(t, "/api/data", 7)
}

// The queue must be on disk: the Collector is killed while it holds what Prometheus has not had.
func TestCollectorKilledWhilePrometheusIsAway(t *testing.T) {
	p := startPipeline(t)
	demo := stack.StartDemo(t, p.dir, stack.DemoConfig{OTLPEndpoint: p.collector.GRPCEndpoint})
	traffic := stack.StartTraffic(t, demo.Client, demo.URL+"/api/data", trafficEvery)
	passExports(t, 2, "/api/data", p.samplesInInfluxDB)

	p.prometheus.Stop(t)
	passExports(t, 5, "/api/data", p.samplesInInfluxDB)
	p.collector.Kill()
	p.collector.Start(t)
	passExports(t, 2, "/api/data", p.samplesInInfluxDB)
	p.prometheus.Start(t)

	p.wantRequests(t, map[string]float64{"/api/data": float64(traffic.Stop(t))}, 90*time.Second)
	p.wantSameExports(t, "/api/data", 9)
}
