package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// exponentialBatch is one OTLP export: an exponential histogram, and a gauge that must not be lost with it. At scale 0 the bucket
// of index i holds the values from 2^i to 2^(i+1), so these are 2 zeros, 3 up to 0.125, 5 up to 0.25 and 7 up to 0.5.
const exponentialBatch = `{"resourceMetrics": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "e2e"}}]},
  "scopeMetrics": [{"scope": {"name": "e2e"}, "metrics": [
    {"name": "e2e.wait", "unit": "s", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [{
      "startTimeUnixNano": "%[1]d", "timeUnixNano": "%[1]d", "count": "17", "sum": 5.5, "min": 0, "max": 0.5,
      "scale": 0, "zeroCount": "2", "positive": {"offset": -4, "bucketCounts": ["3", "5", "7"]}}]}},
    {"name": "e2e.level", "unit": "By", "gauge": {"dataPoints": [{"timeUnixNano": "%[1]d", "asDouble": 42}]}}
  ]}]}]}`

func TestExponentialHistogramReachesBothStores(t *testing.T) {
	p := startPipeline(t)
	body := fmt.Sprintf(exponentialBatch, time.Now().UnixNano())
	resp, err := http.Post("http://"+p.collector.HTTPEndpoint+"/v1/metrics", "application/json", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("the Collector answered %s: %s", resp.Status, answer)
	}

	stack.Until(t, 20*time.Second, "both metrics in Prometheus", func(ctx context.Context) error {
		return wantValues(ctx, p.prometheus, map[string]float64{
			"histogram_count(e2e_wait_seconds)": 17,
			"histogram_sum(e2e_wait_seconds)":   5.5,
			"e2e_level_bytes":                   42,
		})
	})

	stack.Until(t, 20*time.Second, "both metrics in InfluxDB", func(ctx context.Context) error {
		gauge, err := p.influx.Query(ctx, `SELECT * FROM "e2e.level"`)
		if err != nil {
			return err
		}
		if len(gauge) != 1 || gauge[0].Columns["gauge"] != 42 {
			return fmt.Errorf("e2e.level is %v, want a gauge of 42", gauge)
		}
		wait, err := p.influx.Query(ctx, `SELECT * FROM "e2e.wait"`)
		if err != nil {
			return err
		}
		if len(wait) != 1 {
			return fmt.Errorf("e2e.wait has %d rows, want 1", len(wait))
		}
		// Bucket fields are cumulative, each named after its upper bound; an exponential bucket is put where its middle lies.
		for field, want := range map[string]float64{
			"count": 17, "sum": 5.5, "min": 0, "max": 0.5,
			"0.005": 2, "0.075": 2, "0.1": 2 + 3, "0.25": 5 + 5, "0.5": 10 + 7, "3600": 17,
		} {
			if got := wait[0].Columns[field]; got != want {
				return fmt.Errorf("e2e.wait: %s is %v, want %v; all fields: %v", field, got, want, wait[0].Columns)
			}
		}
		return nil
	})
}

// wantValues compares expressions that yield one series each.
func wantValues(ctx context.Context, p *stack.Prometheus, want map[string]float64) error {
	for expr, value := range want {
		samples, err := p.Query(ctx, expr)
		if err != nil {
			return err
		}
		if len(samples) != 1 || samples[0].Value != value {
			return fmt.Errorf("%s is %v, want one series of %v", expr, samples, value)
		}
	}
	return nil
}
