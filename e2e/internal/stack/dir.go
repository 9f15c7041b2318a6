package stack

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Root returns the repository's directory.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Dir returns an empty directory for the test's programs. It is removed if the test passes and kept, with a line that says
// where, if it fails. Ask for it before the programs are started, so that it is dealt with after they have ended.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(Root(), "e2e", "artifacts", tb.Name())
	if err := os.RemoveAll(dir); err != nil {
		tb.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("logs and data are in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}
