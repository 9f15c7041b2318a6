package procself

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock is the kernel's other answer to the same question.
func cpuClock(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

func TestCPUIsWhatTheProcessClockSays(t *testing.T) {
	p := openTest(t)
	start := cpuClock(t)
	n := 0
	for cpuClock(t)-start < 300*time.Millisecond {
		n++ // each turn is a system call, so both modes are used
	}
	user, system, ok := p.CPU()
	after := cpuClock(t)
	if !ok {
		t.Fatal("CPU: got nothing")
	}
	// Threads that run on other processors are counted at their next tick.
	const tick = 10 * time.Millisecond
	slack := time.Duration(runtime.NumCPU()) * tick
	if got := user + system; got < start+300*time.Millisecond-slack || got > after+slack {
		t.Errorf("user %v + system %v is not between %v and %v, give or take %v", user, system, start+300*time.Millisecond, after, slack)
	}
	if user <= 0 || system <= 0 {
		t.Errorf("user %v and system %v after %d turns, want both above 0", user, system, n)
	}
}

// status returns a field of /proc/self/status, in bytes.
func status(t *testing.T, field string) int64 {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), field+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("/proc/self/status has no %s", field)
	return 0
}

func TestResidentIsWhatStatusSays(t *testing.T) {
	const (
		size  = 64 << 20
		slack = 8 << 20 // the kernel's per-thread counters, and what the test itself does in between
	)
	p := openTest(t)
	check := func(when string) int64 {
		t.Helper()
		got, ok := p.Resident()
		want := status(t, "VmRSS")
		if !ok || got < want-slack || got > want+slack {
			t.Errorf("%s: got %d, %t, want %d as of /proc/self/status", when, got, ok, want)
		}
		return got
	}
	before := check("before")
	block, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < size; i += os.Getpagesize() {
		block[i] = 1
	}
	during := check("with 64 MiB more")
	if got := during - before; got < size-slack || got > size+slack {
		t.Errorf("touching %d bytes raised it by %d", size, got)
	}
	if err := syscall.Munmap(block); err != nil {
		t.Fatal(err)
	}
	if got := during - check("after"); got < size-slack {
		t.Errorf("unmapping %d bytes lowered it by %d", size, got)
	}
}

func TestOpenFilesIsWhatTheDirectoryHolds(t *testing.T) {
	p := openTest(t)
	openMany(t, 1) // the first may make the runtime's poller open its own
	before, _ := p.OpenFiles()
	openMany(t, 100)
	got, ok := p.OpenFiles()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len(entries)) - 1; !ok || got != want { // without ReadDir's own
		t.Errorf("got %d, %t, want %d entries of /proc/self/fd", got, ok, want)
	}
	if got-before != 100 {
		t.Errorf("opening 100 raised it by %d", got-before)
	}
}

// What kernels before 6.2 need must say the same, over more than one buffer of records.
func TestEntriesIsTheSizeOfTheDirectory(t *testing.T) {
	p := openTest(t)
	openMany(t, 500)
	want, ok := p.OpenFiles()
	if !ok {
		t.Fatal("OpenFiles: got nothing")
	}
	for range 2 { // the second starts over
		if got, ok := p.files.entries(); !ok || got != want {
			t.Errorf("got %d, %t, want %d", got, ok, want)
		}
	}
}

func TestWorksWithoutAFreeDescriptor(t *testing.T) {
	p := openTest(t)
	openMany(t, 1)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	used, _ := p.OpenFiles()
	// Lower than what is open already: not even one more can be had.
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(used) - 1, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	if f, err := os.Open("/dev/null"); err == nil {
		f.Close()
		t.Fatal("a file could be opened beyond the limit")
	}
	if got, ok := p.OpenFiles(); !ok || got != used {
		t.Errorf("OpenFiles: got %d, %t, want %d", got, ok, used)
	}
	if got, ok := p.FileLimit(); !ok || got != used-1 {
		t.Errorf("FileLimit: got %d, %t, want %d", got, ok, used-1)
	}
	if got, ok := p.Resident(); !ok || got <= 0 {
		t.Errorf("Resident: got %d, %t, want more than 0", got, ok)
	}
}

func TestFileLimitIsWhatTheKernelSays(t *testing.T) {
	b, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if want, err = strconv.ParseInt(strings.Fields(rest)[0], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, ok := openTest(t).FileLimit(); !ok || got != want {
		t.Errorf("got %d, %t, want %d as of /proc/self/limits", got, ok, want)
	}
}
