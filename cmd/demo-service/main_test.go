package main

import (
	"bytes"
	"context"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	computeWork = 100
	if raceDetector {
		rankRounds = 150
	}
	goleak.VerifyTestMain(m)
}

// freePorts are the flags that keep a run away from every other one.
func freePorts(more ...string) []string {
	return append([]string{"-addr", "127.0.0.1:0", "-tls", "127.0.0.1:0", "-echo", "127.0.0.1:0", "-admin", "127.0.0.1:0"}, more...)
}

// quick is a timing for rules with windows of two seconds.
var quick = timing{incidentAfter: time.Second, incidentFor: 4 * time.Second, tick: 100 * time.Millisecond}

// runFor runs the program and returns its exit status and what it printed.
func runFor(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs, quick)
	if ctx.Err() != nil {
		t.Fatalf("run %q did not end by itself", args)
	}
	return status, out.String(), errs.String()
}

func TestWrongUsage(t *testing.T) {
	for _, test := range []struct {
		args   string
		stderr string
	}{
		{"-unknown", "there is no option -unknown"},
		{"-laod 1", "there is no option -laod, did you mean -load?"},
		{"-load many", `-load "many": want a whole number`},
		{"-load -1", "-load -1: want 0 to 5000"},
		{"-load 5001", "-load 5001: want 0 to 5000"},
		{"-incident later", `-incident "later": want auto, off, now, cache, mutex, hotloop, leak, heap, downstream, backlog`},
		{"-log xml", `-log "xml": want text, json`},
		{"-for soon", `-for "soon": want a duration such as 2s or 1m`},
		{"-for -1s", "-for -1s: want a duration that is not negative"},
		{"-addr=", "-addr is empty, want host:port"},
		{"serve", `unexpected argument "serve"`},
	} {
		t.Run(test.args, func(t *testing.T) {
			status, stdout, stderr := runFor(t, strings.Fields(test.args)...)
			want := "demo-service: " + test.stderr + "\ndemo-service -h shows the flags\n"
			if status != 2 || stdout != "" || stderr != want {
				t.Errorf("status %d, stdout %q, stderr %q; want 2, nothing, %q", status, stdout, stderr, want)
			}
		})
	}
	for _, args := range []string{"health one two", "health -x"} {
		status, stdout, stderr := runFor(t, strings.Fields(args)...)
		if status != 2 || stdout != "" || !strings.HasPrefix(stderr, "Usage: demo-service health [URL]\n") {
			t.Errorf("%s: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	status, stdout, stderr := runFor(t, "-h")
	if status != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q; want 0 and nothing", status, stderr)
	}
	for _, want := range []string{"Usage: demo-service [flags]", "-incident", "-load"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout)
		}
	}
}

func TestTakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	for _, name := range []string{"-addr", "-admin", "-tls", "-echo"} {
		t.Run(name, func(t *testing.T) {
			wantOneLine(t, freePorts(name, addr), addr, "in use", strings.TrimPrefix(name, "-"))
		})
	}
}

func TestPortsNobodyAskedForGiveWay(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := settings{addr: "127.0.0.1:0", tlsAddr: taken.Addr().String(), echoAddr: taken.Addr().String(), anyTLS: true, anyEcho: true}
	svc, err := open(s, routes(&shop{}), log.Default())
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer svc.close(t.Context())
	for _, got := range []string{svc.load.https, svc.load.tcp} {
		if got == taken.Addr().String() || !strings.HasPrefix(got, "127.0.0.1:") {
			t.Errorf("listens on %s, want another port of 127.0.0.1", got)
		}
	}
}

func TestBadRules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my-rules.yaml")
	const rules = "groups:\n- name: g\n  rules:\n  - alert: A\n    metrics: http.server.request.duration\n    warn: {above: 1}\n"
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	wantOneLine(t, freePorts("-rules", file), file+":5:", "metrics")
	wantOneLine(t, freePorts("-rules", file+".missing"), file+".missing", "no such file")
}

// wantOneLine checks that a run says one line with all of the words and exits with 1.
func wantOneLine(t *testing.T, args []string, words ...string) {
	t.Helper()
	status, _, stderr := runFor(t, args...)
	if status != 1 {
		t.Errorf("exit status: got %d, want 1", status)
	}
	if n := strings.Count(stderr, "\n"); n != 1 || !strings.HasSuffix(stderr, "\n") || !strings.HasPrefix(stderr, "demo-service: ") {
		t.Errorf("stderr: got %q, want one line that begins with the program's name", stderr)
	}
	for _, word := range words {
		if !strings.Contains(stderr, word) {
			t.Errorf("stderr: got %q, want it to contain %q", stderr, word)
		}
	}
}

// screen collects what is printed and lets a test wait for it.
type screen struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// waitFor returns the text once ok says yes to it, and fails the test at the deadline.
func (s *screen) waitFor(t *testing.T, what string, within time.Duration, ok func(text string) bool) string {
	t.Helper()
	deadline := time.After(within)
	for {
		if text := s.String(); ok(text) {
			return text
		}
		select {
		case <-s.changed:
		case <-deadline:
			t.Fatalf("%s: not seen within %v in:\n%s", what, within, s.String())
		}
	}
}
