package browser

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/pprof/profile"
	"golang.org/x/exp/trace"

	agent "github.com/otelnet/agent"
	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/e2e/internal/stack"
	"github.com/otelnet/agent/otelnet"
)

// What the alert of the demo's incident leaves behind, looked at as a person would who follows the link in the strip.
func TestCaptureOfAnIncident(t *testing.T) {
	t.Parallel()
	dir := stack.Dir(t)
	demo := stack.StartDemo(t, dir, stack.DemoConfig{
		Args: []string{"-load", "40", "-incident", "now", "-rules", stack.Root() + "/e2e/browser/testdata/capture.yaml"},
		Env:  []string{"OTELNET_CAPTURE_DIR=" + filepath.Join(dir, "captures"), "OTELNET_FLIGHT_RECORDER=true"},
	})
	p := newTab(t, demo.Admin)
	p.goTo("/?range=1")
	p.until("the alert leads to its evidence", `document.querySelector("#alerts .chip a[href^='/captures/']")`)
	p.until("the list has it, done", `/HighErrorRate.* s.*cpu/.test(document.querySelector("#captures tbody tr")?.textContent)`)
	p.picture("capture-strip")
	// Its element stays while its value moves, else a press of the mouse before and its release after would be no click.
	p.run(`window.link = document.querySelector("#alerts .chip a"); window.told = document.getElementById("alerts").textContent;
		window.over = () => !document.querySelector("#alerts .chip.crit")`)
	p.until("the alert's value moves, or it is over", `document.getElementById("alerts").textContent !== told || over()`)
	want(p, `link.isConnected || over()`, true)
	p.click("#alerts .chip a[href^='/captures/']")
	p.until("the page of the capture", `document.querySelector("#profiles tbody tr") && location.pathname.startsWith("/captures/")`)
	want(p, `[...document.querySelectorAll("#files tbody tr")].map((r) => r.cells[0].textContent + " " + r.querySelector(".badge").textContent).join()`,
		"connections ok,metrics ok,trace ok,goroutine ok,heap ok,cpu ok,mutex ok")
	p.until("a flame graph is asked for", `document.querySelector("iframe.pprof").getAttribute("src").endsWith("/cpu.pb.gz/flamegraph")`)
	p.run(`document.getElementById("trace").scrollIntoView()`)
	p.until("the trace is summed up", `document.querySelectorAll("#causes tbody tr").length > 2 && document.querySelectorAll("#busiest tbody tr").length > 2`)
	p.until("the metrics are drawn", `[...document.querySelectorAll("#metrics .grid article:not([hidden]) canvas")].filter((c) => c.width > 300).length > 5`)
	p.until("the connections are listed", `document.querySelectorAll("#connections tbody tr").length > 3`)
	if n := p.ink("#metrics canvas"); n < 500 {
		p.Errorf("a chart has %d pixels, want a drawing", n)
	}
	p.picture("capture")

	p.part(t, "profiles", func() {
		p.run(`document.querySelector("#profiles [value=heap]").focus()`)
		p.click(`#profiles [value=heap]`)
		p.until("the heap's kinds of values", `document.querySelector("#profiles select[aria-label=Value]").value === "inuse_space"`)
		want(p, `new URLSearchParams(location.search).get("profile")`, "heap")
		p.do(focus(`#profiles [value=heap]`), chromedp.KeyEvent(kb.ArrowRight))
		p.until("the next one by key", `new URLSearchParams(location.search).get("profile") === "goroutine" && document.querySelector("#profiles .note").textContent.includes("goroutine")`)
	})
	p.part(t, "filter and sort connections", func() {
		p.do(chromedp.SendKeys(chromedp.CSS(`#connections input[type=search]`), "/api/data"))
		p.until("rows match", `(() => { const rows = [...document.querySelectorAll("#connections tbody tr")];
			return rows.length > 0 && rows.every((r) => r.textContent.includes("/api/data")); })()`)
		p.clickAtPath(`//section[@id="connections"]//th/button[text()="id"]`)
		want(p, `document.querySelector("#connections th").getAttribute("aria-sort")`, "descending")
	})
	p.part(t, "dark and narrow", func() {
		p.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		}))
		p.picture("capture-dark")
		p.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateScale(2)))
		if w := value[int](p, `document.documentElement.scrollWidth`); w > 360 {
			p.Errorf("at 360 px the page is %d px wide", w)
		}
		p.picture("capture-narrow")
		p.do(chromedp.EmulateViewport(1400, 1000))
	})
	files := p.open + "/api/captures/" + value[string](p, `location.pathname.split("/")[2]`) + "/"
	p.part(t, "files for Go's tools", func() {
		for _, name := range []string{"cpu", "heap", "goroutine", "mutex"} {
			path := filepath.Join(dir, name+".pb.gz")
			if err := os.WriteFile(path, fetch(p, files+name+".pb.gz"), 0o600); err != nil {
				p.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "go", "tool", "pprof", "-top", path).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Type: ") || name != "mutex" && !strings.Contains(string(out), "runtime.") {
				p.Errorf("go tool pprof -top %s: %v\n%.600s", name, err, out)
			}
		}
		r, err := trace.NewReader(strings.NewReader(string(fetch(p, files+"trace.out"))))
		if err != nil {
			p.Fatal(err)
		}
		events := 0
		for {
			_, err := r.ReadEvent()
			if err == io.EOF {
				break
			}
			if err != nil {
				p.Fatalf("after %d events: %v", events, err)
			}
			events++
		}
		if events < 1000 {
			p.Errorf("the trace has %d events, want those of some seconds of load", events)
		}
	})
	p.part(t, "capture now", func() {
		p.do(chromedp.Navigate(p.open + "/captures"))
		p.until("the list is there", `document.querySelector("tbody tr")`)
		p.until("none is being made", `!document.querySelector("button").disabled`)
		before := value[int](p, `document.querySelectorAll("tbody tr").length`)
		p.click("main button")
		p.until("one is being made", fmt.Sprintf(`document.querySelectorAll("tbody tr").length === %d && document.querySelector("button").disabled`, before+1))
		p.until("it is done", `/asked for.* s.*cpu/.test(document.querySelector("tbody tr").textContent)`)
		p.view("captures")
		p.click("tbody tr a")
		p.until("its page", `document.querySelectorAll("#profiles select[aria-label='Compare with'] option").length > 1`)
		p.run(`{ const s = document.querySelector("#profiles select[aria-label='Compare with']"); s.value = s.options[1].value; s.dispatchEvent(new Event("change")); }`)
		p.until("it is compared with the first", `/(more|less) in .* than the /.test(document.querySelector("#profiles .note").textContent)`)
		want(p, `/\/flamegraph\?.*base=/.test(document.querySelector("iframe.pprof").getAttribute("src"))`, true)
		p.picture("capture-difference")
	})
}

// The pages of pprof: drawn in their frame, its links followed, and names that strangers chose shown letter by letter.
func TestHostileNamesInFlameGraphs(t *testing.T) {
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	dir := t.TempDir()
	a, err := agent.Start(t.Context(), agent.WithServiceName(markup), agent.WithAdminAddr("127.0.0.1:0"), agent.WithoutGlobals(),
		agent.WithCaptureDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, a.Shutdown)
	handler := httptest.NewServer(otelnet.NewHandler(http.NotFoundHandler(), markup, otelnet.WithMeterProvider(a.MeterProvider())))
	defer handler.Close()

	p := newTab(t, strings.TrimSuffix(a.AdminURL(), "/"))
	res, err := http.Post(p.open+"/api/captures?kinds=cpu,goroutine&note="+strings.ReplaceAll(markup, " ", "+"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	id := strings.TrimPrefix(res.Header.Get("Location"), "/api/captures/")
	if res.StatusCode != http.StatusAccepted || id == "" {
		t.Fatalf("POST /api/captures: %s", res.Status)
	}
	stack.Until(t, 30*time.Second, "the capture to be done", func(context.Context) error {
		body := fetch(p, p.open+"/api/captures/"+id)
		if !strings.Contains(string(body), `"state":"done"`) {
			return fmt.Errorf("%.200s", body)
		}
		return nil
	})
	plant(t, filepath.Join(dir, id, string(capture.CPU.File())))

	p.do(chromedp.Navigate(p.open + "/captures/" + id))
	p.until("the functions are listed", `document.querySelectorAll("#profiles tbody tr").length >= 3`)
	want(p, `[...document.querySelectorAll("#profiles tbody code")].some((c) => c.textContent === `+"`main."+markup+"`"+`)`, true)
	p.picture("flame")

	// pprof's menu stands in the frame; where its links lead is decided outside. The browser learns where a frame of another origin
	// lies when it draws, and nothing tells the test: so it clicks until it has met.
	stack.Until(p.TB, time.Minute, "the link of pprof's menu to be followed", func(context.Context) error {
		box := value[[]float64](p, `(() => { const f = document.querySelector("iframe.pprof"); f.scrollIntoView(); const r = f.getBoundingClientRect(); return [r.left, r.top]; })()`)
		p.do(clickAt(box[0]+40, box[1]+22))
		p.view("flame-menu")
		p.do(clickAt(box[0]+40, box[1]+60))
		if src := value[string](p, `document.querySelector("iframe.pprof").getAttribute("src")`); !strings.Contains(src, "/cpu.pb.gz/top") {
			return fmt.Errorf("the frame shows %s", src)
		}
		return nil
	})
	want(p, `document.querySelector("#profiles [value=top]").getAttribute("aria-checked")`, "true")
	p.view("flame-table")

	// The label that the samples carry.
	p.run(`{ const s = document.querySelector("#profiles select[aria-label='Only samples of']"); s.value = [...s.options].find((o) => o.value.includes("<img")).value; s.dispatchEvent(new Event("change")); }`)
	p.until("only samples of the route", `document.querySelector("#profiles .note").textContent.startsWith("cpu: 300 ms")`)

	// Alone, where its document can be asked: everything is drawn, and nothing ran.
	alone := newTab(t, p.open)
	alone.do(chromedp.Navigate(p.open + "/api/captures/" + id + "/cpu.pb.gz/flamegraph"))
	alone.until("the flame graph is drawn", `document.querySelectorAll("#stack-chart .boxbg").length >= 4`)
	want(alone, `[...document.querySelectorAll("#stack-chart .boxtext")].some((b) => b.textContent.includes("<img"))`, true)
	want(alone, `document.images.length`, 0)
	want(alone, `document.title.includes("broken")`, false)
	want(alone, `origin`, "null")
	want(alone, `fetch("/api/status").then(() => "answered", () => "refused")`, "refused")
	alone.mu.Lock()
	alone.faults = nil // the browser logs what it just refused
	alone.mu.Unlock()
	want(p, `document.images.length`, 0)
}

// plant puts a CPU profile in place of a captured one, with names and labels of a stranger's choice.
func plant(t *testing.T, path string) {
	t.Helper()
	names := []string{"main.main", "net/http.(*conn).serve", "main." + markup, "main.hash"}
	prof := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1e7, DurationNanos: 5e9,
	}
	for i, name := range names {
		f := &profile.Function{ID: uint64(i + 1), Name: name, Filename: markup}
		prof.Function = append(prof.Function, f)
		prof.Location = append(prof.Location, &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f, Line: 1}}})
	}
	at := func(is ...int) (path []*profile.Location) {
		for _, i := range is {
			path = append(path, prof.Location[i])
		}
		return path
	}
	prof.Sample = []*profile.Sample{
		{Location: at(2, 1, 0), Value: []int64{30, 3e8}, Label: map[string][]string{"http.route": {markup}}},
		{Location: at(3, 2, 1, 0), Value: []int64{60, 6e8}, Label: map[string][]string{"http.route": {"/other"}}},
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := prof.Write(f); err != nil {
		t.Fatal(err)
	}
}

func fetch(tb testing.TB, url string) []byte {
	tb.Helper()
	body, err := stack.Get(context.Background(), http.DefaultClient, url)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}
