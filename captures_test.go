package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/capture"
)

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// switched are rules with one alert that fires while on is set, and asks for evidence.
func switched(on *atomic.Bool) alertproc.Config {
	return alertproc.Config{Groups: []alertproc.Group{{Name: "g", Every: 100 * time.Millisecond, Rules: []alertproc.Rule{{
		Alert: "Switched",
		Func: func(context.Context, *metricdata.ResourceMetrics) ([]alertproc.Sample, error) {
			if on.Load() {
				return []alertproc.Sample{{Value: 1}}, nil
			}
			return []alertproc.Sample{{Value: 0}}, nil
		},
		Crit: alertproc.Above(0.5), Capture: []string{"cpu", "heap", "goroutine"},
	}}}}}
}

func TestAlertIsCaptured(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	var on atomic.Bool
	var logged syncBuffer
	a := start(t,
		WithCaptureConfig(capture.Config{CPUTime: 200 * time.Millisecond, FlightRecorder: true}),
		WithCaptureDir(filepath.Join(t.TempDir(), "captures")),
		WithServiceName("shop"), WithAdminAddr("127.0.0.1:0"), WithRules(switched(&on)), WithTick(100*time.Millisecond),
		WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	on.Store(true)
	waitFor(t, "the capture", func() bool {
		all := a.Captures().Captures()
		return len(all) == 1 && all[0].State == capture.StateDone
	})
	m := a.Captures().Captures()[0]
	if m.Reason != capture.Alert || m.Alert != "Switched" || m.Severity != "crit" || m.Value != 1 || m.Threshold != 0.5 ||
		m.Quiet || m.Process.Service != "shop" || m.Labels["alertname"] != "Switched" {
		t.Errorf("got the manifest %+v, want that of the alert", m)
	}
	for _, k := range []capture.Kind{capture.Connections, capture.Metrics, capture.Goroutine, capture.Heap, capture.CPU, capture.Mutex} {
		if got, ok := m.Artefact(k); !ok || got.Status != capture.StatusOK {
			t.Errorf("%s: got %+v, want it stored", k, got)
		}
	}
	if _, ok := m.Artefact(capture.Trace); ok {
		t.Error("there is a trace, which the rule does not ask for")
	}
	want := a.AdminURL() + "captures/" + m.ID
	waitFor(t, "the log record", func() bool { return strings.Contains(logged.String(), "alert firing") })
	if text := logged.String(); !strings.Contains(text, "capture="+want) {
		t.Errorf("the log does not have the link %s:\n%s", want, text)
	}
	if got := a.Alerts().Alerts()[0].Evidence; got.ID != m.ID || got.URL != want {
		t.Errorf("the alert's evidence: got %+v, want %s at %s", got, m.ID, want)
	}
	if past := a.Alerts().Transitions("Switched"); len(past) == 0 || past[len(past)-1].Alert.Evidence.ID != m.ID {
		t.Errorf("the alert's history: got %+v, want the capture in it", past)
	}

	// A person's comes beside it, and says that times are not quiet.
	manual, err := a.Capture(t.Context(), capture.Request{Kinds: []capture.Kind{capture.Trace}})
	if err != nil || manual.ID == m.ID || manual.Quiet {
		t.Errorf("got %+v, error %v; want another capture, while an alert fires", manual, err)
	}
	if got, _ := manual.Artefact(capture.Trace); got.Status != capture.StatusOK {
		t.Errorf("trace: got %+v, want it stored", got)
	}
}

func TestShutdownCutsACaptureShort(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	dir := t.TempDir()
	a := start(t, WithCaptureConfig(capture.Config{Dir: dir, CPUTime: time.Minute, Deadline: time.Hour}))
	m, err := a.Captures().Begin(capture.Request{})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the part before the CPU profile", func() bool {
		now, _ := a.Captures().Manifest(m.ID)
		_, ok := now.Artefact(capture.Heap)
		return ok
	})
	begin := time.Now()
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 30*time.Second { // the profile would have gone on for a minute
		t.Errorf("shutting down took %v", took)
	}
	if _, err := a.Capture(t.Context(), capture.Request{}); !errors.Is(err, capture.ErrClosed) {
		t.Errorf("a capture after Shutdown: got %v, want ErrClosed", err)
	}
	stored, err := os.ReadFile(filepath.Join(dir, m.ID, capture.ManifestFile))
	if err != nil || !bytes.Contains(stored, []byte(`"state": "done"`)) {
		t.Errorf("the manifest is %s, error %v; want a capture that is done", stored, err)
	}
}

func TestCapturesAreOffWithoutADirectory(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	var on atomic.Bool
	on.Store(true)
	var logged syncBuffer
	a := start(t, WithRules(switched(&on)), WithTick(100*time.Millisecond), WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	if a.Captures() != nil {
		t.Error("there is a Capturer")
	}
	if _, err := a.Capture(t.Context(), capture.Request{}); err == nil || !strings.Contains(err.Error(), "WithCaptureDir") {
		t.Errorf("got %v, want what to set", err)
	}
	if text := logged.String(); !strings.Contains(text, "Switched") || !strings.Contains(text, "OTELNET_CAPTURE_DIR") {
		t.Errorf("the log does not say that the rule asks in vain:\n%s", text)
	}
	waitFor(t, "the alert", func() bool {
		alerts := a.Alerts().Alerts()
		return len(alerts) == 1 && alerts[0].State == alertproc.StateFiring
	})
	if e := a.Alerts().Alerts()[0].Evidence; e != (alertproc.Evidence{}) {
		t.Errorf("the alert has the evidence %+v", e)
	}
}
