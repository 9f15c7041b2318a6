package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

var pageURL = regexp.MustCompile(`page +(http://\S+)`)

// The whole story in a few seconds: calm, incident, alerts that go pending, fire and resolve, and an orderly end.
func TestIncidentIsSeenFromBeginningToEnd(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, errs := newScreen(), newScreen()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, freePorts("-rules", "testdata/quick.yaml", "-load", "40"), out, errs, quick)
	}()

	text := out.waitFor(t, "the page's URL", 30*time.Second, pageURL.MatchString)
	page := pageURL.FindStringSubmatch(text)[1]
	text = out.waitFor(t, "the alerts' story", 60*time.Second, func(text string) bool {
		return strings.Contains(text, "incident ends") &&
			inOrder(story(text, "HighErrorRate"), "pending", "firing", "resolved") &&
			inOrder(story(text, "HighLatency"), "pending", "firing", "resolved")
	})
	// Latency depends on how busy the machine is; errors do not.
	if calm, _, _ := strings.Cut(text, "incident begins"); len(story(calm, "HighErrorRate")) > 0 {
		t.Errorf("errors were seen before the incident:\n%s", text)
	}
	for _, path := range []string{"", "api/v1/alerts", "api/connections?limit=5"} {
		if status := statusOf(t, page+path); status != http.StatusOK {
			t.Errorf("GET %s%s: got status %d, want 200", page, path, status)
		}
	}

	interrupt()
	select {
	case status := <-done:
		if status != 0 {
			t.Errorf("exit status: got %d, want 0; stderr: %s", status, errs)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the program did not end within 30 s of the interrupt")
	}
	if got := errs.String(); got != "" {
		t.Errorf("stderr: got %q, want nothing", got)
	}
}

// inOrder says whether words has all of want in their order; others may stand between them.
func inOrder(words []string, want ...string) bool {
	for _, w := range words {
		if len(want) > 0 && w == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// story returns the words of an alert's lines.
func story(text, alert string) []string {
	var words []string
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == alert {
			words = append(words, f[2])
		}
	}
	return words
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Errorf("GET %s: %v", url, err)
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestEndsAfterFor(t *testing.T) {
	begin := time.Now()
	status, stdout, stderr := runFor(t, freePorts("-for", "300ms", "-load", "0", "-incident", "off")...)
	if took := time.Since(begin); took < 300*time.Millisecond || took > 25*time.Second {
		t.Errorf("ended after %v, want a little more than 300ms", took)
	}
	if status != 0 || stderr != "" {
		t.Errorf("got exit status %d and stderr %q, want 0 and nothing", status, stderr)
	}
	for _, want := range []string{"/api/data", "It waits for your requests.", "0 jobs done by the load"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout: got %q, want it to contain %q", stdout, want)
		}
	}
	if strings.Contains(stdout, "incident") {
		t.Errorf("stdout speaks of an incident with -incident off: %q", stdout)
	}
}

func TestInterruptBeforeTheStartIsAnOrderlyEnd(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	out, errs := newScreen(), newScreen()
	if status := run(ctx, freePorts(), out, errs, quick); status != 0 || errs.String() != "" {
		t.Errorf("got exit status %d and stderr %q, want 0 and nothing", status, errs)
	}
}

func TestJSONLogIsJSONThroughout(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, errs := newScreen(), newScreen()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, freePorts("-load", "20", "-incident", "now", "-log", "json"), out, errs, quick)
	}()
	out.waitFor(t, "the incident", 30*time.Second, func(text string) bool { return strings.Contains(text, "incident begins") })
	interrupt()
	if status := <-done; status != 0 {
		t.Errorf("exit status: got %d, want 0; stderr: %s", status, errs)
	}
	var messages []string
	lines := bufio.NewScanner(bytes.NewBufferString(out.String()))
	for lines.Scan() {
		var record struct {
			Msg  string
			HTTP string
		}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			t.Errorf("line %q: %v", lines.Text(), err)
		}
		messages = append(messages, record.Msg)
	}
	if len(messages) < 3 || messages[0] != "demo-service started" || !strings.HasPrefix(messages[1], "incident begins") {
		t.Errorf("got the records %q, want the start, the incident and the end", messages)
	}
}
