package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTry(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() }) // some are closed before
		return f
	}
	first, second := open(), open()
	free, err := Try(first)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || !free {
		t.Fatalf("a file that nobody has: got %t, error %v", free, err)
	}
	if free, err := Try(second); err != nil || free {
		t.Errorf("a file that somebody has: got %t, error %v; want false", free, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if free, err := Try(second); err != nil || !free {
		t.Errorf("a file that was let go: got %t, error %v; want true", free, err)
	}
}
