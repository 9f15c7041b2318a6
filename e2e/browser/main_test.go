package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

// chromium is the one browser of all tests; each opens a tab of its own. Nil, with the reason beside it, where it does not start.
var (
	chromium    context.Context
	chromiumErr error
)

func TestMain(m *testing.M) {
	code := run(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func run(m *testing.M) int {
	path, err := exec.LookPath("chromium")
	if err != nil {
		chromiumErr = fmt.Errorf("%w; it is in Debian's package of that name:\n\tapt-get install --no-install-recommends chromium", err)
		return m.Run()
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // Chromium refuses to run as root with its sandbox, as in containers
		chromedp.DisableGPU,
		chromedp.WindowSize(1400, 1000),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	browser, closeBrowser := chromedp.NewContext(allocator)
	defer closeBrowser()
	if err := chromedp.Do(browser); err != nil {
		chromiumErr = fmt.Errorf("start %s: %w", path, err)
	}
	chromium = browser
	code := m.Run()
	if err := chromedp.Cancel(browser); err != nil && chromiumErr == nil {
		fmt.Fprintln(os.Stderr, "close the browser:", err)
	}
	return code
}
