package cgroup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const helperVar = "OTELNET_TEST_CGROUP_HELPER"

// helperReport is what the throttled process says of itself, and what its group's cpu.stat said just before and after.
type helperReport struct {
	Limit               float64
	Limited             bool
	Before, Ours, After Throttling
}

// TestThrottledByTheKernel puts a busy process under a quota that the kernel enforces.
func TestThrottledByTheKernel(t *testing.T) {
	if os.Getenv(helperVar) != "" {
		beThrottled(t)
		return
	}
	dir := newCPUGroup(t)
	switch {
	case exists(dir, "cpu.max"):
		set(t, dir, "cpu.max", "5000 50000")
	case exists(dir, "cpu.cfs_quota_us"):
		set(t, dir, "cpu.cfs_period_us", "50000")
		set(t, dir, "cpu.cfs_quota_us", "5000")
	default:
		t.Skip("a new group has no CPU controller here")
	}

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestThrottledByTheKernel$")
	cmd.Env = append(os.Environ(), helperVar+"="+filepath.Join(dir, "cpu.stat"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	set(t, dir, "cgroup.procs", fmt.Sprint(cmd.Process.Pid))
	if _, err := in.Write([]byte{'\n'}); err != nil { // it is in its group, and may begin
		t.Fatal(err)
	}
	var got helperReport
	if err := json.NewDecoder(out).Decode(&got); err != nil {
		t.Fatalf("the helper's report: %v", err)
	}

	if !got.Limited || got.Limit != 0.1 {
		t.Errorf("limit: got %v, %t, want 0.1", got.Limit, got.Limited)
	}
	if got.Ours.Throttled < 1 || got.Ours.Time <= 0 {
		t.Fatalf("got %+v, want a busy process to be throttled", got.Ours)
	}
	for _, v := range []struct {
		name                string
		before, ours, after int64
	}{
		{"periods", got.Before.Periods, got.Ours.Periods, got.After.Periods},
		{"throttled", got.Before.Throttled, got.Ours.Throttled, got.After.Throttled},
		{"time", int64(got.Before.Time), int64(got.Ours.Time), int64(got.After.Time)},
	} {
		if v.ours < v.before || v.ours > v.after {
			t.Errorf("%s: got %d, want %d to %d as of cpu.stat", v.name, v.ours, v.before, v.after)
		}
	}
}

func beThrottled(t *testing.T) {
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	g, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	stat := os.Getenv(helperVar)
	var r helperReport
	for start := time.Now(); time.Since(start) < 20*time.Second && (r.Ours.Throttled < 3 || r.Ours.Time == 0); {
		r.Before = scanStat(t, stat)
		r.Ours, _ = g.Throttling()
		r.After = scanStat(t, stat)
	}
	r.Limit, r.Limited = g.CPULimit()
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		t.Fatal(err)
	}
}

// scanStat reads what both versions begin their part on throttling with, in the version's own unit of time.
func scanStat(t *testing.T, name string) (r Throttling) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b[bytes.Index(b, []byte("nr_periods")):])
	var unit string
	if _, err := fmt.Sscanf(text, "nr_periods %d\nnr_throttled %d\nthrottled_%s %d", &r.Periods, &r.Throttled, &unit, &r.Time); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if unit == "usec" {
		r.Time *= time.Microsecond
	}
	return r
}

// newCPUGroup makes a group below the test's own, or skips where that is not allowed.
func newCPUGroup(t *testing.T) string {
	t.Helper()
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	dirs := directories("cpu", parseGroups(membership), parseMounts(mountinfo))
	if len(dirs) == 0 {
		t.Skip("no CPU controller is mounted here")
	}
	dir := filepath.Join(dirs[0], fmt.Sprintf("otelnet-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrNotExist) {
			t.Skipf("no group may be made here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func set(t *testing.T, dir, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}
