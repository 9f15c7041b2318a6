package runtimemetrics

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"golang.org/x/sys/unix"
)

func TestProcessIsWhatTheKernelSays(t *testing.T) {
	read := watch(t)
	// What earlier tests left open, the garbage collector closes: the two are compared while nothing comes or goes.
	compare := func() (open float64) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
			before := listFiles(t)
			open = read("process.unix.file_descriptor.count")
			if after := listFiles(t); slices.Equal(before, after) || time.Now().After(deadline) {
				if want := float64(len(after) - 1); open != want { // without that of the listing
					t.Errorf("process.unix.file_descriptor.count: got %v, want %v entries of /proc/self/fd", open, want)
				}
				return open
			}
		}
	}
	compare()
	files := make([]*os.File, 100)
	for i := range files {
		f, err := os.Open("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	if got := compare(); got < 100 {
		t.Errorf("process.unix.file_descriptor.count: got %v with 100 files open", got)
	}

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if got := read("otelnet.process.unix.file_descriptor.limit"); got != float64(limit.Cur) {
		t.Errorf("otelnet.process.unix.file_descriptor.limit: got %v, want %d", got, limit.Cur)
	}

	resident := read("process.memory.usage")
	b := make([]byte, 1<<13)
	n, err := files[0].Read(b)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b[:n]), "VmRSS:")
	var kB float64
	if _, err := fmt.Sscan(after, &kB); err != nil {
		t.Fatal(err)
	}
	if want := kB * 1024; resident < want-8<<20 || resident > want+8<<20 {
		t.Errorf("process.memory.usage: got %v, want %v as of /proc/self/status, give or take 8 MiB", resident, want)
	}
}

// listFiles lists the process's file descriptors, that of the listing itself among them.
func listFiles(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestProcessCPUIsWhatTheProcessClockSays(t *testing.T) {
	read := watch(t)
	clock := func() float64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano()).Seconds()
	}
	for start := clock(); clock() < start+0.2; {
	}
	before := clock()
	got := read("process.cpu.time", semconv.CPUModeUser)
	// The two modes come from two collects, so the second may be a little later.
	got += read("process.cpu.time", semconv.CPUModeSystem)
	if after := clock(); got < before-0.05 || got > after+0.05 {
		t.Errorf("got %v s, want %v to %v s as of the process's clock", got, before, after)
	}
}
