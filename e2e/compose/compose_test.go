//go:build compose

// Package compose starts docker-compose.yml as a user does, with the ports it publishes, and looks at every end of it. It is
// left out of an ordinary test run because it needs a Docker daemon, and ports that may be taken. run.sh brings a daemon and runs it.
package compose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/e2e/internal/stack"
)

const (
	project = "otelnet-e2e"
	page    = "http://127.0.0.1:6060"
)

func TestComposeFile(t *testing.T) {
	dir := stack.Dir(t)
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := compose(context.Background(), "logs", "--no-color")
			if err := os.WriteFile(filepath.Join(dir, "compose.log"), []byte(logs), 0o644); err != nil {
				t.Error(err)
			}
		}
		if out, err := compose(context.Background(), "down", "--volumes", "--timeout", "5"); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
		if left, err := exec.Command("docker", "ps", "-aq", "--filter", "label=com.docker.compose.project="+project).Output(); err != nil || len(left) > 0 {
			t.Errorf("containers that are left after down: %q, %v", left, err)
		}
	})
	if out, err := compose(t.Context(), "up", "-d", "--build"); err != nil {
		t.Fatalf("up: %v\n%s", err, out)
	}
	// The incident begins half a minute after the start and its alert is over within another, however long the other looks take.
	alert := awaitAlert(t, &stack.Alertmanager{URL: "http://127.0.0.1:9093"}, "HighErrorRate")

	t.Run("every container is healthy and stays up", func(t *testing.T) {
		for service, health := range map[string]string{
			"demo-service": "healthy", "prometheus": "healthy", "influxdb": "healthy", "alertmanager": "healthy", "collector": "",
		} {
			stack.Until(t, time.Minute, service, func(ctx context.Context) error { return wantRunning(ctx, service, health) })
		}
	})

	t.Run("numbers arrive in both stores", func(t *testing.T) {
		prometheus, influx := &stack.Prometheus{URL: "http://127.0.0.1:9090"}, &stack.InfluxDB{URL: "http://127.0.0.1:8086"}
		stack.Until(t, time.Minute, "numbers in both stores", func(ctx context.Context) error {
			byJob, err := prometheus.ByLabel(ctx, "sum by (job) (http_server_request_duration_seconds_count)", "job")
			if err != nil {
				return err
			}
			byRoute, err := influx.SumLast(ctx, "http.server.request.duration", "count", "http.route")
			if err != nil {
				return err
			}
			up, err := prometheus.ByLabel(ctx, "up", "job")
			if err != nil {
				return err
			}
			if byJob["demo-service"] == 0 || byRoute["/api/data"] == 0 || up["collector"] != 1 {
				return fmt.Errorf("Prometheus has %v, InfluxDB %v, up is %v", byJob, byRoute, up)
			}
			return nil
		})
	})

	t.Run("spans and points arrive at the Collector", func(t *testing.T) {
		prometheus := &stack.Prometheus{URL: "http://127.0.0.1:9090"}
		stack.Until(t, time.Minute, "the Collector's own count", func(ctx context.Context) error {
			for _, what := range []string{"spans", "metric_points"} {
				samples, err := prometheus.Query(ctx, fmt.Sprintf(`sum({__name__=~"otelcol_receiver_accepted_%s(_total)?",receiver="otlp"})`, what))
				if err != nil {
					return err
				}
				if len(samples) != 1 || samples[0].Value == 0 {
					return fmt.Errorf("the Collector has accepted %v %s", samples, what)
				}
			}
			return nil
		})
	})

	t.Run("the service answers", func(t *testing.T) {
		if _, err := stack.Get(t.Context(), http.DefaultClient, "http://127.0.0.1:8080/api/data"); err != nil {
			t.Error(err)
		}
	})

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	t.Run("the page wants the token", func(t *testing.T) {
		for _, step := range []struct {
			path string
			want int
		}{{"/", 401}, {"/login?token=a-wrong-one-of-16", 401}, {"/login?token=otelnet-demo-page", 200}, {"/", 200}} {
			resp, err := client.Get(page + step.path)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != step.want {
				t.Errorf("%s: %s, want %d", step.path, resp.Status, step.want)
			}
		}
	})

	var evidence string
	t.Run("the incident's alert reaches Alertmanager", func(t *testing.T) {
		a, err := alert()
		if err != nil {
			t.Fatal(err)
		}
		evidence = a.Annotations["capture"]
	})

	t.Run("its evidence is there", func(t *testing.T) {
		link, err := url.Parse(evidence)
		if err != nil || evidence == "" {
			t.Fatalf("the annotation capture is %q, want a link", evidence)
		}
		stack.Until(t, time.Minute, "the whole capture", func(ctx context.Context) error {
			body, err := stack.Get(ctx, client, page+"/api/captures/"+path.Base(link.Path))
			if err != nil {
				return err
			}
			var m capture.Manifest
			if err := json.Unmarshal(body, &m); err != nil {
				return err
			}
			if cpu, ok := m.Artefact(capture.CPU); m.State != capture.StateDone || !ok || cpu.Status != capture.StatusOK {
				return fmt.Errorf("%s", body)
			}
			return nil
		})
	})
}

// awaitAlert watches for an alert from now on, for three minutes, and returns what waits for it.
func awaitAlert(t *testing.T, am *stack.Alertmanager, name string) func() (stack.Alert, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	var found stack.Alert
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		for last := error(nil); ; {
			alerts, failed := am.Alerts(ctx)
			for _, a := range alerts {
				if a.Labels["alertname"] == name {
					found = a
					return
				}
			}
			if ctx.Err() == nil {
				last = errors.Join(failed, fmt.Errorf("no %s among %v", name, alerts))
			}
			select {
			case <-ctx.Done():
				err = last
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return func() (stack.Alert, error) { <-done; return found, err }
}

// compose runs docker-compose on the repository's file and returns all it printed.
func compose(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker-compose", append([]string{"-p", project}, args...)...)
	cmd.Dir = stack.Root()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// wantRunning asks Docker for a service's container: that it runs, has not been restarted, and is as healthy as it can be.
func wantRunning(ctx context.Context, service, health string) error {
	id, err := compose(ctx, "ps", "-q", service)
	if err != nil {
		return fmt.Errorf("%w: %s", err, id)
	}
	out, err := exec.CommandContext(ctx, "docker", "inspect", strings.TrimSpace(id)).Output()
	if err != nil {
		return err
	}
	var containers []struct {
		RestartCount int
		State        struct {
			Running bool
			Health  *struct{ Status string }
		}
	}
	if err := json.Unmarshal(out, &containers); err != nil {
		return err
	}
	if len(containers) != 1 || !containers[0].State.Running || containers[0].RestartCount != 0 {
		return fmt.Errorf("not one running container that was never restarted: %.2000s", out)
	}
	if h := containers[0].State.Health; health != "" && (h == nil || h.Status != health) {
		return fmt.Errorf("health is %+v, want %s", h, health)
	}
	return nil
}
