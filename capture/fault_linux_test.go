package capture

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whoever clears /tmp takes the directory away under a running service.
func TestTheDirectoryIsRemoved(t *testing.T) {
	cfg := quick(t)
	c := start(t, cfg)
	gone, err := c.Capture(t.Context(), Request{Kinds: []Kind{Heap}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	m, err := c.Capture(t.Context(), Request{Kinds: []Kind{Heap}})
	if err != nil {
		t.Error(err)
	}
	wantPart(t, m, Heap, StatusOK, "")
	modes(t, cfg.Dir, m.ID)
	if all := c.Captures(); len(all) != 1 || all[0].ID != m.ID {
		t.Errorf("got %+v, want the new one alone: %s is gone", all, gone.ID)
	}
}

// A pipe in the place of a manifest would hold up whoever opens it, and a link lead him elsewhere.
func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	cfg := quick(t)
	const pipe, link, outside = "20261125T224152Z-0001", "20261125T224152Z-0002", "20261125T224152Z-0003"
	path := func(parts ...string) string { return filepath.Join(append([]string{cfg.Dir}, parts...)...) }
	secret := filepath.Join(t.TempDir(), "secret")
	manifest := []byte(`{"id":"` + link + `","state":"done","at":"` + time.Now().Format(time.RFC3339) + `","artefacts":[{"kind":"heap","status":"ok"}]}`)
	if err := errors.Join(os.MkdirAll(path(pipe), 0o700), syscall.Mkfifo(path(pipe, ManifestFile), 0o600),
		os.MkdirAll(path(link), 0o700), os.WriteFile(path(link, ManifestFile), manifest, 0o600),
		os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink(secret, path(link, Heap.File())),
		os.Symlink(filepath.Dir(secret), path(outside)),
	); err != nil {
		t.Fatal(err)
	}
	c := start(t, cfg)
	all := c.Captures()
	if len(all) != 1 || all[0].ID != link {
		t.Fatalf("got %+v, want the one with a manifest", all)
	}
	wantPart(t, all[0], Heap, StatusFailed, "the file is gone")
	// One that is put there later is refused by the root.
	c.list[0].Artefacts[0].Status = StatusOK
	if f, err := c.Open(link, Heap.File()); err == nil {
		f.Close()
		t.Error("a link out of the directory was followed")
	}
	if _, err := os.Stat(secret); err != nil {
		t.Error(err)
	}
}

// On a disk that is full, and then on one that may not be written to, captures say so and nothing else happens. The
// disk is a small one in memory, in a name space of the test's own.
func TestFullAndReadOnlyDisk(t *testing.T) {
	const inner = "OTELNET_TEST_DISK"
	if os.Getenv(inner) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullAndReadOnlyDisk$", "-test.v")
		cmd.Env = append(os.Environ(), inner+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
		}
		out, err := cmd.CombinedOutput()
		if err != nil && len(out) == 0 && os.Getuid() != 0 {
			t.Skipf("no mount name space of our own: %v", err) // some systems keep that to root
		}
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFullAndReadOnlyDisk")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, "size=256k,mode=700"); err != nil {
			t.Fatal(err)
		}
	}
	mount(0)
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "filler")
	fill := func(left int) {
		t.Helper()
		if err := os.WriteFile(filler, make([]byte, 256<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
		info, err := os.Stat(filler)
		if err == nil {
			err = os.Truncate(filler, info.Size()-int64(left))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg := quick(t)
	cfg.Dir = filepath.Join(dir, "captures")
	c := start(t, cfg)
	good, err := c.Capture(t.Context(), Request{})
	if err != nil {
		t.Fatal(err)
	}

	fill(0)
	full, err := c.Capture(t.Context(), Request{Reason: Alert, Alert: "A"})
	if err != nil || full.State != StateDone {
		t.Errorf("on the full disk: got %+v, error %v; want a capture that is done", full, err)
	}
	for _, k := range []Kind{Connections, Metrics, Goroutine, Heap, CPU, Mutex} {
		wantPart(t, full, k, StatusFailed, "no space left on device")
	}
	if len(c.Captures()) != 2 {
		t.Errorf("got %d captures, want the good one and the one that says why it is empty", len(c.Captures()))
	}
	if got := contents(t, c, good.ID, Heap.File()); len(got) == 0 {
		t.Error("the capture from before was harmed")
	}

	fill(16 << 10) // room for the directory, its manifest and two small files
	some, _ := c.Capture(t.Context(), Request{})
	wantPart(t, some, Connections, StatusOK, "")
	failed := 0
	for _, a := range some.Artefacts {
		if a.Status == StatusFailed {
			failed++
			if !strings.Contains(a.Why, "no space left on device") {
				t.Errorf("%s failed for %q", a.Kind, a.Why)
			}
		}
	}
	if failed == 0 {
		t.Errorf("nothing failed with 16 KiB left: %+v", some.Artefacts)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	again, _ := c.Capture(t.Context(), Request{})
	wantPart(t, again, CPU, StatusOK, "")
	modes(t, cfg.Dir, again.ID)

	mount(syscall.MS_REMOUNT | syscall.MS_RDONLY)
	readOnly, err := c.Capture(t.Context(), Request{})
	if err != nil {
		t.Error(err)
	}
	wantPart(t, readOnly, CPU, StatusFailed, "read-only file system")
	if got := contents(t, c, again.ID, Heap.File()); len(got) == 0 {
		t.Error("what is stored cannot be read")
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	// A start on such a disk is told of, and no error: it may come right.
	c = start(t, cfg)
	if len(c.Captures()) != 3 { // the two good ones and the one with some of it
		t.Errorf("got %d captures, want the three that are stored", len(c.Captures()))
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	mount(syscall.MS_REMOUNT)
}
