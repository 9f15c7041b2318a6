package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// A service of ten thousand histogram series sends more at once than the 4 MiB that gRPC takes by default, and so do the queues on their
// way through the Collector. What is refused for its size is refused for good, so each step has to take it.
func TestLargeExport(t *testing.T) {
	const series = 10_000
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer store.Close()
	points := make([]metricdata.HistogramDataPoint[float64], series)
	now := time.Now()
	for i := range points {
		p := &points[i]
		p.Attributes = attribute.NewSet(attribute.Int("number", i), attribute.String("http.request.method", "GET"),
			attribute.String("http.route", fmt.Sprintf("/a/route/of/usual/length/%d", i)), attribute.String("url.scheme", "http"))
		p.StartTime, p.Time, p.Count, p.Sum = now.Add(-time.Minute), now, 17, 1
		for b := range 17 {
			p.Bounds, p.BucketCounts = append(p.Bounds, float64(b)), append(p.BucketCounts, 1)
		}
		p.BucketCounts = append(p.BucketCounts, 0)
	}
	data := &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "large")),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
			Name: "large", Data: metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: points},
		}}}},
	}
	export := func(t *testing.T, to *stack.Collector) {
		t.Helper()
		e, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint(to.GRPCEndpoint), otlpmetricgrpc.WithInsecure())
		if err != nil {
			t.Fatal(err)
		}
		defer e.Shutdown(context.Background())
		if err := e.Export(t.Context(), data); err != nil {
			t.Fatal(err)
		}
	}
	arrives := func(t *testing.T, from *stack.Collector) {
		t.Helper()
		sent := regexp.MustCompile(`(?m)^otelcol_exporter_sent_metric_points(?:_total)?\{[^}]*exporter="prometheus_remote_write"[^}]*\} (\S+)$`)
		stack.Until(t, 90*time.Second, "every point at the store", func(ctx context.Context) error {
			body, err := stack.Get(ctx, http.DefaultClient, from.MetricsURL)
			if err != nil {
				return err
			}
			match := sent.FindSubmatch(body)
			if match == nil {
				return fmt.Errorf("nothing was sent yet")
			}
			if n, err := strconv.ParseFloat(string(match[1]), 64); err != nil || n != series {
				return fmt.Errorf("%s points were sent, want %d", match[1], series)
			}
			return nil
		})
	}
	t.Run("one Collector", func(t *testing.T) {
		c := stack.StartCollector(t, stack.Dir(t), store.URL, store.URL)
		export(t, c)
		arrives(t, c)
	})
	t.Run("tiers", func(t *testing.T) {
		dir := stack.Dir(t)
		gateway := stack.StartTier(t, dir, "gateway", []string{"gateway.yaml"}, "PROMETHEUS_ENDPOINT="+store.URL)
		agent := stack.StartTier(t, dir, "agent", []string{"agent.yaml", "gateways-static.yaml"}, fmt.Sprintf("GATEWAYS=[%q]", gateway.GRPCEndpoint))
		export(t, agent)
		arrives(t, gateway)
	})
}
