package browser

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// load is how many requests a second the demo sends itself.
const load = 40

// firstLoad is how much the page, its data and all headers may weigh when the service has just begun. Five minutes of its history
// are 9 kB more, and then 45 kB are the limit.
const firstLoad = 36_000

func TestPageDrawsARealRun(t *testing.T) {
	demo := stack.StartDemo(t, stack.Dir(t), stack.DemoConfig{Args: []string{"-load", strconv.Itoa(load)}})
	p := newTab(t, demo.Admin)
	p.goTo("/")
	p.until("connections are listed", `document.querySelectorAll("#connections tbody tr").length > 3`)
	if bytes, asked := p.weight(); bytes < 20_000 || bytes > firstLoad {
		t.Errorf("the first load weighs %d bytes, want 20,000 to %d: %q", bytes, firstLoad, asked)
	} else {
		t.Logf("the first load weighs %d bytes", bytes)
	}

	p.part(t, "numbers", func() {
		const rate = `parseFloat(document.querySelectorAll(".tile .big")[1].textContent)`
		p.until("requests are counted", fmt.Sprintf("%s > %d && %s < %d", rate, load/2, rate, load*2))
		p.until("routes are listed", `[...document.querySelectorAll("#routes tbody tr")].some((r) => r.cells[0].textContent === "/api/data" && r.cells[5].textContent.endsWith("s"))`)
		p.until("there is something to draw", `performance.now() > 10000`)
		for _, canvas := range []string{".tile canvas", "#charts article:nth-of-type(1) canvas", "#charts article:nth-of-type(2) canvas", "#charts article:nth-of-type(3) canvas"} {
			if n := p.ink(canvas); n < 50 {
				p.Errorf("%s: %d pixels are drawn, want a chart", canvas, n)
			}
		}
		p.until("TCP panels are there", `["TCP round trip", "TLS handshakes", "Retransmits", "Accept queue"].every((title) =>
			[...document.querySelectorAll("#charts article")].some((a) => !a.hidden && a.querySelector("h2").textContent === title))`)
	})
	p.part(t, "sort", func() {
		p.clickAtPath(`//section[@id="connections"]//th/button[text()="id"]`)
		p.until("ids descend", `(() => { const ids = [...document.querySelectorAll("#connections tbody tr")].map((r) => Number(r.cells[0].textContent));
			return ids.length > 3 && ids.every((v, i) => i === 0 || v < ids[i - 1]); })()`)
		want(p, `document.querySelector("#connections th").getAttribute("aria-sort")`, "descending")
		p.clickAtPath(`//section[@id="connections"]//th/button[text()="id"]`)
		p.until("ids ascend", `(() => { const ids = [...document.querySelectorAll("#connections tbody tr")].map((r) => Number(r.cells[0].textContent));
			return ids.length > 3 && ids.every((v, i) => i === 0 || v > ids[i - 1]); })()`)
		want(p, `new URLSearchParams(location.search).get("sort")`, "id")
	})
	p.part(t, "filter", func() {
		before := value[int](p, `document.querySelectorAll("#connections tbody tr").length`)
		p.do(chromedp.SendKeys(chromedp.CSS(`#connections input[type=search]`), "/api/data"))
		p.until("rows match", `(() => { const rows = [...document.querySelectorAll("#connections tbody tr")];
			return rows.length > 0 && rows.length < `+strconv.Itoa(before)+` && rows.every((r) => r.textContent.includes("/api/data")); })()`)
		p.do(chromedp.SendKeys(chromedp.CSS(`#connections input[type=search]`), " nothing like it"))
		p.until("a word for no rows", `document.querySelector("#connections .note").textContent === "No connection matches."`)
	})
	p.part(t, "drawer", func() {
		p.goTo("/?sort=-requests&filter=http")
		p.until("connections are listed", `document.querySelector("#connections tbody tr button")`)
		p.do(focus("#connections tbody tr button"), chromedp.KeyEvent(kb.Enter))
		p.until("its numbers grow", `document.querySelector("#drawer dl dd").textContent !== "" && document.querySelector("#drawer article:nth-of-type(2) canvas").width > 100`)
		want(p, `/^\d+$/.test(new URLSearchParams(location.search).get("conn"))`, true)
		p.until("samples are drawn", `performance.now() > 8000`)
		p.until("requests are told", `/^[1-9].* failed$/.test([...document.querySelectorAll("#drawer dd")].find((d) => d.previousSibling.textContent === "Requests").textContent)`)
		// Single requests are listed as they end, newest first, sorted and in text alone.
		p.run(`window.listed = () => Number(/^Requests · (\d+) since/.exec(document.querySelector("#drawer .requests h2").textContent)?.[1] ?? 0)`)
		p.until("requests are listed", `listed() > 1 && document.querySelectorAll("#drawer .requests tbody tr").length > 1`)
		p.run(`window.before = listed()`)
		p.until("more of them come", `listed() > before`)
		want(p, `[...document.querySelectorAll("#drawer .requests tbody tr")].every((tr) => /^\d\d:\d\d:\d\d$/.test(tr.cells[0].textContent)
			&& /^(GET|POST|PUT|HEAD)/.test(tr.cells[1].textContent) && /^[2-5]\d\d/.test(tr.cells[2].textContent) && /[µm]?s$/.test(tr.cells[3].textContent))`, true)
		p.view("drawer")
		p.do(chromedp.KeyEvent(kb.Escape))
		p.until("it is closed", `document.getElementById("drawer").hidden && !location.search.includes("conn=")`)
		want(p, `document.activeElement.className`, "link")
	})
	p.part(t, "keys and help", func() {
		p.do(focus("#charts canvas"), chromedp.KeyEvent(kb.ArrowLeft))
		p.until("the crosshair is told", `/p99 [\d.]+ (µs|ms|s)/.test(document.querySelector("#charts canvas").getAttribute("aria-label"))`)
		p.click("#charts article .ask")
		want(p, `document.querySelector("#charts article .help code").textContent`, "http.server.request.duration")
		want(p, `document.querySelector("#charts article .help").hidden`, false)
		p.click("#charts article .ask")
		want(p, `[...document.querySelectorAll("#charts article")].filter((a) => !a.querySelector(".help code")?.textContent).length`, 0)
	})
	p.part(t, "one crosshair", func() {
		throughput := `[...document.querySelectorAll("#charts article")].find((a) => a.querySelector("h2").textContent === "Throughput").querySelector(".legend b").textContent`
		p.until("the other chart tells of now", throughput+` !== "–"`)
		p.do(focus("#charts canvas"), chromedp.KeyEvent(kb.Home))
		p.until("the other chart tells of the beginning, of which no rate is known", throughput+` === "–"`)
		p.do(chromedp.KeyEvent(kb.Escape))
		p.until("and of now again", throughput+` !== "–"`)
	})
	p.part(t, "pause", func() {
		p.goTo("/")
		p.run(`document.activeElement.blur(); window.told = () => [...document.querySelectorAll(".tile .big")].map((n) => n.textContent).join()`)
		p.do(chromedp.KeyEvent(" "))
		p.until("the clock stands", `document.getElementById("live").textContent.startsWith("paused at ")`)
		p.run(`window.before = told(); window.at = performance.now()`)
		p.until("three snapshots have come", `performance.now() > at + 3500`)
		want(p, `told() === before`, true)
		p.do(chromedp.SendKeys(chromedp.CSS(`#connections input[type=search]`), "echo"))
		p.until("the filter works all the same", `document.querySelectorAll("#connections tbody tr").length > 0 && [...document.querySelectorAll("#connections tbody tr")].every((r) => r.textContent.includes("echo"))`)
		p.run(`document.activeElement.blur()`)
		p.do(chromedp.KeyEvent(" "))
		p.until("it goes on", `document.getElementById("live").dataset.state === "live" && told() !== before`)
		p.goTo("/")
	})
	p.part(t, "legend", func() {
		const chart = "#charts section:first-child article:nth-of-type(1)"
		before := p.untilInk("the lines are drawn", chart+" canvas", func(n int) bool { return n > 100 })
		p.run(fmt.Sprintf(`document.querySelectorAll(%q).forEach((b) => b.click())`, chart+" .legend button"))
		p.until("all names are struck out", fmt.Sprintf(`document.querySelectorAll(%q).length === 4`, chart+" .legend [aria-pressed=false]"))
		p.untilInk("the lines are gone", chart+" canvas", func(n int) bool { return n <= before/10 })
		p.run(fmt.Sprintf(`document.querySelectorAll(%q).forEach((b) => b.click())`, chart+" .legend button"))
	})
	p.part(t, "groups", func() {
		p.clickAtPath(`//button[@class="group" and text()="TCP and TLS"]`)
		p.until("it is in the address", `new URLSearchParams(location.search).get("closed") === "sockets"`)
		p.goTo("/?closed=sockets")
		p.until("its charts stay away", `[...document.querySelectorAll("#charts section")].find((s) => s.ariaLabel === "TCP and TLS").lastChild.hidden`)
		want(p, `document.querySelector(".group").getAttribute("aria-expanded")`, "true")
		p.goTo("/")
	})
	p.part(t, "keys", func() {
		p.do(chromedp.KeyEvent("?"))
		p.until("the list of keys is open", `document.getElementById("keys").open`)
		p.do(chromedp.KeyEvent(kb.Escape))
		p.until("it is closed", `!document.getElementById("keys").open`)
		p.do(chromedp.KeyEvent("1"))
		p.until("one minute is in view", `location.search.includes("range=1")`)
		p.do(chromedp.KeyEvent("/"))
		p.until("the filter waits for text", `document.activeElement.type === "search"`)
		p.do(chromedp.KeyEvent("1"))
		want(p, `document.activeElement.value.endsWith("1")`, true)
		p.goTo("/")
	})
	p.part(t, "take along", func() {
		dir := p.TempDir()
		p.do(call(browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "allow", DownloadPath: dir}))
		p.until("connections are listed", `document.querySelectorAll("#connections tbody tr").length > 3`)
		p.until("requests are drawn", `/\d/.test(document.querySelector("#charts .legend b").textContent)`)
		chart := p.download(dir, `document.querySelector("#charts article:nth-of-type(1) .ask:nth-of-type(2)")`)
		if len(chart) < 3 || strings.Join(chart[0], " ") != "time p50 p90 p99 p99.9" {
			p.Errorf("the chart's CSV has %d rows, the first %q", len(chart), chart[0])
		}
		if at, err := time.Parse(time.RFC3339, chart[len(chart)-1][0]); err != nil || time.Since(at) > time.Minute {
			p.Errorf("its last time is %v, %v", at, err)
		}
		if p99, err := strconv.ParseFloat(chart[len(chart)-1][3], 64); err != nil || p99 <= 0 || p99 > 10 {
			p.Errorf("its last p99 is %v, %v; want seconds", p99, err)
		}
		table := p.download(dir, `document.querySelector("#connections .ask")`)
		if len(table) < 4 || strings.Join(table[0][:3], " ") != "id peer name" || table[1][1] == "" {
			p.Errorf("the table's CSV: %q", table)
		}
	})
	p.part(t, "select a stretch", func() {
		p.until("ten seconds of data", `performance.now() > 16000`)
		box := value[[]float64](p, `(() => { const r = document.querySelectorAll("#charts canvas")[2].getBoundingClientRect();
			window.scrollBy(0, r.top - 200); const b = document.querySelectorAll("#charts canvas")[2].getBoundingClientRect(); return [b.left, b.right, b.top + 60]; })()`)
		right := box[1] - 12
		p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, right-40, box[2], chromedp.ButtonLeft, chromedp.ClickCount(1)),
			chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, right-5, box[2], chromedp.ButtonLeft),
			chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, right-5, box[2], chromedp.ButtonLeft, chromedp.ClickCount(1)))
		p.until("it is in the address", `/from=\d{13}&to=\d{13}/.test(location.search)`)
		clock := regexp.MustCompile(`^\d\d:\d\d:\d\d to \d\d:\d\d:\d\d$`)
		p.until("it is told", `document.getElementById("live").textContent.includes(" to ")`)
		if got := value[string](p, `document.querySelector("#live b").textContent`); !clock.MatchString(got) {
			p.Errorf("the header says %q, want two times", got)
		}
		want(p, `document.querySelectorAll("#range [aria-checked=true]").length`, 0)
		p.run(`history.back()`)
		p.until("Back leads back to now", `document.getElementById("live").dataset.state === "live" && !location.search.includes("from=")`)
		p.run(`history.forward()`)
		p.until("and Forward to the stretch", `document.getElementById("live").dataset.state === "paused"`)
		p.click("#pause")
		p.until("it is live again", `document.getElementById("live").dataset.state === "live" && !location.search.includes("from=")`)
	})
	p.part(t, "light, dark and narrow", func() {
		p.goTo("/")
		p.until("connections are listed", `document.querySelectorAll("#connections tbody tr").length > 3`)
		p.picture("light")
		light := value[string](p, `getComputedStyle(document.documentElement).backgroundColor`)
		p.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		}))
		dark := value[string](p, `getComputedStyle(document.documentElement).backgroundColor`)
		if light != "rgb(244, 245, 248)" || dark != "rgb(13, 17, 23)" {
			p.Errorf("backgrounds: light %s, dark %s", light, dark)
		}
		p.until("the charts are dark", `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
		p.picture("dark")
		p.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateScale(2)))
		if w := value[int](p, `document.documentElement.scrollWidth`); w > 360 {
			p.Errorf("at 360 px the page is %d px wide", w)
		}
		p.picture("narrow")
	})
}

// The strip is watched by the page itself, so that no state between two looks is missed.
func TestAlertStripFollowsAnIncident(t *testing.T) {
	t.Parallel()
	rules := stack.Root() + "/e2e/browser/testdata/quick.yaml"
	demo := stack.StartDemo(t, stack.Dir(t), stack.DemoConfig{Args: []string{"-load", "40", "-incident", "now", "-rules", rules}})
	p := newTab(t, demo.Admin)
	p.goTo("/?range=1")
	// The table of rules never says otherwise than the strip: one update draws both.
	p.run(`window.seen = []; window.apart = []; {
		const states = (selector) => [...document.querySelectorAll(selector)].map((n) => n.textContent).filter((s) => s !== "resolved").sort().join();
		const strip = document.getElementById("alerts"), note = () => { for (const c of strip.querySelectorAll(".chip")) {
			const text = (c.querySelector(".state")?.textContent ?? "quiet") + " " + (c.querySelector("b")?.textContent ?? "");
			if (window.seen.at(-1) !== text) window.seen.push(text); }
			const told = states("#alerts .chip .state"), listed = states("#rules .badge:not(.inactive)");
			if (told !== listed && document.querySelector("#rules .badge")) window.apart.push(told + " but " + listed); };
		note(); new MutationObserver(note).observe(strip, { childList: true, subtree: true }); }`)
	p.until("it fires", `seen.includes("firing HighErrorRate")`)
	p.until("charts are drawn", `document.querySelectorAll("#rules .badge.firing").length === 1`)
	p.until("the tab's title tells", `document.title.startsWith("(1 firing) ")`)
	p.picture("firing")
	p.until("it resolves", `seen.includes("resolved HighErrorRate")`)
	want(p, `seen.filter((s) => !s.startsWith("quiet")).slice(0, 3).join()`, "pending HighErrorRate,firing HighErrorRate,resolved HighErrorRate")
	want(p, `apart.join("; ")`, "")
	p.picture("resolved")
	p.click("#alerts .chip .link")
	p.until("its time is in view", `(() => { const q = new URLSearchParams(location.search), span = (q.get("to") - q.get("from")) / 1000;
		return span > 5 && span < 120 && document.getElementById("live").dataset.state === "paused"; })()`)
}
