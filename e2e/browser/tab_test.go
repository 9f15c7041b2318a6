package browser

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// pageTimeout bounds everything that a test does in its tab.
const pageTimeout = 3 * time.Minute

// tab is a page in the browser, and what it did behind the scenes.
type tab struct {
	testing.TB
	ctx  context.Context
	open string // the page's origin

	mu     sync.Mutex
	wire   int      // bytes of answers, headers included
	asked  []string // addresses, in order
	faults []string // errors and warnings in the console, exceptions, foreign requests
}

// newTab opens an empty tab for the page at address. At the test's end, a fault that the page had fails the test.
func newTab(t testing.TB, address string) *tab {
	t.Helper()
	if chromiumErr != nil {
		t.Fatal(chromiumErr)
	}
	ctx, closeTab := chromedp.NewContext(chromium)
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	p := &tab{TB: t, ctx: ctx, open: u.Scheme + "://" + u.Host}
	t.Cleanup(func() {
		cancel()
		closeTab()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, f := range p.faults {
			t.Errorf("the page: %s", f)
		}
	})
	if err := chromedp.Listen(ctx, p.hear); err != nil { // it turns the events of network, console and log on
		t.Fatal(err)
	}
	p.do(call(network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}))
	return p
}

// hear notes what the browser tells of the tab. It runs on the browser's own goroutine and must not ask anything back.
func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.asked = append(p.asked, e.Request.URL)
		if !strings.HasPrefix(e.Request.URL, p.open+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			p.faults = append(p.faults, "a request left the origin: "+e.Request.URL)
		}
	case *network.EventLoadingFinished:
		p.wire += int(e.EncodedDataLength)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			p.faults = append(p.faults, fmt.Sprintf("console %s: %s", e.Type, e.Args[0].Value))
		}
	case *runtime.EventExceptionThrown:
		p.faults = append(p.faults, "exception: "+(&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			p.faults = append(p.faults, fmt.Sprintf("log %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	}
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.Fatal(err)
	}
}

// goTo opens a path of the page and waits until its stream runs and a snapshot has been drawn.
func (p *tab) goTo(path string) {
	p.Helper()
	p.do(chromedp.Navigate(p.open + path))
	p.until("the page is live", `["live", "paused"].includes(document.getElementById("live").dataset.state)
		&& document.querySelectorAll(".tile").length === 8`)
}

// part runs a subtest on the same tab: what goes wrong in it is the subtest's failure.
func (p *tab) part(t *testing.T, name string, test func()) {
	t.Run(name, func(sub *testing.T) {
		whole := p.TB
		defer func() { p.TB = whole }()
		p.TB = sub
		test()
	})
}

// until waits for a JavaScript expression to become true.
func (p *tab) until(what, expression string) {
	p.Helper()
	stack.Until(p.TB, 75*time.Second, what, func(context.Context) error {
		if ok := value[bool](p, "Boolean("+expression+")"); !ok {
			return fmt.Errorf("%s is not true", expression)
		}
		return nil
	})
}

// value evaluates a JavaScript expression.
func value[T any](p *tab, expression string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, awaited))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return v
}

// want fails the test unless the expression has the value.
func want[T comparable](p *tab, expression string, wanted T) {
	p.Helper()
	if got := value[T](p, expression); got != wanted {
		p.Errorf("%s: got %v, want %v", expression, got, wanted)
	}
}

// ink counts the pixels of colour on the canvas that a selector names: lines and areas, but neither grid nor text. It reads a copy,
// for reading the canvas itself again and again would make the browser warn.
func (p *tab) ink(selector string) int {
	p.Helper()
	return value[int](p, fmt.Sprintf(`(() => {
		const c = document.querySelector(%q), copy = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true });
		copy.drawImage(c, 0, 0);
		const d = copy.getImageData(0, 0, c.width, c.height).data;
		let n = 0;
		for (let i = 0; i < d.length; i += 4) if (d[i + 3] && Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]) > 60) n++;
		return n;
	})()`, selector))
}

// untilInk waits until the ink of a canvas is as wanted, and returns it: the page draws when the browser asks for a frame.
func (p *tab) untilInk(what, selector string, ok func(int) bool) (n int) {
	p.Helper()
	stack.Until(p.TB, 75*time.Second, what, func(context.Context) error {
		if n = p.ink(selector); !ok(n) {
			return fmt.Errorf("%s has %d pixels of colour", selector, n)
		}
		return nil
	})
	return n
}

// picture stores the whole page as e2e/artifacts/browser/NAME.png.
func (p *tab) picture(name string) {
	p.Helper()
	size := value[[]int64](p, "[innerWidth, innerHeight, document.documentElement.scrollHeight]")
	p.do(chromedp.EmulateViewport(size[0], size[2])) // charts that are not in view are not drawn
	value[bool](p, "new Promise((done) => setTimeout(() => requestAnimationFrame(() => done(true)), 300))")
	p.store(name, chromedp.CaptureScreenshot())
	p.do(chromedp.EmulateViewport(size[0], size[1]))
}

// view stores what of the page is in view.
func (p *tab) view(name string) {
	p.Helper()
	p.store(name, chromedp.CaptureScreenshot())
}

func (p *tab) store(name string, shot chromedp.Action[[]byte]) {
	p.Helper()
	png, err := chromedp.Run(p.ctx, shot)
	if err != nil {
		p.Fatal(err)
	}
	dir := filepath.Join(stack.Root(), "e2e", "artifacts", "browser")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.Fatal(err)
	}
}

// download clicks on the button that a JavaScript expression names, and reads the CSV file that the browser then puts into dir.
func (p *tab) download(dir, button string) (rows [][]string) {
	p.Helper()
	had, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil {
		p.Fatal(err)
	}
	p.run(button + ".click()")
	stack.Until(p.TB, 30*time.Second, "a file is saved", func(context.Context) error {
		files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
		if err != nil {
			return err
		}
		for _, name := range files {
			if slices.Contains(had, name) {
				continue
			}
			file, err := os.Open(name)
			if err != nil {
				return err
			}
			defer file.Close()
			rows, err = csv.NewReader(file).ReadAll()
			return err
		}
		return fmt.Errorf("%s holds %q", dir, files)
	})
	return rows
}

// weight is how many bytes have come over the wire so far, and for which addresses.
func (p *tab) weight() (int, []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wire, slices.Clone(p.asked)
}

// run evaluates JavaScript for what it does.
func (p *tab) run(script string) {
	p.Helper()
	value[any](p, script+"; 0")
}

// click waits for the element that a CSS selector names, scrolls to it and clicks, if nothing covers its middle.
func (p *tab) click(selector string) {
	p.Helper()
	p.clickOn(fmt.Sprintf("document.querySelector(%q)", selector))
}

// clickAtPath does so for the element that an XPath names.
func (p *tab) clickAtPath(path string) {
	p.Helper()
	p.clickOn(fmt.Sprintf("document.evaluate(%q, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE, null).singleNodeValue", path))
}

// clickOn looks and clicks in one step of the page. A mouse, which the browser moves to where the element was, would miss it when the page
// grows in between, as it does while the first rows and charts come.
func (p *tab) clickOn(element string) {
	p.Helper()
	stack.Until(p.TB, 75*time.Second, "click on "+element, func(context.Context) error {
		why := value[string](p, fmt.Sprintf(`(() => {
			const n = %s;
			if (!n) return "there is none";
			n.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
			const box = n.getBoundingClientRect(), top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
			if (!box.width || !n.contains(top)) return "in its place is " + top?.outerHTML.slice(0, 200);
			n.click();
			return "";
		})()`, element))
		if why != "" {
			return errors.New(why)
		}
		return nil
	})
}

func focus(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Focus(chromedp.CSS(selector))
}

// call makes an action of one of the browser's own commands.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// awaited waits for an expression that is a promise.
func awaited(p *runtime.EvaluateParams) {
	yes := true
	p.AwaitPromise = &yes
}

// clickAt presses and releases the mouse at a point of the window.
func clickAt(x, y float64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		return chromedp.Do(ctx,
			chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y),
			chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
			chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	})
}
