package flame

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"
	"golang.org/x/net/html"
)

// hostile is what a name must not do: leave the string it stands in.
const hostile = `</script><script>parent.location="//x"</script><style>*{}</style>"'<img src=x onerror=alert(1)>`

// made is a CPU profile of stacks, outermost function first, with their nanoseconds, each with a route as its label.
func made(seconds int64, stacks map[string]int64) *profile.Profile {
	p := &profile.Profile{
		SampleType:    []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType:    &profile.ValueType{Type: "cpu", Unit: "nanoseconds"},
		Period:        10_000_000,
		DurationNanos: seconds * 1e9,
		TimeNanos:     1,
		Mapping:       []*profile.Mapping{{ID: 1, File: "/usr/bin/" + hostile, BuildID: "abc"}},
	}
	locations := make(map[string]*profile.Location)
	for stack, ns := range stacks {
		path, route, _ := strings.Cut(stack, " @ ")
		s := &profile.Sample{Value: []int64{ns / 10_000_000, ns}}
		if route != "" {
			s.Label = map[string][]string{"http.route": {route}}
		}
		for name := range strings.SplitSeq(path, " > ") {
			loc := locations[name]
			if loc == nil {
				f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name, SystemName: name, Filename: name + ".go"}
				loc = &profile.Location{ID: f.ID, Mapping: p.Mapping[0], Line: []profile.Line{{Function: f, Line: 1}}}
				p.Function = append(p.Function, f)
				p.Location = append(p.Location, loc)
				locations[name] = loc
			}
			s.Location = append([]*profile.Location{loc}, s.Location...)
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

func stacks() *profile.Profile {
	return made(5, map[string]int64{
		"main.main > net/http.serve > main.hash > runtime.memmove @ /a": 600_000_000, "main.main > net/http.serve > main.parse @ /b": 300_000_000,
		"main.main > main." + hostile + " @ " + hostile: 100_000_000,
	})
}

func render(t *testing.T, view string, p, base *profile.Profile, query url.Values) *Page {
	t.Helper()
	page, err := Render(t.Context(), view, p, base, query)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestViews(t *testing.T) {
	for _, view := range Views {
		page := render(t, view, stacks(), nil, url.Values{"f": {"hash"}, "si": {"cpu"}})
		body := string(page.HTML)
		if !strings.Contains(body, "hash") {
			t.Errorf("%s: the page lacks the function hash", view)
		}
		checkPolicy(t, view, page)
	}
}

// checkPolicy parses the page as a browser does: each script and style has the nonce, and no element can do anything without it.
func checkPolicy(t *testing.T, view string, page *Page) {
	t.Helper()
	m := regexp.MustCompile(`script-src 'nonce-(\w{20,})'; style-src 'nonce-(\w{20,})'`).FindStringSubmatch(page.Policy)
	if m == nil || m[1] != m[2] || !strings.Contains(page.Policy, "default-src 'none'") || !strings.HasSuffix(page.Policy, "; sandbox allow-scripts") ||
		strings.Contains(page.Policy, "unsafe") || strings.Contains(page.Policy, "allow-same-origin") {
		t.Fatalf("%s: policy %s", view, page.Policy)
	}
	doc, err := html.Parse(bytes.NewReader(page.HTML))
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		nonce := ""
		for _, a := range n.Attr {
			if a.Key == "nonce" {
				nonce = a.Val
			}
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || strings.HasPrefix(strings.ToLower(a.Val), "javascript:") {
				t.Errorf("%s: <%s %s=%q>", view, n.Data, a.Key, a.Val)
			}
		}
		switch n.Data {
		case "script", "style":
			scripts++
			if nonce != m[1] {
				t.Errorf("%s: a %s has the nonce %q, want %q", view, n.Data, nonce, m[1])
			}
		case "img", "iframe", "object", "embed", "form", "base", "meta":
			if n.Data != "meta" {
				t.Errorf("%s: has a <%s>", view, n.Data)
			}
		}
	}
	if scripts < 5 {
		t.Errorf("%s: %d scripts and styles, want at least five", view, scripts)
	}
}

func TestNoncesDiffer(t *testing.T) {
	a, b := render(t, "top", stacks(), nil, nil), render(t, "top", stacks(), nil, nil)
	if a.Policy == b.Policy {
		t.Errorf("two pages have the policy %s", a.Policy)
	}
}

func TestPageWithForeignScriptIsRefused(t *testing.T) {
	page := []byte("<style type=\"text/css\"></style><script>a</script><SCRIPT>b</SCRIPT></body>")
	if _, err := seal(page, tags{scripts: 1, styles: 1}); err == nil || !strings.Contains(err.Error(), "2 scripts") {
		t.Errorf("got %v, want that it has a script too many", err)
	}
	if _, err := seal([]byte("<style type=\"text/css\"></style><script>a</script></body>"), tags{scripts: 1, styles: 1}); err != nil {
		t.Error(err)
	}
}

func TestDifference(t *testing.T) {
	quiet := made(10, map[string]int64{"main.main > net/http.serve > main.hash": 400_000_000, "main.main > net/http.serve > main.idle": 200_000_000})
	p := made(5, map[string]int64{"main.main > net/http.serve > main.hash": 700_000_000})
	MatchTime(p, quiet)
	got, err := Describe(p, quiet, "")
	if err != nil {
		t.Fatal(err)
	}
	// In 5 s of quiet times hash takes 0.2 s and idle 0.1 s.
	want := []Function{
		{Func: "main.hash", File: "main.hash.go", Own: 500_000_000, Flat: 500_000_000, Cum: 500_000_000},
		{Func: "main.idle", File: "main.idle.go", Own: -100_000_000, Flat: -100_000_000, Cum: -100_000_000},
		{Func: "main.main", File: "main.main.go", Cum: 400_000_000},
		{Func: "net/http.serve", File: "net/http.serve.go", Cum: 400_000_000},
	}
	if diff := cmp.Diff(want, got.Top); diff != "" || got.Total != 400_000_000 || got.Whole != 300_000_000 {
		t.Errorf("total %d of %d (-want +got):\n%s", got.Total, got.Whole, diff)
	}
	page := render(t, "flamegraph", p, quiet, nil)
	if !strings.Contains(string(page.HTML), `"Value":-`) {
		t.Error("the flame graph has no negative value")
	}
	checkPolicy(t, "difference", page)
	heap := made(0, map[string]int64{"main": 100_000_000})
	MatchTime(heap, quiet)
	if quiet.Sample[0].Value[1]%100_000_000 != 0 {
		t.Errorf("a base was scaled for a profile without time: %d", quiet.Sample[0].Value[1])
	}
}

func TestDescribe(t *testing.T) {
	got, err := Describe(stacks(), nil, "samples")
	if err != nil {
		t.Fatal(err)
	}
	want := &Summary{
		SampleTypes: []Type{{"samples", "count"}, {"cpu", "nanoseconds"}}, SampleType: "samples", Unit: "count", Seconds: 5, Samples: 3,
		Total: 100, Whole: 100, Top: []Function{
			{"main.hash", "main.hash.go", 60, 0, 60},
			{"main.parse", "main.parse.go", 30, 30, 30},
			{"main." + hostile, "main." + hostile + ".go", 10, 10, 10},
			{"runtime.memmove", "runtime.memmove.go", 0, 60, 60},
			{"main.main", "main.main.go", 0, 0, 100},
			{"net/http.serve", "net/http.serve.go", 0, 0, 90},
		},
		Labels: []Choices{{"http.route", []string{"/a", "/b", hostile}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Describe(stacks(), nil, "bananas"); err == nil || !strings.Contains(err.Error(), "bananas") {
		t.Errorf("an unknown kind: got %v", err)
	}
	if _, err := Describe(stacks(), harmless(), "cpu"); err == nil {
		t.Error("a base without the kind: got no error")
	}
	recursive := made(1, map[string]int64{"f > f > f": 10_000_000})
	if got, _ := Describe(recursive, nil, "cpu"); got.Top[0].Cum != 10_000_000 {
		t.Errorf("a function that calls itself: got %+v, want its time once", got.Top[0])
	}
}

func TestLabel(t *testing.T) {
	p := stacks()
	Label{"http.route", hostile}.Keep(p)
	if got, _ := Describe(p, nil, "cpu"); len(p.Sample) != 1 || got.Total != 100_000_000 {
		t.Errorf("got %d samples with %d, want one with 0.1 s", len(p.Sample), got.Total)
	}
	Label{}.Keep(p)
	if len(p.Sample) != 1 {
		t.Error("no label: a sample went")
	}
	Label{"http.route", "/none"}.Keep(p)
	if page := render(t, "flamegraph", p, nil, nil); len(page.HTML) == 0 {
		t.Error("a profile without samples has no page")
	}
}

func TestParse(t *testing.T) {
	var own bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&own, 0); err != nil {
		t.Fatal(err)
	}
	p, err := Parse(bytes.NewReader(own.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Describe(p, nil, ""); err != nil || got.SampleType != "goroutine" || got.Total < 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, bad := range map[string][]byte{"nothing": nil, "text": []byte("no profile"), "cut short": own.Bytes()[:own.Len()/2], "gzip of nothing": {0x1f, 0x8b}} {
		if p, err := Parse(bytes.NewReader(bad)); err == nil || !strings.HasPrefix(err.Error(), "flame: ") {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
	}
	if _, err := Parse(bytes.NewReader(make([]byte, maxProfile+10))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("33 MB: got %v", err)
	}
}

func TestWrongParameters(t *testing.T) {
	for name, query := range map[string]url.Values{
		"unknown": {"source_path": {"/etc"}}, "twice": {"f": {"a", "b"}}, "long": {"f": {strings.Repeat("a", maxValue+1)}},
		"no regexp": {"f": {"("}}, "no number": {"n": {"x"}}, "no such kind": {"si": {"bananas"}},
	} {
		var wrong *ParameterError
		if page, err := Render(t.Context(), "flamegraph", stacks(), nil, query); !errors.As(err, &wrong) {
			t.Errorf("%s: got %v, %v; want a ParameterError", name, page, err)
		}
	}
	for _, view := range []string{"graph", "source", "disasm", "saveconfig", "", "/"} {
		if page, err := Render(t.Context(), view, stacks(), nil, nil); err == nil {
			t.Errorf("view %q: got %d bytes", view, len(page.HTML))
		}
	}
}

func TestOneAtATime(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			page, err := Render(t.Context(), Views[i%len(Views)], stacks(), nil, nil)
			if err != nil || len(page.HTML) < 1000 {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	turn <- struct{}{}
	defer func() { <-turn }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Render(ctx, "top", stacks(), nil, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
}

func TestWithoutHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("AppData", "")
	t.Setenv("home", "")
	if _, err := Render(t.Context(), "top", stacks(), nil, nil); err == nil || !strings.Contains(err.Error(), "settings") {
		t.Errorf("got %v, want that pprof needs a place for settings", err)
	}
}

// A panic in the driver is an error of the page, and the next page is made.
func TestDriverPanics(t *testing.T) {
	broken := stacks()
	broken.Sample[0].Location[0] = nil
	if _, err := Render(t.Context(), "top", broken, nil, nil); err == nil {
		t.Error("got no error")
	}
	render(t, "top", stacks(), nil, nil)
}

func FuzzParse(f *testing.F) {
	var seed bytes.Buffer
	if err := stacks().WriteUncompressed(&seed); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(bytes.NewReader(data))
		if err != nil {
			return
		}
		if _, err := Describe(p, nil, ""); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	many := make(map[string]int64)
	for i := range 2000 {
		many[fmt.Sprintf("main > serve > a%d > b%d > c%d", i%10, i%100, i)] = int64(i+1) * 10_000_000
	}
	for b.Loop() {
		if _, err := Render(b.Context(), "flamegraph", made(5, many), nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
