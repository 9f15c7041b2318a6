package capture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/otel"

	"github.com/otelnet/agent/otelnet"
)

// wantPart checks one artefact and returns it.
func wantPart(t *testing.T, m Manifest, k Kind, status Status, why string) Artefact {
	t.Helper()
	a, ok := m.Artefact(k)
	if !ok || a.Status != status || !strings.Contains(a.Why, why) {
		t.Errorf("%s: got %+v, want it %s, with %q in the reason", k, a, status, why)
	}
	return a
}

func TestAForeignCPUProfileIsLeftAlone(t *testing.T) {
	cfg := quick(t)
	c := start(t, cfg)
	c.cpu.patience = 100 * time.Millisecond
	var theirs bytes.Buffer
	if err := pprof.StartCPUProfile(&theirs); err != nil {
		t.Fatal(err)
	}
	m, err := c.Capture(t.Context(), Request{})
	if err != nil {
		t.Error(err)
	}
	wantPart(t, m, CPU, StatusSkipped, "busy")
	wantPart(t, m, Mutex, StatusOK, "")
	wantPart(t, m, Heap, StatusOK, "")
	if err := c.CPUProfile(t.Context(), io.Discard, time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Errorf("the broker: got %v, want ErrBusy", err)
	}
	if err := pprof.StartCPUProfile(io.Discard); err == nil {
		t.Error("their profile does not run any more")
	}
	// If it ends within the wait, the one retry finds it free.
	c.cpu.patience = 2 * time.Second
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := c.CPUProfile(t.Context(), io.Discard, time.Millisecond); err != nil {
			t.Errorf("the broker did not try again: %v", err)
		}
	})
	pprof.StopCPUProfile()
	wait.Wait()
	if _, err := profile.ParseData(theirs.Bytes()); err != nil {
		t.Errorf("their profile is damaged: %v", err)
	}
}

func TestBrokerTakesTurns(t *testing.T) {
	c := start(t, quick(t))
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			var b bytes.Buffer
			if err := c.CPUProfile(t.Context(), &b, 10*time.Millisecond); err != nil {
				t.Error(err)
			} else if _, err := profile.ParseData(b.Bytes()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	if err := c.CPUProfile(ctx, io.Discard, time.Minute); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("a profile whose context has ended took %v", took)
	}
}

func TestASecondFlightRecorder(t *testing.T) {
	theirs := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	if err := theirs.Start(); err != nil {
		t.Fatal(err)
	}
	cfg := quick(t)
	cfg.FlightRecorder = true
	c := start(t, cfg)
	m, err := c.Capture(t.Context(), Request{Kinds: []Kind{Trace}})
	if err != nil {
		t.Error(err)
	}
	wantPart(t, m, Trace, StatusFailed, "could not be started")
	if !theirs.Enabled() {
		t.Error("theirs was stopped")
	}
	theirs.Stop()
	m, _ = c.Capture(t.Context(), Request{Kinds: []Kind{Trace}})
	wantPart(t, m, Trace, StatusFailed, "it runs from now on")
	m, _ = c.Capture(t.Context(), Request{Kinds: []Kind{Trace}})
	wantPart(t, m, Trace, StatusOK, "")
}

func TestWithoutAFlightRecorder(t *testing.T) {
	c := start(t, quick(t))
	m, _ := c.Capture(t.Context(), Request{Kinds: []Kind{Trace, GoroutineLeak}})
	wantPart(t, m, Trace, StatusSkipped, "the flight recorder is off")
	if pprof.Lookup("goroutineleak") == nil {
		wantPart(t, m, GoroutineLeak, StatusSkipped, "this Go runtime has no such profile")
	} else {
		wantPart(t, m, GoroutineLeak, StatusOK, "")
	}
}

func TestAProcessUnderPressureIsSpared(t *testing.T) {
	c := start(t, quick(t))
	c.pressure.memoryLimit = func() (int64, bool) { return 1, true }
	c.pressure.cpuQuota = func() (float64, bool) { return 1e-9, true }
	var busy sync.WaitGroup
	done := make(chan struct{})
	busy.Go(func() { // so that some CPU time is used in any case
		for ended := false; !ended; {
			select {
			case <-done:
				ended = true
			default:
			}
		}
	})
	m, _ := c.Capture(t.Context(), Request{})
	wantPart(t, m, CPU, StatusSkipped, "of its quota of")
	wantPart(t, m, Heap, StatusSkipped, "of memory")
	wantPart(t, m, Goroutine, StatusOK, "")
	m, _ = c.Capture(t.Context(), Request{Force: true})
	wantPart(t, m, CPU, StatusOK, "")
	wantPart(t, m, Heap, StatusOK, "")
	close(done)
	busy.Wait()
	c.pressure.memoryLimit = func() (int64, bool) { return 1 << 60, true }
	c.pressure.cpuQuota = func() (float64, bool) { return 1e9, true }
	m, _ = c.Capture(t.Context(), Request{})
	wantPart(t, m, CPU, StatusOK, "")
	wantPart(t, m, Heap, StatusOK, "")
}

func TestAServiceThatSamplesNoAllocations(t *testing.T) {
	c := start(t, quick(t))
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	runtime.MemProfileRate = 0
	m, _ := c.Capture(t.Context(), Request{Kinds: []Kind{Heap}})
	wantPart(t, m, Heap, StatusSkipped, "MemProfileRate is 0")
}

func TestTooManyGoroutines(t *testing.T) {
	cfg := quick(t)
	cfg.MaxGoroutines = 1
	c := start(t, cfg)
	m, _ := c.Capture(t.Context(), Request{Kinds: []Kind{Goroutine}})
	wantPart(t, m, Goroutine, StatusSkipped, "a profile is made of up to 1")
}

func TestAPartThatPanicsIsAlone(t *testing.T) {
	cfg := quick(t)
	cfg.Connections = func(otelnet.Filter) ([]otelnet.ConnInfo, int) { panic("no table today") }
	cfg.Quiet = func() bool { panic("nobody knows") }
	c := start(t, cfg)
	m, err := c.Capture(t.Context(), Request{})
	if err != nil || m.State != StateDone || m.Quiet {
		t.Errorf("got %+v, error %v; want it done, and not called quiet", m, err)
	}
	wantPart(t, m, Connections, StatusFailed, "panicked: no table today")
	wantPart(t, m, Metrics, StatusOK, "")
	wantPart(t, m, CPU, StatusOK, "")
	modes(t, cfg.Dir, m.ID)
}

func TestACaptureHasItsShareOfTheDisk(t *testing.T) {
	cfg := quick(t)
	cfg.MaxBytes = 4000
	c := start(t, cfg)
	m, _ := c.Capture(t.Context(), Request{})
	wantPart(t, m, Goroutine, StatusFailed, "left for this capture")
	if n := m.Size(); n > cfg.MaxBytes/4 {
		t.Errorf("the capture has %d bytes, more than its share of %d", n, cfg.MaxBytes/4)
	}
	modes(t, cfg.Dir, m.ID)
}

// A process that is killed leaves what it had; the next one makes sense of it.
func TestWhatAKilledProcessLeaves(t *testing.T) {
	cfg := quick(t)
	c := start(t, cfg)
	whole, err := c.Capture(t.Context(), Request{Reason: Alert, Alert: "A", Severity: "crit", Value: 2, Threshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	half, _ := c.Capture(t.Context(), Request{})
	if err := c.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := func(parts ...string) string { return filepath.Join(append([]string{cfg.Dir}, parts...)...) }
	edit := func(name string, change func([]byte) []byte) {
		t.Helper()
		body, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, change(body), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	edit(path(half.ID, ManifestFile), func(b []byte) []byte {
		b = bytes.ReplaceAll(b, []byte(`"state": "done"`), []byte(`"state": "running"`))
		return bytes.ReplaceAll(b, []byte(`"kind": "heap"`), []byte(`"kind": "unheard of"`)) // so nothing tells of the file
	})
	if err := errors.Join(os.Remove(path(half.ID, CPU.File())),
		// One that had only begun, a stranger's, a liar, and files that are none of ours.
		os.Mkdir(path("20200101T000000Z-0000"), 0o700), os.Mkdir(path("photos"), 0o700),
		os.Mkdir(path("20991231T000000Z-ffff"), 0o700),
		os.WriteFile(path("20991231T000000Z-ffff", ManifestFile), []byte(`{"id":"../photos","state":"done"}`), 0o600),
		os.WriteFile(path("notes.txt"), nil, 0o600),
		os.WriteFile(path(half.ID, Trace.File()+temporary), []byte("half"), 0o600),
		os.Chtimes(path("20200101T000000Z-0000"), time.Time{}, time.Now().Add(-time.Hour)),
	); err != nil {
		t.Fatal(err)
	}

	c = start(t, cfg)
	all := c.Captures()
	if len(all) != 2 || all[0].ID != half.ID || all[1].ID != whole.ID {
		t.Fatalf("got %+v, want the two that were there, the newest first", all)
	}
	if all[0].State != StateInterrupted || all[1].State != StateDone {
		t.Errorf("states: got %s and %s, want interrupted and done", all[0].State, all[1].State)
	}
	wantPart(t, all[0], CPU, StatusFailed, "the file is gone")
	if heap := wantPart(t, all[0], Heap, StatusOK, ""); heap.Size == 0 {
		t.Error("a file that no manifest tells of counts nothing")
	}
	if len(contents(t, c, half.ID, Heap.File())) == 0 {
		t.Error("a file that no manifest tells of cannot be read")
	}
	if got := contents(t, c, whole.ID, Heap.File()); len(got) == 0 {
		t.Error("what is stored cannot be read any more")
	}
	for name, want := range map[string]bool{"photos": true, "notes.txt": true, "20200101T000000Z-0000": false} {
		if _, err := os.Stat(path(name)); (err == nil) != want {
			t.Errorf("%s: is there: %t, want %t", name, err == nil, want)
		}
	}
	// It may be the process before ours that still writes, but not for ever.
	unfinished := path(half.ID, Trace.File()+temporary)
	if _, err := os.Stat(unfinished); err != nil {
		t.Errorf("a file that may still be written is gone: %v", err)
	}
	if _, err := c.store.scan(time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(unfinished); err == nil {
		t.Error("a file that nobody writes any more is still there")
	}
	// The cool-down goes on.
	if m, err := c.Begin(Request{Reason: Alert, Alert: "A", Severity: "crit", Value: 2, Threshold: 1}); !errors.Is(err, ErrLimited) || m.ID != whole.ID {
		t.Errorf("the alert again: got %q, error %v; want it to be cooling down", m.ID, err)
	}
}

// Two processes in one directory would remove each other's captures. The second says so; the next one after it has the directory for itself.
func TestADirectoryOfItsOwn(t *testing.T) {
	var mu sync.Mutex
	var told []string
	defer otel.SetErrorHandler(otel.GetErrorHandler())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err.Error())
	}))
	cfg := quick(t)
	first := start(t, cfg)
	second := start(t, cfg)
	for _, c := range []*Capturer{first, second} {
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	start(t, cfg)
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 1 || !strings.Contains(told[0], cfg.Dir) || !strings.Contains(told[0], "a directory of its own") {
		t.Errorf("told: %q; want that of the second one alone", told)
	}
}

// lockedUp holds a mutex that others want, for the profile to name.
func lockedUp(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	time.Sleep(5 * time.Millisecond) // what the profile measures
}

// The mutex profile tells what came in its seconds, not what was before, and leaves the rate as it was.
func TestMutexIsADifference(t *testing.T) {
	if rate := runtime.SetMutexProfileFraction(-1); rate != 0 {
		t.Fatalf("the rate is %d to begin with", rate)
	}
	cfg := quick(t)
	cfg.CPUTime = 400 * time.Millisecond
	c := start(t, cfg)
	contended := func(m Manifest) (named bool) {
		p, err := profile.ParseData(contents(t, c, m.ID, Mutex.File()))
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Duration(p.DurationNanos); d < cfg.CPUTime || d > m.Took {
			t.Errorf("the profile says that it took %v; the capture was to spend %v on it and took %v", d, cfg.CPUTime, m.Took)
		}
		for _, s := range p.Sample {
			for _, l := range s.Location {
				for _, line := range l.Line {
					named = named || strings.HasSuffix(line.Function.Name, "capture.lockedUp")
				}
			}
		}
		return named
	}
	stop := make(chan struct{})
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					lockedUp(&mu)
				}
			}
		})
	}
	during, _ := c.Capture(t.Context(), Request{Kinds: []Kind{CPU}})
	close(stop)
	workers.Wait()
	after, _ := c.Capture(t.Context(), Request{Kinds: []Kind{Mutex}})
	if !contended(during) {
		t.Error("the profile does not name who holds the lock")
	}
	if contended(after) {
		t.Error("the profile of quiet times names who held the lock before")
	}
	if rate := runtime.SetMutexProfileFraction(-1); rate != idleFraction {
		t.Errorf("the rate is %d afterwards, want %d", rate, idleFraction)
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if rate := runtime.SetMutexProfileFraction(-1); rate != 0 {
		t.Errorf("the rate is %d after Shutdown", rate)
	}
}
