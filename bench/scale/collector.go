package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
)

// tier is a Collector as one of the files of deploy/collector makes it.
type tier struct {
	name  string
	files []string
	env   []string
}

func tiers(s *sink) []tier {
	return []tier{
		{"agent tier", []string{"agent.yaml", "gateways-static.yaml"}, []string{"GATEWAYS=[\"" + s.grpc + "\"]"}},
		{"gateway tier", []string{"gateway.yaml"}, []string{"PROMETHEUS_ENDPOINT=http://" + s.http}},
	}
}

// tierCost is what a Collector needs.
type tierCost struct {
	name       string
	agents     int
	offered    float64 // points a second that were sent to it
	perCore    float64 // points for each second of its CPU time
	memory     float64 // bytes resident, at the end
	queuedDisk float64 // bytes of its queue on disk, at the end
}

// measureCollector has simulated agents send to a Collector for a while, each by a connection of its own, and asks the kernel what the
// Collector used. What it passes on goes to the sink, so that the whole way through it is paid for.
func measureCollector(ctx context.Context, program, root string, t tier, load *payload, e effort) (cost tierCost, err error) {
	dir, err := os.MkdirTemp("", "scale")
	if err != nil {
		return cost, err
	}
	defer os.RemoveAll(dir)
	addrs, err := freeAddrs(5)
	if err != nil {
		return cost, err
	}
	_, metricsPort, _ := net.SplitHostPort(addrs[4])
	var args []string
	for _, f := range t.files {
		args = append(args, "--config", filepath.Join(root, "deploy", "collector", f))
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return cost, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(append(os.Environ(),
		"OTLP_GRPC_ENDPOINT="+addrs[0], "OTLP_HTTP_ENDPOINT="+addrs[1], "PROMETHEUS_LOOP_ENDPOINT="+addrs[2], "HEALTH_ENDPOINT="+addrs[3],
		"COLLECTOR_METRICS_PORT="+metricsPort, "OTELCOL_STORAGE_DIR="+filepath.Join(dir, "queue")), t.env...)
	if err := cmd.Start(); err != nil {
		return cost, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if err := healthy(ctx, "http://"+addrs[3]); err != nil {
		text, _ := os.ReadFile(log.Name())
		return cost, fmt.Errorf("%w: %.500s", err, text)
	}
	sent, spent, took, err := traffic(ctx, addrs[0], "http://"+addrs[4]+"/metrics", cmd.Process.Pid, load, e)
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		return cost, fmt.Errorf("%w: %.500s", err, text)
	}
	points := float64(sent * int64(load.points))
	cost = tierCost{name: t.name, agents: e.agents, offered: points / took.Seconds(), perCore: points / spent.Seconds()}
	cost.memory = residentOf(cmd.Process.Pid)
	_ = filepath.Walk(filepath.Join(dir, "queue"), func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			cost.queuedDisk += float64(info.Size())
		}
		return nil
	})
	return cost, nil
}

// traffic sends until the effort's time is over, and then waits until the Collector has passed everything on.
func traffic(ctx context.Context, addr, metricsURL string, pid int, load *payload, e effort) (sent int64, spent, took time.Duration, err error) {
	conns := make([]*grpc.ClientConn, e.agents)
	messages := make([][]byte, e.agents)
	for i := range conns {
		if conns[i], err = grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
			return 0, 0, 0, err
		}
		defer conns[i].Close()
		if messages[i], err = load.of(i); err != nil {
			return 0, 0, 0, err
		}
	}
	const senders = 4 // at a time, who take turns with the agents
	send := func(until func() bool) error {
		var all sync.WaitGroup
		var n atomic.Int64
		errs := make([]error, senders)
		for s := range senders {
			all.Go(func() {
				for turn := s; !until(); turn += senders {
					i := turn % e.agents
					if err := conns[i].Invoke(ctx, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", messages[i], new([]byte),
						grpc.ForceCodec(raw{}), grpc.UseCompressor("gzip")); err != nil {
						errs[s] = err
						return
					}
					n.Add(1)
				}
			})
		}
		all.Wait()
		sent = n.Load()
		return errors.Join(errs...)
	}
	warm := time.Now().Add(e.traffic / 5)
	if err := send(func() bool { return time.Now().After(warm) }); err != nil {
		return 0, 0, 0, err
	}
	if err := drained(ctx, metricsURL); err != nil {
		return 0, 0, 0, err
	}
	before, begin := cpuOf(pid), time.Now()
	if err := send(func() bool { return time.Since(begin) > e.traffic }); err != nil {
		return 0, 0, 0, err
	}
	took = time.Since(begin)
	if err := drained(ctx, metricsURL); err != nil {
		return 0, 0, 0, err
	}
	return sent, cpuOf(pid) - before, took, nil
}

// raw sends bytes as they are, so that a simulated agent costs next to nothing.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (raw) Name() string                       { return "proto" }

var _ encoding.Codec = raw{}

// drained waits until the Collector's queues are empty by its own account, and nothing of it was lost.
func drained(ctx context.Context, metricsURL string) error {
	for {
		sums, err := scrape(ctx, metricsURL)
		if err != nil {
			return err
		}
		for _, lost := range []string{"otelcol_exporter_send_failed_metric_points", "otelcol_exporter_enqueue_failed_metric_points"} {
			if n := sums[lost]; n > 0 {
				return fmt.Errorf("the Collector lost points: %s is %v", lost, n)
			}
		}
		if queued, known := sums["otelcol_exporter_queue_size"]; known && queued == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the Collector's queues are not empty, but hold %v points: %w", sums["otelcol_exporter_queue_size"], ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// scrape adds up the Collector's own numbers by name, without the ending _total.
func scrape(ctx context.Context, url string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return sumsOf(string(text)), nil
}

func sumsOf(text string) map[string]float64 {
	sums := map[string]float64{}
	for line := range strings.Lines(text) {
		name, rest, labelled := strings.Cut(line, "{")
		if labelled {
			_, rest, _ = strings.Cut(rest, "} ")
		} else {
			name, rest, _ = strings.Cut(line, " ")
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil {
			sums[strings.TrimSuffix(name, "_total")] += v
		}
	}
	return sums
}

func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("the Collector is not ready")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func freeAddrs(n int) (addrs []string, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs, nil
}

// cpuOf reads utime and stime of /proc/PID/stat, which are in hundredths of a second; 0 if it cannot.
func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// residentOf is the process's memory in bytes.
func residentOf(pid int) float64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return float64(pages * os.Getpagesize())
}
