package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel's own full and read-only file systems, in a mount namespace of a child process.
func TestRealDisk(t *testing.T) {
	if os.Getenv("SPOOL_REAL_DISK") != "" {
		inNamespace(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRealDisk$", "-test.v")
	cmd.Env = append(os.Environ(), "SPOOL_REAL_DISK=1", "TMPDIR="+t.TempDir())
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.Contains(string(out), "no namespaces here") {
		t.Skip("this machine gives no mount namespaces: ", err)
	}
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func inNamespace(t *testing.T) {
	dir := t.TempDir()
	err := errors.Join(unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"))
	if errors.Is(err, unix.EPERM) {
		fmt.Println("no namespaces here")
		t.SkipNow()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)

	// Somebody else fills the disk: what is on it stays, what comes is lost and counted, and all goes on when there is room again.
	var told errorList
	s, err := Open(Config{Dir: dir, Name: "metrics", OnError: told.add})
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{}
	r.is(down)
	export := func(i int) error {
		_, err := s.deliver(t.Context(), record{at: time.Now(), request: []byte(incompressible(i))}, r.send)
		return err
	}
	var queued *QueuedError
	for i := range 20 {
		if err := export(i); !errors.As(err, &queued) {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "of somebody else")
	if err := os.WriteFile(other, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	lost := 0
	for i := 20; i < 40; i++ {
		if err := export(i); errors.Is(err, unix.ENOSPC) {
			lost++
		} else if !errors.As(err, &queued) {
			t.Fatal(err)
		}
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	for i := 40; i < 45; i++ {
		if err := export(i); !errors.As(err, &queued) {
			t.Errorf("with room again: %v", err)
		}
	}
	st := s.Stats()
	if lost < 15 || st.Dropped[ReasonDisk] != int64(lost) || st.Requests != int64(45-lost) {
		t.Errorf("%d exports failed on the full disk, %+v", lost, st)
	}
	if n := told.all(); len(n) != 1 || !strings.Contains(n[0], "no space left on device") {
		t.Errorf("told %q, want the full disk once", n)
	}
	r.is(nil)
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	kept := 40 - lost
	var want []string
	for i := range kept {
		want = append(want, incompressible(i))
	}
	for i := 40; i < 45; i++ {
		want = append(want, incompressible(i))
	}
	if got := r.has(); !slices.Equal(got, want) {
		t.Errorf("arrived %d requests, want %d in their order", len(got), len(want))
	}

	// A directory that is read-only at the start.
	s, err = Open(Config{Dir: dir, Name: "metrics", OnError: told.add})
	if err != nil {
		t.Fatal(err)
	}
	if err := export(50); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Name: "metrics"}); !errors.Is(err, unix.EROFS) {
		t.Errorf("a read-only directory: %v", err)
	}
	if _, err := OpenFile(FileConfig{Path: filepath.Join(dir, "metrics.jsonl")}); !errors.Is(err, unix.EROFS) {
		t.Errorf("a file in a read-only directory: %v", err)
	}
}
