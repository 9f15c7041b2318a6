package admin_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/otelnet/agent/admin"
)

// pprofTop lets the real tool read a profile.
func pprofTop(t *testing.T, profile string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "profile")
	if err := os.WriteFile(name, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "tool", "pprof", "-top", name).CombinedOutput()
	if err != nil {
		t.Fatalf("go tool pprof: %v\n%s", err, out)
	}
	return string(out)
}

func TestProfilesAreReadByTheTool(t *testing.T) {
	s := start(t, admin.Config{})
	for path, want := range map[string]string{
		"/debug/pprof/heap?gc=1":           "Type: inuse_space",
		"/debug/pprof/allocs":              "Type: alloc_space",
		"/debug/pprof/goroutine":           "Type: goroutine",
		"/debug/pprof/threadcreate":        "Type: threadcreate",
		"/debug/pprof/block":               "Type: delay",
		"/debug/pprof/mutex":               "Type: delay",
		"/debug/pprof/profile?seconds=0.2": "Type: cpu",
	} {
		res := get(t, s, path)
		if res.StatusCode != 200 || !strings.Contains(res.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: got %d, %q", path, res.StatusCode, res.Header.Get("Content-Disposition"))
			continue
		}
		if out := pprofTop(t, res.body); !strings.Contains(out, want) {
			t.Errorf("%s: the tool says %q, want %s", path, out, want)
		}
	}
}

func TestProfileTexts(t *testing.T) {
	s := start(t, admin.Config{})
	if res := get(t, s, "/debug/pprof/goroutine?debug=1"); !strings.HasPrefix(res.body, "goroutine profile: total") {
		t.Errorf("goroutine?debug=1: got %.60q", res.body)
	}
	if res := get(t, s, "/debug/pprof/"); !strings.Contains(res.body, "goroutine") || !strings.Contains(res.body, "trace?seconds=") {
		t.Errorf("index: got %q", res.body)
	}
	if res := get(t, s, "/debug/pprof/nothing"); res.StatusCode != 404 || !strings.Contains(res.failure(t), "nothing") {
		t.Errorf("unknown profile: got %d %s", res.StatusCode, res.body)
	}
	if res := get(t, s, "/debug/pprof/cmdline"); res.body != strings.Join(os.Args, "\x00") {
		t.Errorf("cmdline: got %q, want %q", res.body, os.Args)
	}
	pc := reflect.ValueOf(TestProfileTexts).Pointer()
	want := fmt.Sprintf("num_symbols: 1\n%#x %s\n", pc, runtime.FuncForPC(pc).Name())
	if res := get(t, s, fmt.Sprintf("/debug/pprof/symbol?%#x+0x0", pc)); res.body != want {
		t.Errorf("symbol: got %q, want %q", res.body, want)
	}
	res := do(t, s, http.MethodPost, "/debug/pprof/symbol", func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(fmt.Sprintf("%#x", pc))), -1
	})
	if res.body != want {
		t.Errorf("symbol by POST: got %q, want %q", res.body, want)
	}
}

func TestTraceAndBusy(t *testing.T) {
	s := start(t, admin.Config{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"debug/pprof/trace?seconds=30", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 16)
	if _, err := io.ReadFull(res.Body, head); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(head), "go 1.") {
		t.Errorf("trace begins with %q, want go 1.…", head)
	}
	if second := get(t, s, "/debug/pprof/trace?seconds=0.1"); second.StatusCode != http.StatusConflict || !strings.Contains(second.failure(t), "already") {
		t.Errorf("a second trace: got %d %s, want 409", second.StatusCode, second.body)
	}
	res.Body.Close() // the client goes, and so the trace ends long before its 30 s
	var third answer
	await(t, 10*1e9, func() bool {
		third = get(t, s, "/debug/pprof/trace?seconds=0.05")
		return third.StatusCode == 200
	}, "the trace of a client that went away to end")
	if !strings.HasPrefix(third.body, "go 1.") {
		t.Errorf("trace begins with %.16q", third.body)
	}
}

// A host may serve http.DefaultServeMux to the world: importing this package must put nothing there.
func TestDefaultServeMuxStaysEmpty(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, pattern := http.DefaultServeMux.Handler(req); pattern != "" {
		t.Errorf("/debug/pprof/ is registered as %q", pattern)
	}
}
