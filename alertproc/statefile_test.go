package alertproc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// process is a Processor that can be restarted with its state file.
type process struct {
	scene
	cfg Config
}

func newProcess(t *testing.T, r Rule) *process {
	cfg := oneRule(r)
	cfg.MeterProvider = noop.NewMeterProvider()
	cfg.StateFile = filepath.Join(t.TempDir(), "state.json")
	p := &process{scene: scene{t: t}, cfg: cfg}
	p.begin()
	t.Cleanup(p.end)
	return p
}

func (p *process) begin() {
	p.t.Helper()
	var err error
	if p.p, err = New(p.cfg); err != nil {
		p.t.Fatal(err)
	}
	p.changes = nil
	p.p.Subscribe(func(tr Transition) { p.changes = append(p.changes, tr) })
}

// end shuts down and waits until the state file is written.
func (s *scene) end() {
	s.t.Helper()
	if err := s.p.Shutdown(context.Background()); err != nil {
		s.t.Error(err)
	}
}

func (p *process) restart() {
	p.t.Helper()
	p.end()
	p.begin()
}

func (p *process) want(letter string) {
	p.t.Helper()
	if got := p.letter(); got != letter {
		p.t.Errorf("state: got %s, want %s", got, letter)
	}
}

func TestRestartKeepsAlerts(t *testing.T) {
	p := newProcess(t, Rule{Metric: "m", Warn: Above(10), For: 20 * time.Second, KeepFiringFor: 20 * time.Second})
	p.at(0, gauge(values{"": 20}))
	p.at(10, gauge(values{"": 20}))
	p.want("p")
	p.restart()
	p.want("p")
	// Being down for 90 s does not count towards `for`: 10 s are behind it, and 10 s are missing.
	p.at(100, gauge(values{"": 20}))
	p.want("p")
	p.at(110, gauge(values{"": 20}))
	p.want("w")
	p.restart()
	p.at(200, gauge(values{"": 20}))
	p.want("w")
	if len(p.changes) != 0 {
		t.Errorf("a restart made changes: %+v", p.changes)
	}
	a := p.p.Alerts()[0]
	if !a.ActiveAt.Equal(start) || !a.FiredAt.Equal(start.Add(110*time.Second)) || a.Value != 20 {
		t.Errorf("alert after the restart: %+v, want it active since the start, fired at 110s, with 20", a)
	}
	p.at(210, gauge(values{"": 5}))
	p.want("w")
	p.restart() // also the clock of keep_firing_for stands still
	p.at(300, gauge(values{"": 5}))
	p.want("w")
	p.at(310, gauge(values{"": 5}))
	p.want("w")
	p.at(320, gauge(values{"": 5}))
	p.want("-")
}

// A crash leaves what was written after the last change.
func TestCrashKeepsAlerts(t *testing.T) {
	p := newProcess(t, Rule{Metric: "m", Warn: Above(10)})
	p.at(0, gauge(values{"": 20}))
	deadline := time.After(30 * time.Second)
	for {
		if s, err := readState(p.cfg.StateFile); err != nil {
			t.Fatal(err)
		} else if s != nil {
			break
		}
		select {
		case <-deadline:
			t.Fatal("nothing was written")
		case <-time.After(time.Millisecond):
		}
	}
	cfg := p.cfg
	data, err := os.ReadFile(cfg.StateFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateFile = filepath.Join(t.TempDir(), "copy.json")
	if err := os.WriteFile(cfg.StateFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newScene(t, cfg)
	defer s.end()
	if alerts := s.p.Alerts(); len(alerts) != 1 || alerts[0].State != StateFiring {
		t.Errorf("got %+v, want the firing alert", alerts)
	}
}

// After a restart a window has nothing in it. That is no recovery.
func TestRestartWaitsForTheWindow(t *testing.T) {
	p := newProcess(t, Rule{Metric: "m", Value: Value{Aggregation: Increase, Over: 30 * time.Second}, Warn: Above(10)})
	p.at(0, counter(values{"": 0}))
	p.at(10, counter(values{"": 20}))
	p.want("w")
	p.restart()
	for i, v := range []float64{0, 0, 0} {
		p.at(20+10*float64(i), counter(values{"": v}))
		p.want("w")
	}
	p.at(50, counter(values{"": 0}))
	p.want("-")
}

// A label set that never comes back ends after 15 minutes, even if no data is to be kept.
func TestRestartWithoutTheSeries(t *testing.T) {
	p := newProcess(t, Rule{Metric: "m", By: []string{"a"}, Warn: Above(10)})
	p.at(0, gauge(values{"a=1": 20}))
	p.restart()
	for s := 10.0; s < 10+15*60; s += 10 {
		p.at(s)
		p.want("w")
	}
	p.at(10 + 15*60)
	p.want("-")
	if got, want := p.changes[0].Reason, "no data for 15m"; got != want {
		t.Errorf("reason: got %q, want %q", got, want)
	}
}

func TestRestartWithAnotherRule(t *testing.T) {
	p := newProcess(t, Rule{Metric: "m", Warn: Above(10)})
	p.at(0, gauge(values{"": 20}))
	p.end()
	p.cfg.Groups[0].Rules[0].Alert = "B"
	p.begin()
	p.want("-")
}

// handled gathers what goes to otel.Handle.
func handled(t *testing.T) func() string {
	var mu sync.Mutex
	var all []string
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, err.Error())
	}))
	t.Cleanup(func() { otel.SetErrorHandler(before) })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(all, "\n")
	}
}

func TestBadStateFiles(t *testing.T) {
	for _, tc := range []struct{ name, content, want string }{
		{"not JSON", "{", "unexpected end"},
		{"empty", "", "unexpected end"},
		{"of another version", `{"version": 99}`, "has version 99, want 1"},
		{"of another shape", `{"version": 1, "rules": 7}`, "cannot unmarshal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			errs := handled(t)
			cfg := oneRule(Rule{Metric: "m", Warn: Above(10)})
			cfg.StateFile = filepath.Join(t.TempDir(), "state.json")
			if err := os.WriteFile(cfg.StateFile, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			s := newScene(t, cfg)
			defer s.end()
			s.at(0, gauge(values{"": 20}))
			if got := errs(); !strings.Contains(got, tc.want) || !strings.Contains(got, "state.json.corrupt") {
				t.Errorf("handled %q, want %q and the new name", got, tc.want)
			}
			if aside, err := os.ReadFile(cfg.StateFile + ".corrupt"); err != nil || string(aside) != tc.content {
				t.Errorf("set aside: %q, %v; want what was there", aside, err)
			}
		})
	}
}

// States that save cannot have written are left out one by one.
func TestImpossibleStates(t *testing.T) {
	for _, instance := range []string{
		`{"labels": {}, "levels": [{"state": 7, "active": "2026-01-01T00:00:00Z"}, {}]}`,
		`{"labels": {}, "levels": [{"state": 1}, {}]}`,
		`{"labels": {}, "levels": [{"state": 2, "active": "2026-01-01T00:00:00Z"}, {}]}`,
		`{"labels": {}, "levels": [{"state": 1, "active": "2027-01-01T00:00:00Z"}, {}]}`,
		`{"levels": [{"state": 1, "active": "2026-01-01T00:00:00Z"}, {}]}`,
	} {
		cfg := oneRule(Rule{Metric: "m", Warn: Above(10)})
		cfg.StateFile = filepath.Join(t.TempDir(), "state.json")
		content := `{"version": 1, "at": "2026-03-01T00:00:00Z", "rules": [{"group": "g", "alert": "A", "instances": [` + instance + `]}]}`
		if err := os.WriteFile(cfg.StateFile, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := newScene(t, cfg)
		if alerts := s.p.Alerts(); len(alerts) != 0 {
			t.Errorf("of %s came %+v, want nothing", instance, alerts)
		}
		s.end()
	}
}

func TestStateFileCannotBeWritten(t *testing.T) {
	errs := handled(t)
	cfg := oneRule(Rule{Metric: "m", Warn: Above(10)})
	cfg.StateFile = filepath.Join(t.TempDir(), "missing", "state.json")
	cfg.MeterProvider = noop.NewMeterProvider()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Evaluate(t.Context(), start, snapshot(gauge(values{"": 20}))); err != nil {
		t.Errorf("Evaluate: %v, want none", err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v, want none", err)
	}
	if got := errs(); strings.Count(got, "state file") != 1 {
		t.Errorf("handled %q, want it once", got)
	}
}

// A rule that hangs does not hang Shutdown.
func TestShutdownGivesUpOnTheStateFile(t *testing.T) {
	hang := make(chan struct{})
	entered := make(chan struct{})
	cfg := oneRule(Rule{Func: hangingFunc(entered, hang), Warn: Above(10)})
	cfg.StateFile = filepath.Join(t.TempDir(), "state.json")
	cfg.MeterProvider = noop.NewMeterProvider()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	evaluated := make(chan struct{})
	go func() {
		defer close(evaluated)
		_ = p.Evaluate(context.Background(), start, snapshot())
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := p.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v, want the context's error", err)
	}
	close(hang)
	<-evaluated
	<-p.file.done
}

func hangingFunc(entered, hang chan struct{}) func(context.Context, *metricdata.ResourceMetrics) ([]Sample, error) {
	return func(context.Context, *metricdata.ResourceMetrics) ([]Sample, error) {
		close(entered)
		<-hang
		return nil, nil
	}
}

// A service that reads its rules again before its first tick loses nothing of what was restored.
func TestReloadBeforeTheFirstEvaluation(t *testing.T) {
	p := newProcess(t, Rule{Metric: "m", Warn: Above(10), For: 20 * time.Second})
	p.at(0, gauge(values{"": 20}))
	p.at(10, gauge(values{"": 20}))
	p.restart()
	if err := p.p.Reload(p.cfg); err != nil {
		t.Fatal(err)
	}
	p.at(100, gauge(values{"": 20})) // 90 s down, which do not count
	p.want("p")
	p.at(110, gauge(values{"": 20}))
	p.want("w")
	p.restart()
	if err := p.p.Reload(Config{}); err != nil {
		t.Fatal(err)
	}
	if len(p.changes) != 1 || p.changes[0].To != StateInactive || time.Since(p.changes[0].Alert.ResolvedAt) > time.Minute {
		t.Errorf("got %+v, want the alert of the removed rule resolved just now", p.changes)
	}
}

// Whatever a reload and a shutdown do to each other, both end, and no goroutine is left, which TestMain checks.
func TestReloadWhileShuttingDown(t *testing.T) {
	to := NotifierFunc(func(context.Context, []Transition) error { return nil })
	cfg := oneRule(Rule{Metric: "m", Warn: Above(10)})
	cfg.MeterProvider, cfg.Notify = noop.NewMeterProvider(), []Notify{{Notifier: to}, {Notifier: to}}
	for range 200 {
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() {
			for p.Reload(cfg) == nil {
			}
		})
		both.Go(func() {
			if err := p.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
	}
}

// Wherever a write was cut off, the processor starts, and what was there is put aside.
func TestStateFileCutAnywhere(t *testing.T) {
	p := newProcess(t, Rule{Metric: "m", Warn: Above(10), By: []string{"a"}})
	p.at(0, gauge(values{"a=1": 20, "a=2": 30}))
	p.at(10, gauge(values{"a=1": 5, "a=2": 30}))
	p.end()
	whole, err := os.ReadFile(p.cfg.StateFile)
	if err != nil {
		t.Fatal(err)
	}
	handled(t)
	for n := range len(whole) {
		if err := os.WriteFile(p.cfg.StateFile, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		p.begin()
		if a := p.p.Alerts(); len(a) != 0 {
			t.Fatalf("%d of %d bytes gave %+v", n, len(whole), a)
		}
		p.end()
		if aside, err := os.ReadFile(p.cfg.StateFile + ".corrupt"); err != nil || len(aside) != n {
			t.Fatalf("%d of %d bytes: %d are put aside, error %v", n, len(whole), len(aside), err)
		}
	}
	if err := os.WriteFile(p.cfg.StateFile, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	p.begin()
	if a := p.p.Alerts(); len(a) != 1 {
		t.Errorf("the whole file gave %+v, want one alert", a)
	}
}
