package browser

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// What an open page costs the service that it shows: processor time with the page open against the same without, by turns.
func TestOpenPageCostsTheServiceLittle(t *testing.T) {
	const turns, length, most = 3, 8 * time.Second, 0.01
	demo := stack.StartDemo(t, stack.Dir(t), stack.DemoConfig{Args: []string{"-load", "10"}})
	p := newTab(t, demo.Admin)
	p.goTo("/")
	p.until("connections are listed", `document.querySelectorAll("#connections tbody tr").length > 3`)
	share := func(path string) float64 {
		p.do(chromedp.Navigate(path))
		p.until("the page is live, or there is none", `(document.getElementById("live")?.dataset.state ?? "live") === "live"`)
		time.Sleep(time.Second) // the first load, and the end of the page before, are another matter
		before, began := processorTime(t, demo.PID()), time.Now()
		time.Sleep(length)
		spent := (processorTime(t, demo.PID()) - before).Seconds() / time.Since(began).Seconds()
		t.Logf("%s: %.2f %% of a core", path, spent*100)
		return spent
	}
	open, closed := 1.0, 1.0 // the least of each: what else the machine does only adds to it
	for range turns {
		closed = min(closed, share("about:blank"))
		open = min(open, share(p.open+"/"))
	}
	t.Logf("of a core: %.2f %% with the page open, %.2f %% without", open*100, closed*100)
	if open-closed > most {
		t.Errorf("the open page costs the service %.2f %% of a core, want at most %.0f %%", (open-closed)*100, most*100)
	}
}

// processorTime is what the kernel has counted for a process: fields utime and stime of /proc/PID/stat, in hundredths of a second.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // from the third on
	var sum time.Duration
	for _, f := range fields[11:13] {
		ticks, err := strconv.Atoi(string(f))
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}
