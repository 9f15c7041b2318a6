package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// helperTime bounds a helper's whole life, also under strace.
const helperTime = 4 * patience

// runHelper starts this binary as the helper and decodes the JSON that it prints. before is a program, with its arguments, that
// starts it; configure may be nil.
func runHelper[T any](t *testing.T, name string, configure func(*exec.Cmd), before ...string) T {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), helperTime)
	defer cancel()
	args := append(before, self)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), helperEnv+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = patience
	if configure != nil {
		configure(cmd)
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("helper %s: %v\n%s", name, err, &stderr)
	}
	var result T
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		t.Fatalf("helper %s: %v\n%s%s", name, err, &stdout, &stderr)
	}
	return result
}

// answer prints what the helper found, for runHelper.
func answer(result any) error { return json.NewEncoder(os.Stdout).Encode(result) }

// endInTime ends a helper that outlives its test: strace, if killed, leaves it running.
func endInTime() { time.AfterFunc(helperTime, func() { os.Exit(3) }) }

// call is one system call that succeeded or failed.
type call struct {
	name   string
	text   string // the line, without the process id
	result int64  // -1 for an error
}

// traceHelper is runHelper under strace. It returns also the system calls of these names.
func traceHelper[T any](t *testing.T, name string, names ...string) (T, []call) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	result := runHelper[T](t, name, nil, stack.Program(t, "strace", "strace"),
		"-f", "--seccomp-bpf", "-s", "0", "-o", out, "-e", "trace="+strings.Join(names, ","))
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return result, parseTrace(string(text))
}

var (
	traceLine   = regexp.MustCompile(`^(\d+) +(.*)$`)
	unfinished  = " <unfinished ...>"
	resumed     = regexp.MustCompile(`^<\.\.\. \w+ resumed>`)
	callAndCode = regexp.MustCompile(`^(\w+)\(.*\) += (-?\d+)`)
)

// parseTrace reads what strace -f wrote. A call that another thread's line interrupts is put together again.
func parseTrace(text string) []call {
	var calls []call
	begun := map[string]string{} // by process id
	for line := range strings.Lines(text) {
		parts := traceLine.FindStringSubmatch(strings.TrimSpace(line))
		if parts == nil {
			continue
		}
		pid, rest := parts[1], parts[2]
		if start, ok := strings.CutSuffix(rest, unfinished); ok {
			begun[pid] = start
			continue
		}
		if loc := resumed.FindStringIndex(rest); loc != nil {
			rest = begun[pid] + rest[loc[1]:]
		}
		if m := callAndCode.FindStringSubmatch(rest); m != nil {
			result, _ := strconv.ParseInt(m[2], 10, 64)
			calls = append(calls, call{name: m[1], text: rest, result: result})
		}
	}
	return calls
}

// moved adds up the results of all successful calls of this name.
func moved(calls []call, name string) (bytes int64) {
	for _, c := range calls {
		if c.name == name && c.result > 0 {
			bytes += c.result
		}
	}
	return bytes
}

func TestParseTrace(t *testing.T) {
	got := parseTrace(`12 sendfile(7, 8, NULL, 100) = 60
12 sendfile(7, 8, NULL, 40 <unfinished ...>
13 splice(3, NULL, 4, NULL, 1048576, SPLICE_F_NONBLOCK) = -1 EAGAIN (Resource temporarily unavailable)
12 <... sendfile resumed>)              = 40
13 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=12, si_uid=0} ---
12 +++ exited with 0 +++
`)
	if len(got) != 3 || got[1].name != "splice" || got[1].result != -1 || moved(got, "sendfile") != 100 || moved(got, "splice") != 0 {
		t.Errorf("got %+v", got)
	}
}
