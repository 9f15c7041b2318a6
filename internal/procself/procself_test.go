package procself

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openTest(t *testing.T) *Process {
	t.Helper()
	p := Open()
	t.Cleanup(p.Close)
	return p
}

// openMany opens n more file descriptors until the test ends.
func openMany(t *testing.T, n int) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range n {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
	}
}

func TestNothingAllocates(t *testing.T) {
	p := openTest(t)
	for name, call := range map[string]func(){
		"CPU":       func() { p.CPU() },
		"FileLimit": func() { p.FileLimit() },
		"Resident":  func() { p.Resident() },
		"OpenFiles": func() { p.OpenFiles() },
	} {
		if got := testing.AllocsPerRun(100, call); got != 0 {
			t.Errorf("%s allocates %v times, want 0", name, got)
		}
	}
}

func TestCloseEndsTheFiles(t *testing.T) {
	p := Open()
	p.Close()
	p.Close()
	if n, ok := p.Resident(); ok {
		t.Errorf("Resident after Close: got %d, want nothing", n)
	}
	if n, ok := p.OpenFiles(); ok {
		t.Errorf("OpenFiles after Close: got %d, want nothing", n)
	}
}

func BenchmarkAll(b *testing.B) {
	p := Open()
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		p.CPU()
		p.FileLimit()
		p.Resident()
		p.OpenFiles()
	}
}
