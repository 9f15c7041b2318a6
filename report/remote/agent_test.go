package remote_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/report"
	"github.com/otelnet/agent/report/remote"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// answering is a server that answers everything with status and body, and remembers the last request.
func answering(t *testing.T, status int, body string) (url string, last *http.Request) {
	t.Helper()
	last = &http.Request{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last = *r
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL, last
}

func TestAgentAsksForTheReport(t *testing.T) {
	text, err := os.ReadFile("../testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	url, last := answering(t, 200, string(text))
	r, err := remote.Agent(t.Context(), remote.Options{URL: url, Token: "a secret", Header: http.Header{"X-Tenant": {"one"}}},
		report.Options{Range: time.Hour, Until: noon, Metrics: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := last.URL.String(); got != "/report?format=json&metric=a&metric=b&range=1h0m0s&until=2026-11-21T12%3A00%3A00Z" {
		t.Errorf("asked for %s", got)
	}
	if last.Header.Get("Authorization") != "Bearer a secret" || last.Header.Get("X-Tenant") != "one" {
		t.Errorf("sent %v", last.Header)
	}
	if got := r.Alerts[0].Captures[0].URL; got != url+"/api/captures/7/cpu.pprof" {
		t.Errorf("the link to a capture leads to %s, want it on the agent", got)
	}
	if r.Service != "checkout" || r.Source != "agent "+url {
		t.Errorf("got %q from %q", r.Service, r.Source)
	}
}

// Each way to be told nothing is one line that names the place.
func TestWrongPlaces(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	moved := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/elsewhere", http.StatusFound))
	defer moved.Close()
	huge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 70 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer huge.Close()
	place := func(status int, body string) string { u, _ := answering(t, status, body); return u }
	for _, tc := range []struct{ name, url, want string }{
		{"no scheme", "127.0.0.1:9090", `agent: "127.0.0.1:9090" is not an address: `},
		{"not http", "ftp://u:secret@host", `agent: "ftp://…@host" is not an address: want http://host:port or https://host:port`},
		{"nobody", "http://" + dead.Addr().String(), "agent http://" + dead.Addr().String() + ": dial tcp"},
		{"not found", place(404, "404 page not found"), ": 404 Not Found for report: is this the page of an agent?"},
		{"forbidden", place(403, "<html>"), ": 403 Forbidden for report: are the credentials right?"},
		{"told", place(401, `{"status":"error","error":"a token is needed"}`), ": 401 Unauthorized for report: a token is needed: are the credentials right?"},
		{"no JSON", place(200, "<html>hello</html>"), ": the answer for report is not a report: is this the page of an agent?"},
		{"other JSON", place(200, `{"status":"success"}`), ": not a report: it has no range"},
		{"short columns", place(200, `{"from":"2026-11-21T11:00:00Z","until":"2026-11-21T12:00:00Z","point":60,"rows":[{"points":{"avg":[1]}}]}`), ": not a report: row 1 has 1, 0 and 0 points, want 60"},
		{"silent", silent.URL, ": no answer for report within 200ms"},
		{"moved", moved.URL, ": it redirects to http://192.0.2.1/elsewhere, which is not followed"},
		{"huge", huge.URL, ": an answer has more than 64 MiB"},
	} {
		timeout := 10 * time.Second
		if tc.name == "silent" {
			timeout = 200 * time.Millisecond
		}
		_, err := remote.Agent(t.Context(), remote.Options{URL: tc.url, Timeout: timeout}, report.Options{})
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want one line with %q", tc.name, err, tc.want)
		}
	}
}

func TestCredentialsInTheAddress(t *testing.T) {
	url, last := answering(t, 503, "")
	_, err := remote.Agent(t.Context(), remote.Options{URL: strings.Replace(url, "://", "://me:pass%20word@", 1)}, report.Options{})
	if user, password, ok := last.BasicAuth(); !ok || user != "me" || password != "pass word" {
		t.Errorf("sent %q %q", user, password)
	}
	if err == nil || strings.Contains(err.Error(), "pass") || errors.Is(err, report.ErrNoSamples) {
		t.Errorf("got %v, want an error without the password", err)
	}
}
