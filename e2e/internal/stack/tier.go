package stack

import (
	"net"
	"path/filepath"
	"testing"
)

// StartTier starts a Collector with files of deploy/collector, or others by their full path, as one of several under its name. Below
// dir it has a queue of its own. Further environment follows what says where it listens.
func StartTier(tb testing.TB, dir, name string, files []string, env ...string) *Collector {
	tb.Helper()
	health, metrics := FreeAddr(tb), FreeAddr(tb)
	metricsHost, metricsPort, err := net.SplitHostPort(metrics)
	if err != nil {
		tb.Fatal(err)
	}
	c := &Collector{
		GRPCEndpoint: FreeAddr(tb),
		HTTPEndpoint: FreeAddr(tb),
		MetricsURL:   "http://" + metrics + "/metrics",
		healthURL:    "http://" + health,
	}
	var args []string
	for _, f := range files {
		if !filepath.IsAbs(f) {
			f = filepath.Join(Root(), "deploy", "collector", f)
		}
		args = append(args, "--config", f)
	}
	c.command = Command{
		Name: name, Path: CollectorBinary(tb), Args: args, Dir: dir,
		Env: append([]string{
			"OTLP_GRPC_ENDPOINT=" + c.GRPCEndpoint,
			"OTLP_HTTP_ENDPOINT=" + c.HTTPEndpoint,
			"PROMETHEUS_LOOP_ENDPOINT=" + FreeAddr(tb),
			"OTELCOL_STORAGE_DIR=" + filepath.Join(dir, name),
			"HEALTH_ENDPOINT=" + health,
			"COLLECTOR_METRICS_HOST=" + metricsHost,
			"COLLECTOR_METRICS_PORT=" + metricsPort,
		}, env...),
	}
	c.Start(tb)
	return c
}
