package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// A headless browser never hides a tab, so the page is told that it is hidden the way a browser tells it.
func TestHiddenTabHangsUpAndResumes(t *testing.T) {
	t.Parallel()
	demo := stack.StartDemo(t, stack.Dir(t), stack.DemoConfig{Args: []string{"-load", "10"}})
	p := newTab(t, demo.Admin)
	p.goTo("/")
	hide := func(hidden bool) {
		p.run(fmt.Sprintf(`Object.defineProperty(document, "hidden", { value: %t, configurable: true });
			document.dispatchEvent(new Event("visibilitychange"))`, hidden))
	}
	viewers := func(n int) func(context.Context) error {
		return func(ctx context.Context) error {
			body, err := stack.Get(ctx, demo.Client, demo.Admin+"/api/status")
			if err != nil {
				return err
			}
			var status struct{ Viewers int }
			if err := json.Unmarshal(body, &status); err != nil {
				return err
			}
			if status.Viewers != n {
				return fmt.Errorf("%d viewers, want %d", status.Viewers, n)
			}
			return nil
		}
	}
	stack.Until(t, 30*time.Second, "the page is counted", viewers(1))
	hide(true)
	stack.Until(t, 45*time.Second, "the hidden page hangs up", viewers(0))
	hide(false)
	stack.Until(t, 30*time.Second, "the page is back", viewers(1))
	p.until("it draws", `document.getElementById("live").dataset.state === "live" && parseFloat(document.querySelectorAll(".tile .big")[1].textContent) > 0`)
}
