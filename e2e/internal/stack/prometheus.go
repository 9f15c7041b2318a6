package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Prometheus is a real one with this repository's configuration, taking remote writes.
type Prometheus struct {
	URL     string
	command Command
	process *Process
}

// StartPrometheus starts it with an empty store below dir.
func StartPrometheus(tb testing.TB, dir string) *Prometheus {
	tb.Helper()
	return startPrometheus(tb, dir, filepath.Join(Root(), "deploy", "prometheus"), FreeAddr(tb))
}

// StartPrometheusWith starts it at addr with the configuration and rules changed: each second text in place of each first, which
// must be there.
func StartPrometheusWith(tb testing.TB, dir, addr string, oldnew ...string) *Prometheus {
	tb.Helper()
	config := filepath.Join(dir, "prometheus-config")
	if err := os.Mkdir(config, 0o755); err != nil {
		tb.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(Root(), "deploy", "prometheus", "*.yml"))
	if err != nil {
		tb.Fatal(err)
	}
	used := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for i := 0; i < len(oldnew); i += 2 {
			used[oldnew[i]] = used[oldnew[i]] || bytes.Contains(text, []byte(oldnew[i]))
		}
		text = []byte(strings.NewReplacer(oldnew...).Replace(string(text)))
		if err := os.WriteFile(filepath.Join(config, filepath.Base(file)), text, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !used[oldnew[i]] {
			tb.Fatalf("deploy/prometheus has no %q any more", oldnew[i])
		}
	}
	return startPrometheus(tb, dir, config, addr)
}

func startPrometheus(tb testing.TB, dir, config, addr string) *Prometheus {
	tb.Helper()
	p := &Prometheus{
		URL: "http://" + addr,
		command: Command{
			Name: "prometheus",
			Path: Program(tb, "prometheus", "prometheus"),
			Args: []string{
				"--config.file=" + filepath.Join(config, "prometheus.yml"),
				"--storage.tsdb.path=" + filepath.Join(dir, "prometheus"),
				"--web.listen-address=" + addr,
				"--web.enable-remote-write-receiver",
				"--enable-feature=native-histograms,exemplar-storage",
			},
			Dir: dir,
		},
	}
	p.Start(tb)
	return p
}

// Start starts it again, at the same address and with what it had stored.
func (p *Prometheus) Start(tb testing.TB) {
	tb.Helper()
	p.process = Start(tb, p.command)
	p.process.ready(tb, http.DefaultClient, p.URL+"/-/ready")
}

// Stop ends it in good order.
func (p *Prometheus) Stop(tb testing.TB) {
	tb.Helper()
	p.process.Stop(tb)
}

// Sample is one series of an instant query's answer.
type Sample struct {
	Labels map[string]string
	Time   time.Time
	Value  float64
}

// Query evaluates a PromQL expression now. A series whose value is a native histogram has Value 0.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]Sample, error) {
	body, err := Get(ctx, http.DefaultClient, p.URL+"/api/v1/query?query="+url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any // seconds, "value"
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("prometheus: query %s: %w", expr, err)
	}
	samples := make([]Sample, 0, len(answer.Data.Result))
	for _, r := range answer.Data.Result {
		s := Sample{Labels: r.Metric}
		if seconds, ok := r.Value[0].(float64); ok {
			s.Time = time.UnixMilli(int64(seconds * 1000))
		}
		if text, ok := r.Value[1].(string); ok {
			if s.Value, err = strconv.ParseFloat(text, 64); err != nil {
				return nil, fmt.Errorf("prometheus: query %s: %w", expr, err)
			}
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// Samples returns the samples as they are stored of the one series that the selector names, over the last hour.
func (p *Prometheus) Samples(ctx context.Context, selector string) ([]Sample, error) {
	body, err := Get(ctx, http.DefaultClient, p.URL+"/api/v1/query?query="+url.QueryEscape(selector+"[1h]"))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("prometheus: samples of %s: %w", selector, err)
	}
	if len(answer.Data.Result) != 1 {
		return nil, fmt.Errorf("prometheus has %d series of %s, want 1", len(answer.Data.Result), selector)
	}
	var samples []Sample
	for _, v := range answer.Data.Result[0].Values {
		s := Sample{Labels: answer.Data.Result[0].Metric}
		seconds, ok1 := v[0].(float64)
		text, ok2 := v[1].(string)
		if s.Value, err = strconv.ParseFloat(text, 64); err != nil || !ok1 || !ok2 {
			return nil, fmt.Errorf("prometheus: samples of %s: %v is none", selector, v)
		}
		s.Time = time.UnixMilli(int64(seconds*1000 + 0.5))
		samples = append(samples, s)
	}
	return samples, nil
}

// ByLabel evaluates an expression that aggregates by one label, and returns its values by that label's.
func (p *Prometheus) ByLabel(ctx context.Context, expr, label string) (map[string]float64, error) {
	samples, err := p.Query(ctx, expr)
	if err != nil {
		return nil, err
	}
	values := make(map[string]float64, len(samples))
	for _, s := range samples {
		values[s.Labels[label]] = s.Value
	}
	return values, nil
}

// ExemplarTraces returns the traces that exemplars of the selected series point at, of the last hour.
func (p *Prometheus) ExemplarTraces(ctx context.Context, selector string) ([]string, error) {
	query := url.Values{
		"query": {selector}, "start": {fmt.Sprint(time.Now().Add(-time.Hour).Unix())}, "end": {fmt.Sprint(time.Now().Add(time.Minute).Unix())},
	}
	body, err := Get(ctx, http.DefaultClient, p.URL+"/api/v1/query_exemplars?"+query.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data []struct {
			Exemplars []struct{ Labels map[string]string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("prometheus: exemplars of %s: %w", selector, err)
	}
	var traces []string
	for _, series := range answer.Data {
		for _, e := range series.Exemplars {
			traces = append(traces, e.Labels["trace_id"])
		}
	}
	return traces, nil
}

// Names returns the names of all metrics in the store.
func (p *Prometheus) Names(ctx context.Context) ([]string, error) {
	body, err := Get(ctx, http.DefaultClient, p.URL+"/api/v1/label/__name__/values")
	if err != nil {
		return nil, err
	}
	var answer struct{ Data []string }
	err = json.Unmarshal(body, &answer)
	return answer.Data, err
}
