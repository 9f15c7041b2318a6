package stack

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// Collector is the real program with a configuration of this repository.
type Collector struct {
	GRPCEndpoint string // host:port for OTLP over gRPC
	HTTPEndpoint string // host:port for OTLP over HTTP
	MetricsURL   string // its own metrics, in Prometheus' text format
	command      Command
	healthURL    string
	process      *Process
}

// StartCollector starts it between the given backends, with its queues below dir and, if any, further environment.
func StartCollector(tb testing.TB, dir string, prometheusURL, influxURL string, env ...string) *Collector {
	tb.Helper()
	backends := []string{"PROMETHEUS_ENDPOINT=" + prometheusURL, "INFLUXDB_ENDPOINT=" + influxURL}
	return startCollector(tb, dir, "collector", []string{CollectorConfig()}, append(backends, env...))
}

// StartTier starts a Collector with files of deploy/collector, or others by their full path, as one of several under its name. Below
// dir it has a queue of its own.
func StartTier(tb testing.TB, dir, name string, files []string, env ...string) *Collector {
	tb.Helper()
	return startTier(tb, dir, name, files, env)
}

func startTier(tb testing.TB, dir, name string, files, env []string, change ...func(*Command)) *Collector {
	tb.Helper()
	var paths []string
	for _, f := range files {
		if !filepath.IsAbs(f) {
			f = filepath.Join(Root(), "deploy", "collector", f)
		}
		paths = append(paths, f)
	}
	return startCollector(tb, dir, name, paths, env, change...)
}

// StartTierResolving is StartTier for a Collector that finds names by resolvConf in place of /etc/resolv.conf. It needs root.
func StartTierResolving(tb testing.TB, resolvConf, dir, name string, files []string, env ...string) *Collector {
	tb.Helper()
	return startTier(tb, dir, name, files, env, func(c *Command) {
		const script = `mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`
		c.Args = append([]string{"--mount", "sh", "-ec", script, "sh", resolvConf, c.Path}, c.Args...)
		c.Path = Program(tb, "unshare", "util-linux")
	})
}

// startCollector starts one with these files; env follows what says where it listens and keeps its queues, and change has the last word.
func startCollector(tb testing.TB, dir, name string, files, env []string, change ...func(*Command)) *Collector {
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
	c.command = Command{
		Name: name, Path: CollectorBinary(tb), Dir: dir,
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
	for _, f := range files {
		c.command.Args = append(c.command.Args, "--config", f)
	}
	for _, do := range change {
		do(&c.command)
	}
	c.Start(tb)
	return c
}

// Start starts it again, at the same addresses and with the queues that it had.
func (c *Collector) Start(tb testing.TB) {
	tb.Helper()
	c.process = Start(tb, c.command)
	c.process.ready(tb, http.DefaultClient, c.healthURL)
}

// Kill ends it with SIGKILL, so that nothing can be saved on the way out.
func (c *Collector) Kill() { c.process.Kill() }

// Log returns what it has printed, over all its starts.
func (c *Collector) Log(tb testing.TB) string { return c.process.Log(tb) }

// CollectorConfig is the path of the configuration under test.
func CollectorConfig() string { return filepath.Join(Root(), "collector-config.yaml") }

// CollectorBinary returns the path of the Collector that e2e/build.sh built from the sources as they are now, or fails the test.
func CollectorBinary(tb testing.TB) string {
	tb.Helper()
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} { // the order of build.sh
		text, err := os.ReadFile(filepath.Join(Root(), "e2e", "collector", name))
		if err != nil {
			tb.Fatal(err)
		}
		hash.Write(text)
	}
	path := filepath.Join(Root(), "e2e", ".cache", fmt.Sprintf("collector-%x", hash.Sum(nil)[:6]))
	if _, err := os.Stat(path); err != nil {
		tb.Fatalf("the Collector is not built (%v); run e2e/build.sh once, it takes about four minutes of CPU", err)
	}
	return path
}
