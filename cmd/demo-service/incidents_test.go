package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/exp/trace"

	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/otelnet"
)

// evidence is the directory of a capture.
type evidence struct {
	dir  string
	echo string // the echo server's address
}

// Each incident has the alert fire that fits it, and the capture that the alert links to names what is to blame.
func TestIncidentsLeaveEvidence(t *testing.T) {
	for _, tt := range []struct {
		incident, alert string
		check           func(*testing.T, evidence)
	}{
		{"cache", "HighErrorRate", func(t *testing.T, e evidence) {
			e.blames(t, e.waits(t), "(*database).lookupWithoutCache", "wait")
			e.blames(t, e.profile(t, capture.Goroutine), "(*database).lookupWithoutCache", "wait")
		}},
		{"mutex", "HighLatency", func(t *testing.T, e evidence) {
			e.blames(t, e.profile(t, capture.Mutex), "(*stock).reserve")
			e.blames(t, e.waits(t), "(*stock).reserve")
		}},
		{"hotloop", "BusyProcessor", func(t *testing.T, e evidence) {
			e.blames(t, e.profile(t, capture.CPU), "rankNaively")
			if route := e.busiestRoute(t); route != "/api/users" {
				t.Errorf("the busiest route is %q, want /api/users", route)
			}
		}},
		{"leak", "ManyGoroutines", func(t *testing.T, e evidence) {
			e.blames(t, e.profile(t, capture.Goroutine), "deliverAudit")
		}},
		{"heap", "LargeHeap", func(t *testing.T, e evidence) {
			e.blames(t, e.profile(t, capture.Heap), "copyAnswer")
		}},
		{"downstream", "SlowDownstream", func(t *testing.T, e evidence) {
			e.blames(t, e.waits(t), "(*warehouse).ask")
			top := e.connections(t)[:8]
			if !slices.ContainsFunc(top, func(c otelnet.ConnInfo) bool {
				return c.Name == "warehouse" && c.Side == otelnet.SideClient && c.State == "active"
			}) {
				t.Errorf("none of the longest silent connections goes to the warehouse: %+v", top)
			}
		}},
		{"backlog", "AcceptQueue", func(t *testing.T, e evidence) {
			if n := e.profile(t, capture.Goroutine)["(*echoServer).admit"]; n != 1 {
				t.Errorf("%d goroutines wait to accept, want the one of the echo server", n)
			}
			waiting := 0
			for _, row := range e.connections(t)[:20] {
				if row.Side == otelnet.SideClient && row.Peer == e.echo {
					waiting++
				}
			}
			if waiting < 10 {
				t.Errorf("of the 20 connections at the top %d wait for the echo server, want most", waiting)
			}
		}},
	} {
		t.Run(tt.incident, func(t *testing.T) {
			if tt.incident == "backlog" && runtime.GOOS != "linux" {
				t.Skip("only Linux tells the length of the accept queue")
			}
			tt.check(t, stageIncident(t, tt.incident, tt.alert))
		})
	}
}

var (
	evidenceLine = regexp.MustCompile(`(?m)^\S+ +(\S+) +evidence +(\S+)$`)
	echoLine     = regexp.MustCompile(`echo +(\S+) over`)
)

// stageIncident runs the demo until the alert's capture is done.
func stageIncident(t *testing.T, incident, alert string) evidence {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	dir, rules := t.TempDir(), rulesFor(t, alert)
	out, errs := newScreen(), newScreen()
	done := make(chan int, 1)
	timing := timing{incidentAfter: time.Second, incidentFor: time.Minute, tick: 100 * time.Millisecond, profile: 1500 * time.Millisecond}
	go func() {
		done <- run(ctx, freePorts("-rules", rules, "-load", "40", "-incident", incident, "-captures", dir), out, errs, timing)
	}()
	var id string
	text := out.waitFor(t, "the evidence of "+alert, 2*time.Minute, func(text string) bool {
		for _, m := range evidenceLine.FindAllStringSubmatch(text, -1) {
			if m[1] == alert {
				id = path.Base(m[2])
			}
		}
		return id != ""
	})
	e := evidence{dir: filepath.Join(dir, id), echo: echoLine.FindStringSubmatch(text)[1]}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var m capture.Manifest
		if body, err := os.ReadFile(filepath.Join(e.dir, capture.ManifestFile)); err == nil && json.Unmarshal(body, &m) == nil && m.State == capture.StateDone {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the capture %s is not done", id)
		}
	}
	interrupt()
	if status := <-done; status != 0 {
		t.Errorf("exit status %d, want 0; stderr: %s", status, errs)
	}
	if words := story(out.String(), alert); !inOrder(words, "pending", "firing", "evidence") {
		t.Errorf("%s went %q, want pending, firing, evidence", alert, words)
	}
	if calm, _, _ := strings.Cut(out.String(), "incident begins"); slices.Contains(story(calm, alert), "firing") {
		t.Errorf("%s fired before the incident:\n%s", alert, out)
	}
	return e
}

// rulesFor writes the rules with one alert alone asking for evidence. On a busy machine others fire too, and the few captures of an
// hour would be theirs.
func rulesFor(t *testing.T, alert string) (file string) {
	t.Helper()
	text, err := os.ReadFile("testdata/incidents.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules := strings.SplitAfter(string(text), "  - alert: ")
	for i, rule := range rules[1:] {
		if name, _, _ := strings.Cut(rule, "\n"); name != alert {
			rules[i+1] = regexp.MustCompile(`(?m)^    capture: .*\n`).ReplaceAllString(rule, "")
		}
	}
	file = filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(rules, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (e evidence) read(t *testing.T, k capture.Kind) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join(e.dir, k.File()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(k.File(), ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// ours is a function of the demo, without the package's path.
func ours(name string) (string, bool) {
	if name, ok := strings.CutPrefix(name, "github.com/otelnet/agent/cmd/demo-service."); ok {
		name, _, _ = strings.Cut(name, ".deferwrap") // as the race detector has deferred calls
		return name, true
	}
	return "", false
}

// profile adds up a profile by the innermost function of the demo, which is what somebody would look for in it.
func (e evidence) profile(t *testing.T, k capture.Kind) map[string]int64 {
	t.Helper()
	sums := map[string]int64{}
	for _, s := range e.samples(t, k) {
		if name := innermost(s); name != "" {
			sums[name] += s.Value[len(s.Value)-1]
		}
	}
	return sums
}

func (e evidence) samples(t *testing.T, k capture.Kind) []*profile.Sample {
	t.Helper()
	p, err := profile.ParseData(e.read(t, k))
	if err != nil {
		t.Fatal(err)
	}
	return p.Sample
}

func innermost(s *profile.Sample) string {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if name, ok := ours(line.Function.Name); ok {
				return name
			}
		}
	}
	return ""
}

// busiestRoute is the http.route that most CPU time went to.
func (e evidence) busiestRoute(t *testing.T) (route string) {
	sums := map[string]int64{}
	for _, s := range e.samples(t, capture.CPU) {
		for _, r := range s.Label["http.route"] {
			if sums[r] += s.Value[1]; sums[r] >= sums[route] {
				route = r
			}
		}
	}
	return route
}

// waits adds up how long requests waited, by the innermost function of the demo that they waited in, from the trace.
func (e evidence) waits(t *testing.T) map[string]int64 {
	t.Helper()
	r, err := trace.NewReader(strings.NewReader(string(e.read(t, capture.Trace))))
	if err != nil {
		t.Fatal(err)
	}
	type waiting struct {
		in    string
		since trace.Time
	}
	now, sums := map[trace.GoID]waiting{}, map[string]int64{}
	var last trace.Time
	for {
		ev, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = ev.Time()
		if ev.Kind() != trace.EventStateTransition {
			continue
		}
		st := ev.StateTransition()
		if st.Resource.Kind != trace.ResourceGoroutine {
			continue
		}
		id := st.Resource.Goroutine()
		if w, ok := now[id]; ok {
			sums[w.in] += int64(last - w.since)
			delete(now, id)
		}
		if _, to := st.Goroutine(); to == trace.GoWaiting {
			in, serving := "", false
			for f := range st.Stack.Frames() {
				if name, ok := ours(f.Func); ok && in == "" {
					in = name
				}
				serving = serving || f.Func == "net/http.HandlerFunc.ServeHTTP"
			}
			if in != "" && serving {
				now[id] = waiting{in, last}
			}
		}
	}
	for _, w := range now {
		sums[w.in] += int64(last - w.since)
	}
	return sums
}

// blames checks that one of the names is among the three that most is due to. The demo's own load, which waits for its
// answers, is not looked at.
func (e evidence) blames(t *testing.T, sums map[string]int64, names ...string) {
	t.Helper()
	for name := range sums {
		for _, load := range []string{"(*generator)", "exchange", "(*clients)", "get.", "crowd", "(*service)", "(*httpServer)"} {
			if strings.HasPrefix(name, load) {
				delete(sums, name)
			}
		}
	}
	top := slices.SortedFunc(maps.Keys(sums), func(a, b string) int { return int(min(max(sums[b]-sums[a], -1), 1)) })
	for _, name := range top[:min(3, len(top))] {
		if slices.Contains(names, name) {
			return
		}
	}
	t.Errorf("the top is %q, want one of %q in it; all: %v", top[:min(3, len(top))], names, sums)
}

func (e evidence) connections(t *testing.T) []otelnet.ConnInfo {
	t.Helper()
	var table struct{ Connections []otelnet.ConnInfo }
	if err := json.Unmarshal(e.read(t, capture.Connections), &table); err != nil || len(table.Connections) < 20 {
		t.Fatalf("got %d connections, error %v; want at least 20", len(table.Connections), err)
	}
	return table.Connections
}

func TestCapturesOfTheDemoAreRemoved(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	if status, _, stderr := runFor(t, freePorts("-for", "200ms", "-load", "0", "-incident", "off")...); status != 0 {
		t.Fatal(stderr)
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

func TestShortQueue(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	shortenQueue(ln, 4)
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s, err := ln.Accept(); err != nil {
		t.Errorf("it does not accept any more: %v", err)
	} else {
		s.Close()
	}
}
