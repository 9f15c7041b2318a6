package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/history"
)

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

// start runs a server on a free loopback port with an own history, unless cfg has one, and stops it with the test.
func start(t *testing.T, cfg admin.Config) *admin.Server {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.History == nil {
		cfg.History = newHistory(t)
	}
	s, err := admin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func newHistory(t *testing.T) *history.Store {
	t.Helper()
	h, err := history.New(history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// counted is a snapshot with a counter called c at v.
func counted(v int64) *metricdata.ResourceMetrics {
	return snapshot(metricdata.Metrics{Name: "otelnet.server.connections", Unit: "{connection}", Data: metricdata.Sum[int64]{
		IsMonotonic: true, Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.DataPoint[int64]{{Value: v}},
	}})
}

func snapshot(metrics ...metricdata.Metrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: "test"}, Metrics: metrics,
	}}}
}

func requests(counts []uint64, kv ...attribute.KeyValue) metricdata.Metrics {
	return metricdata.Metrics{Name: "http.server.request.duration", Unit: "s", Data: metricdata.Histogram[float64]{
		Temporality: metricdata.CumulativeTemporality,
		DataPoints: []metricdata.HistogramDataPoint[float64]{{
			Attributes: attribute.NewSet(kv...), Bounds: []float64{0.1, 1}, BucketCounts: counts, Sum: 1.5,
		}},
	}}
}

// answer is what came back, read whole.
type answer struct {
	*http.Response
	body string
}

// do sends a request to path; change may alter it before.
func do(t *testing.T, s *admin.Server, method, path string, change func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(s.URL(), "/")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(body)}
}

func get(t *testing.T, s *admin.Server, path string) answer {
	t.Helper()
	return do(t, s, http.MethodGet, path, nil)
}

// failure is the error of an answer, "" when it is none.
func (a answer) failure(t *testing.T) string {
	t.Helper()
	var f struct{ Status, ErrorType, Error string }
	if err := json.Unmarshal([]byte(a.body), &f); err != nil {
		t.Fatalf("body %.200q: %v", a.body, err)
	}
	if f.Status == "error" && f.ErrorType == "" {
		t.Errorf("error without errorType: %s", a.body)
	}
	return f.Error
}
