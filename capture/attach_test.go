package capture

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"
)

// waitFor waits until holds does.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func recorded(c *Capturer, id string, k Kind) bool {
	m, _ := c.Manifest(id)
	return has(m, k)
}

// Two alerts of one moment want different things; one capture gives both what they want.
func TestRequestsJoinTheRunningCapture(t *testing.T) {
	cfg := quick(t)
	cfg.CPUTime = 300 * time.Millisecond
	c := start(t, cfg)
	first, err := c.Begin(Request{Reason: Alert, Alert: "A", Kinds: []Kind{CPU}})
	if err != nil {
		t.Fatal(err)
	}
	if first.State != StateRunning || len(first.Artefacts) != 0 {
		t.Errorf("got %+v, want one that has just begun", first)
	}
	waitFor(t, "the metrics", func() bool { return recorded(c, first.ID, Metrics) })
	second, err := c.Begin(Request{Reason: Alert, Alert: "B", Kinds: []Kind{Heap}})
	if err != nil || second.ID != first.ID {
		t.Fatalf("got %q, error %v; want to be attached to %q", second.ID, err, first.ID)
	}
	third, err := c.Capture(t.Context(), Request{Kinds: []Kind{Goroutine}})
	if err != nil || third.ID != first.ID {
		t.Fatalf("got %q, error %v; want to be attached to %q", third.ID, err, first.ID)
	}
	for _, k := range []Kind{Connections, Metrics, Goroutine, Heap, CPU, Mutex} {
		if a, ok := third.Artefact(k); !ok || a.Status != StatusOK {
			t.Errorf("%s: got %+v, want it stored", k, a)
		}
	}
	if !slices.IsSortedFunc(third.Artefacts, func(a, b Artefact) int { return slices.Index(order, a.Kind) - slices.Index(order, b.Kind) }) {
		t.Errorf("the artefacts are out of order: %+v", third.Artefacts)
	}
	if len(third.Attached) != 2 || third.Attached[0].Alert != "B" || third.Attached[1].Reason != Manual {
		t.Errorf("attached: got %+v, want B and the person", third.Attached)
	}
	// Both are in their cool-down now, and the notes of later requests reach the disk too.
	late, err := c.Capture(t.Context(), Request{Reason: Alert, Alert: "B", Severity: "warn"})
	if !errors.Is(err, ErrLimited) || late.ID != first.ID {
		t.Errorf("got %q, error %v; want B to be cooling down, answered by %q", late.ID, err, first.ID)
	}
	waitFor(t, "the note on disk", func() bool {
		var m Manifest
		return json.Unmarshal(contents(t, c, first.ID, ManifestFile), &m) == nil && len(m.Attached) == 3
	})
}

// What the clock asked for makes way: an incident is worth more than the rest of a baseline.
func TestAnAlertEndsACaptureByTheClock(t *testing.T) {
	c := start(t, quick(t))
	base, err := c.Begin(Request{Reason: Continuous, Kinds: []Kind{Heap, CPU}})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the heap", func() bool { return recorded(c, base.ID, Heap) })
	if _, err := c.Begin(Request{Reason: Continuous}); !errors.Is(err, ErrLimited) {
		t.Errorf("another by the clock: got %v, want ErrLimited", err)
	}
	begin := time.Now()
	m, err := c.Capture(t.Context(), Request{Reason: Alert, Alert: "A"})
	if err != nil || m.ID == base.ID {
		t.Fatalf("got %q, error %v; want a capture of its own", m.ID, err)
	}
	if took := time.Since(begin); took >= continuousTime {
		t.Errorf("it took %v: the clock's %v were not cut short", took, continuousTime)
	}
	base, _ = c.Manifest(base.ID)
	if a, _ := base.Artefact(CPU); base.State != StateDone || a.Why == "" {
		t.Errorf("the one by the clock: got %+v, want it done, with a CPU profile that says why it is short", base)
	}
	if b, ok := c.Baseline(); ok {
		t.Errorf("%s counts as baseline, although it was cut short", b.ID)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	cfg := quick(t)
	cfg.CPUTime = time.Second
	c := start(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	m, err := c.Capture(ctx, Request{})
	if !errors.Is(err, context.DeadlineExceeded) || m.ID == "" {
		t.Errorf("got %+v, error %v; want the running capture and that the time was over", m, err)
	}
	waitFor(t, "the capture", func() bool {
		m, _ := c.Manifest(m.ID)
		return m.State == StateDone && len(m.Artefacts) == 7
	})
}

func TestDeadline(t *testing.T) {
	cfg := quick(t)
	cfg.CPUTime, cfg.Deadline = time.Minute, 200*time.Millisecond
	c := start(t, cfg)
	m, err := c.Capture(t.Context(), Request{Kinds: []Kind{CPU, GoroutineLeak}})
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := m.Artefact(CPU); a.Status != StatusOK || a.Why == "" || a.Size == 0 {
		t.Errorf("CPU: got %+v, want what there was, with the reason why it is short", a)
	}
	if a, _ := m.Artefact(Mutex); a.Status != StatusOK {
		t.Errorf("mutex: got %+v, want what there was", a)
	}
	if a, _ := m.Artefact(GoroutineLeak); a.Status != StatusSkipped || a.Why != errDeadline.Error() {
		t.Errorf("leaks: got %+v, want that the time was over", a)
	}
}

func TestBadRequests(t *testing.T) {
	c := start(t, quick(t))
	for _, r := range []Request{{Reason: "whim"}, {Reason: Alert}, {Kinds: []Kind{"traces"}}} {
		if m, err := c.Capture(t.Context(), r); err == nil || m.ID != "" {
			t.Errorf("%+v was accepted", r)
		}
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Errorf("a second Shutdown: %v", err)
	}
	if _, err := c.Begin(Request{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Shutdown: got %v, want ErrClosed", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"Dir": {}, "Continuous": {Dir: t.TempDir(), Continuous: time.Second}, "Deadline": {Dir: t.TempDir(), Deadline: -1},
		"MaxBytes": {Dir: t.TempDir(), MaxBytes: -1}, "PerHour": {Dir: t.TempDir(), PerHour: -1},
	} {
		if c, err := New(cfg); err == nil {
			t.Errorf("a wrong %s was accepted", name)
			_ = c.Shutdown(t.Context())
		}
	}
}
