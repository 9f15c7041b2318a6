package oracle

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/otelnet/agent"
	"github.com/otelnet/agent/otelnet"
)

// A service without a Collector exports to Prometheus' own OTLP receiver: it takes each request, and has under the usual names what the
// client knows to have sent.
func TestPrometheusTakesOTLP(t *testing.T) {
	db, err := tsdb.Open(t.TempDir(), slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	receiver := remote.NewOTLPWriteHandler(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), db, func() config.Config {
		return config.Config{OTLPConfig: config.DefaultOTLPConfig}
	}, remote.OTLPOptions{})
	store := httptest.NewServer(http.StripPrefix("/api/v1/otlp", receiver))
	defer store.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", store.URL+"/api/v1/otlp/v1/metrics")
	a, err := agent.Start(t.Context(), agent.WithServiceName("direct"))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", otelnet.WithName("front"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: otelnet.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }), "front")}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(ln) }()
	var wire wireBytes
	client := &http.Client{Transport: &http.Transport{DialContext: wire.dial}}
	const requests = 30
	for i := range requests {
		resp, err := client.Get("http://" + ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if i == requests/2 {
			if err := a.ForceFlush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	client.CloseIdleConnections()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-served
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatalf("the last export: %v", err)
	}

	for selector, want := range map[string]float64{
		`http_server_request_duration_seconds_count{http_response_status_code="200"}`:              requests,
		`http_server_request_duration_seconds_bucket{le="+Inf"}`:                                   requests,
		`otelnet_connection_io_bytes_total{network_io_direction="receive",otelnet_side="server"}`:  float64(wire.sent.Load()),
		`otelnet_connection_io_bytes_total{network_io_direction="transmit",otelnet_side="server"}`: float64(wire.received.Load()),
		`otelnet_server_connections_total{otelnet_listener="front"}`:                               1,
		`otelnet_server_active_connections{otelnet_listener="front"}`:                              0,
		`target_info`: 1,
	} {
		got, err := newest(t.Context(), db, selector, "direct")
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", selector, got, err, want)
		}
	}
}

// newest is the last sample of the one series of that job.
func newest(ctx context.Context, db *tsdb.DB, selector, job string) (value float64, err error) {
	matchers, err := promParser.ParseMetricSelector(selector)
	if err != nil {
		return 0, err
	}
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	found := 0
	for set := q.Select(ctx, false, nil, append(matchers, labels.MustNewMatcher(labels.MatchEqual, "job", job))...); set.Next(); found++ {
		samples := set.At().Iterator(nil)
		for samples.Next() != chunkenc.ValNone {
			_, value = samples.At()
		}
	}
	if found != 1 {
		return 0, fmt.Errorf("%d series", found)
	}
	return value, nil
}

// wireBytes counts what a client's sockets carried.
type wireBytes struct{ sent, received atomic.Int64 }

func (w *wireBytes) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{c, w}, nil
}

type countedConn struct {
	net.Conn
	wire *wireBytes
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.received.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.wire.sent.Add(int64(n))
	return n, err
}
