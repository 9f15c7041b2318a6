package admin_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/otelnet/agent/admin"
)

func pageFiles(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("page/*")
	if err != nil || len(names) < 10 {
		t.Fatalf("page/*: %d files, %v", len(names), err)
	}
	return names
}

func gzipped(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }

// path is where the server has a file of the page.
func path(name string) string {
	if filepath.Base(name) == "index.html" {
		return "/"
	}
	return "/" + filepath.ToSlash(name)
}

func TestPageFilesAreServed(t *testing.T) {
	s := start(t, admin.Config{})
	for _, name := range pageFiles(t) {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		plain := do(t, s, http.MethodGet, path(name), func(r *http.Request) { r.Header.Set("Accept-Encoding", "identity") })
		if got, want := strings.Count(plain.body, "\n"), bytes.Count(source, []byte("\n")); got != want {
			t.Errorf("%s: %d lines, want %d, so that a debugger names the source's", name, got, want)
		}
		zipped := do(t, s, http.MethodGet, path(name), gzipped)
		z, err := gzip.NewReader(strings.NewReader(zipped.body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != plain.body {
			t.Errorf("%s: unpacked it differs from the plain answer, %v", name, err)
		}
		if plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
			t.Errorf("%s: plain and gzipped share the ETag %s", name, plain.Header.Get("ETag"))
		}
		again := do(t, s, http.MethodGet, path(name), func(r *http.Request) {
			gzipped(r)
			r.Header.Set("If-None-Match", zipped.Header.Get("ETag"))
		})
		if again.StatusCode != http.StatusNotModified || again.body != "" {
			t.Errorf("%s again: got %d with %d bytes, want 304 with none", name, again.StatusCode, len(again.body))
		}
	}
	weigh := func(names ...string) (total int) {
		for _, name := range names {
			total += len(do(t, s, http.MethodGet, name, gzipped).body)
		}
		return total
	}
	// The first load is these, their headers, and the history: 45 kB in all, which a test in a browser counts.
	total := weigh("/", "/page/app.css", "/page/icon.svg", "/page/page.js")
	t.Logf("the page of a capture weighs %d bytes more", weigh("/captures/x", "/page/capture.css", "/page/capturepage.js"))
	t.Logf("the page weighs %d bytes on the wire", total)
	if total > 28_000 {
		t.Errorf("the page weighs %d bytes on the wire, want at most 28 kB", total)
	}
}

// The policy forbids inline script and style, so the page must not have any; and what strangers send must stay text.
func TestPageKeepsToItsPolicy(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script>|<style|\son[a-z]+=|\sstyle=|javascript:|https?://`)
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|setAttribute\("style"`)
	for _, name := range pageFiles(t) {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := inline.FindString(string(body)); found != "" && filepath.Ext(name) == ".html" {
			t.Errorf("%s: %q", name, found)
		}
		if found := markup.FindString(string(body)); found != "" {
			t.Errorf("%s: %q", name, found)
		}
	}
}

// Each document loads one script, in which a module stands once at most and after those that it needs.
func TestScriptHoldsEachModuleOnce(t *testing.T) {
	s := start(t, admin.Config{})
	scripts := map[string]string{"/": "page.js", "/captures": "capturepage.js", "/captures/any": "capturepage.js"}
	held := make(map[string]bool)
	for document, name := range scripts {
		script := get(t, s, "/page/"+name).body
		for _, file := range pageFiles(t) {
			module, ok := strings.CutSuffix(filepath.Base(file), ".js")
			if n := strings.Count(script, "const $"+module+" = (() => {\n"); ok && n > 1 {
				t.Errorf("module %s stands %d times in %s, want once", module, n, name)
			} else if n == 1 {
				held[module] = true
			}
		}
		begun := make(map[string]bool)
		for _, m := range regexp.MustCompile(`(?m)^const (?:\{[^}]*\} = \$(\w+);|\$(\w+) = \(\(\) => \{)$`).FindAllStringSubmatch(script, -1) {
			if m[2] != "" {
				begun[m[2]] = true
			} else if !begun[m[1]] {
				t.Errorf("%s: module %s is used before it stands", name, m[1])
			}
		}
		if left := regexp.MustCompile(`(?m)^(?:import|export) .*`).FindString(script); left != "" {
			t.Errorf("%s: left over: %s", name, left)
		}
		if body := get(t, s, document).body; strings.Count(body, "<script") != 1 || !strings.Contains(body, `src="/page/`+name+`"`) {
			t.Errorf("%s loads other scripts than %s:\n%s", document, name, body)
		}
	}
	for _, file := range pageFiles(t) {
		if module, ok := strings.CutSuffix(filepath.Base(file), ".js"); ok && !held[module] {
			t.Errorf("module %s is in no script", module)
		}
	}
}

// TestScripts runs the page's arithmetic under node, where there is one: quantiles against Prometheus' rules, columns against gaps.
func TestScripts(t *testing.T) {
	node, err := exec.LookPath("node")
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal("no node in PATH: apt-get install nodejs")
	default:
		t.Skip("no node in PATH, and the browser tests of e2e see the page anyway")
	}
	s := start(t, admin.Config{})
	dir := t.TempDir()
	write := func(name, body string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range pageFiles(t) {
		write(name, get(t, s, path(name)).body) // as served, not as written
	}
	test, err := os.ReadFile("testdata/page.test.mjs")
	if err != nil {
		t.Fatal(err)
	}
	write("page.test.mjs", string(test))
	// Node takes .js for an older kind of module unless a package.json beside it says otherwise.
	write("package.json", `{"type":"module"}`)
	for _, name := range []string{"page.js", "capturepage.js"} {
		write(name, get(t, s, "/page/"+name).body)
		cmd := exec.CommandContext(t.Context(), node, "--check", name)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s as it is joined: %v\n%s", name, err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), node, "page.test.mjs")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
