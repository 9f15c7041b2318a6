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
	"slices"
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

func TestPageFilesAreServedWholeOnce(t *testing.T) {
	s := start(t, admin.Config{})
	total := 0
	for _, name := range pageFiles(t) {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		path := "/" + filepath.ToSlash(name)
		if filepath.Base(name) == "index.html" {
			path = "/"
		}
		zipped := do(t, s, http.MethodGet, path, gzipped)
		z, err := gzip.NewReader(strings.NewReader(zipped.body))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes after unpacking, %v; want the file's %d", path, len(got), err, len(want))
		}
		total += len(zipped.body)
		plain := do(t, s, http.MethodGet, path, func(r *http.Request) { r.Header.Set("Accept-Encoding", "identity") })
		if plain.body != string(want) || plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
			t.Errorf("%s plain: %d bytes with ETag %s, want %d and another than the gzipped one's", path, len(plain.body), plain.Header.Get("ETag"), len(want))
		}
		again := do(t, s, http.MethodGet, path, func(r *http.Request) {
			gzipped(r)
			r.Header.Set("If-None-Match", zipped.Header.Get("ETag"))
		})
		if again.StatusCode != http.StatusNotModified || again.body != "" {
			t.Errorf("%s again: got %d with %d bytes, want 304 with none", path, again.StatusCode, len(again.body))
		}
	}
	// The first load is this, headers, and about 12 kB of history: 45 kB in all.
	if total > 29_000 {
		t.Errorf("the page weighs %d bytes on the wire, want at most 29 kB", total)
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

// Each module is named for preloading, or it is found only after its importer has come.
func TestModulesArePreloaded(t *testing.T) {
	index, err := os.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile(`(?:href|src)="/(page/\w+\.js)"`).FindAllSubmatch(index, -1) {
		named = append(named, string(m[1]))
	}
	var have []string
	for _, name := range pageFiles(t) {
		if filepath.Ext(name) == ".js" {
			have = append(have, filepath.ToSlash(name))
		}
	}
	slices.Sort(named)
	if !slices.Equal(named, have) {
		t.Errorf("index.html names %v, the folder has %v", named, have)
	}
}

// TestScripts runs the page's arithmetic under node, where there is one: quantiles against Prometheus' rules, columns against gaps.
func TestScripts(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node in PATH")
	}
	// Node takes .js for an older kind of module unless a package.json beside it says otherwise.
	dir := t.TempDir()
	files := append(pageFiles(t), "testdata/page.test.mjs")
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "page.test.mjs")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
