package capture

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// diskUse is what the directory really takes up.
func diskUse(t *testing.T, dir string) (bytes int64, captures int) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if !e.IsDir() {
			continue // the lock
		}
		captures++
		files, err := os.ReadDir(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := f.Info(); err == nil && f.Name() != ManifestFile {
				bytes += info.Size()
			}
		}
	}
	return bytes, captures
}

// A thousand captures of all reasons, with little time for CPU profiles: the directory and the heap stay in bounds. The flight recorder
// fills its window meanwhile, however quickly they follow each other, so the window is kept small.
func TestAThousandCaptures(t *testing.T) {
	cfg := quick(t)
	cfg.FlightRecorder = true
	cfg.CPUTime = time.Millisecond
	cfg.MaxBytes, cfg.TraceBytes = 600<<10, 1<<20
	c := start(t, cfg)
	c.clocked = cfg.CPUTime // profiles by the clock are no longer either
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	n := 1000
	if testing.Short() {
		n = 200
	}
	var before uint64
	for i := range n {
		r := Request{Kinds: []Kind{Goroutine, Heap}}
		if i%20 == 0 {
			r.Kinds = nil // with a CPU profile and a trace, which take a tenth of a second to end
		}
		if i%3 == 0 {
			r.Reason = Continuous
		}
		if _, err := c.Capture(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			if bytes, captures := diskUse(t, cfg.Dir); bytes > cfg.MaxBytes || captures > DefaultMaxCaptures {
				t.Fatalf("after %d captures: %d bytes in %d captures, more than %d in %d", i, bytes, captures, cfg.MaxBytes, DefaultMaxCaptures)
			}
		}
		if i == n/10 {
			before = heap()
		}
	}
	bytes, captures := diskUse(t, cfg.Dir)
	all := c.Captures()
	if captures != len(all) || bytes != c.size() || captures < 2 {
		t.Errorf("on disk are %d bytes in %d captures, in memory %d in %d", bytes, captures, c.size(), len(all))
	}
	if after := heap(); after > before+2<<20+uint64(cfg.TraceBytes) {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	t.Logf("%d captures, %d kept with %d bytes; heap %d, then %d", n, captures, bytes, before, heap())
}

func TestOldCapturesGo(t *testing.T) {
	now := time.Now()
	stored := []Artefact{{Kind: CPU, Status: StatusOK, Size: 10}}
	m := func(id string, age time.Duration, reason Reason, a []Artefact) *Manifest {
		return &Manifest{ID: id, State: StateDone, At: now.Add(-age), Reason: reason, Artefacts: a}
	}
	c := &Capturer{cfg: Config{Dir: "x"}}
	if err := c.cfg.check(); err != nil {
		t.Fatal(err)
	}
	c.cfg.MaxCaptures, c.cfg.MaxBytes = 8, 100
	keep := func(what string, reserve int64, want ...string) {
		t.Helper()
		c.surplus(now, reserve)
		var got []string
		for _, m := range c.list {
			got = append(got, m.ID)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s: got %v, want %v", what, got, want)
			}
		}
	}
	c.list = []*Manifest{
		m("old", 8*24*time.Hour, Alert, stored), m("incident", 6*24*time.Hour, Alert, stored),
		m("clock1", 5*time.Hour, Continuous, stored), m("clock2", 4*time.Hour, Continuous, stored), m("clock3", 3*time.Hour, Continuous, stored),
		m("empty1", time.Hour, Alert, nil), m("empty2", time.Hour, Alert, nil), m("empty3", time.Hour, Alert, nil), m("empty4", time.Hour, Alert, nil),
	}
	keep("by age, emptiness and the clock's share", 0, "incident", "clock2", "clock3", "empty2", "empty3", "empty4")
	c.list = append(c.list, m("a", 0, Manual, stored), m("b", 0, Manual, stored), m("c", 0, Manual, stored))
	keep("by number", 0, "clock2", "clock3", "empty2", "empty3", "empty4", "a", "b", "c")
	keep("by bytes", 70, "empty2", "empty3", "empty4", "a", "b", "c")
	c.list = []*Manifest{{ID: "running", State: StateRunning, At: now}, m("a", 0, Manual, stored)}
	keep("a running one stays", 1000, "running")
}
