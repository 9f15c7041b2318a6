package browser

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/arl/statsviz"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// The page against the best-known one of its kind, both open for a minute, or as long as OTELNET_E2E_STATSVIZ says, at one
// update a second in the same browser. It takes two minutes and most of a core, so it runs only when it is asked for.
func TestScriptTimeAgainstStatsviz(t *testing.T) {
	text := os.Getenv("OTELNET_E2E_STATSVIZ")
	if text == "" {
		t.Skip("OTELNET_E2E_STATSVIZ is not set: give it a duration, such as 60s")
	}
	open, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	demo := stack.StartDemo(t, stack.Dir(t), stack.DemoConfig{Args: []string{"-load", "40"}})
	mux := http.NewServeMux()
	other, err := statsviz.NewServer(statsviz.SendFrequency(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	other.Register(mux)
	t.Cleanup(func() { other.Close() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(ln) //nolint:errcheck // ends with Close
	t.Cleanup(func() { server.Close() })

	ours := scriptTime(t, demo.Admin, "/", open)
	theirs := scriptTime(t, "http://"+ln.Addr().String(), "/debug/statsviz/", open)
	t.Logf("in %s at 1 Hz: %.2f s of script and %d bytes, statsviz %.2f s and %d bytes", open, ours.seconds, ours.bytes, theirs.seconds, theirs.bytes)
	if ours.seconds > theirs.seconds/10 {
		t.Errorf("%.2f s of script in %s, want at most a tenth of the %.2f s of statsviz", ours.seconds, open, theirs.seconds)
	}
}

type cost struct {
	seconds float64
	bytes   int
}

// scriptTime keeps a page open and asks the browser how long its scripts ran, and what had come over the wire after 5 s.
func scriptTime(t *testing.T, origin, path string, open time.Duration) cost {
	t.Helper()
	p := newTab(t, origin)
	p.do(call(performance.Enable, performance.EnableParams{}), chromedp.Navigate(origin+path))
	p.until("5 s have gone by", "performance.now() > 5000")
	var c cost
	c.bytes, _ = p.weight()
	p.until("the page was open for long enough", fmt.Sprintf("performance.now() > %d", open.Milliseconds()))
	metrics, err := chromedp.Run(p.ctx, func(ctx context.Context, target *chromedp.Target) (performance.GetMetricsResult, error) {
		return cdp.Call(ctx, target, performance.GetMetrics, cdp.Empty{})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics.Metrics {
		if m.Name == "ScriptDuration" {
			c.seconds = m.Value
		}
	}
	return c
}
