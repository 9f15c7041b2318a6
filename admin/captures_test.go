package admin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/exp/trace"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/internal/flame"
	"github.com/otelnet/agent/internal/tracesum"
	"github.com/otelnet/agent/otelnet"
)

const hostile = `</script><script>alert(1)</script><img src=x onerror=alert(1)>`

// capturer makes real captures, with a short CPU profile.
func capturer(t *testing.T, cfg capture.Config) *capture.Capturer {
	t.Helper()
	cfg.Dir = filepath.Join(t.TempDir(), "captures")
	cfg.FlightRecorder = true
	if cfg.CPUTime == 0 {
		cfg.CPUTime = 200 * time.Millisecond
	}
	cfg.Connections = func(otelnet.Filter) ([]otelnet.ConnInfo, int) {
		return []otelnet.ConnInfo{{ID: 7, Peer: "10.0.0.9:1234", Route: hostile}}, 1
	}
	c, err := capture.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the test's has ended
		defer cancel()
		if err := c.Shutdown(ctx); err != nil { // there is one flight recorder, and the next test wants it
			t.Error(err)
		}
	})
	return c
}

//go:noinline
func hotLoop(until <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-until:
			return
		default:
			runtime.KeepAlive(n)
		}
	}
}

// busy runs a hot loop under a route's label until the function it returns is called.
func busy(t *testing.T, route string) (stop func()) {
	t.Helper()
	until := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		pprof.Do(t.Context(), pprof.Labels("http.route", route), func(context.Context) { hotLoop(until) })
	})
	return func() {
		close(until)
		done.Wait()
	}
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.StatusCode >= 400 {
		t.Fatalf("got %d, %v: %.300s", a.StatusCode, err, a.body)
	}
	return v
}

// captured waits until a capture is done.
func captured(t *testing.T, s *admin.Server, id string) (m capture.Manifest) {
	t.Helper()
	await(t, 20*time.Second, func() bool {
		m = decode[capture.Manifest](t, get(t, s, "/api/captures/"+id))
		return m.State == capture.StateDone
	}, "the capture to be done")
	return m
}

func TestCaptureNow(t *testing.T) {
	c := capturer(t, capture.Config{CPUTime: 500 * time.Millisecond})
	s := start(t, admin.Config{Captures: c})
	if list := get(t, s, "/api/captures"); strings.TrimSpace(list.body) != `{"captures":[],"baseline":null}` {
		t.Errorf("none yet: got %s", list.body)
	}
	post := func(query string, change func(*http.Request)) answer {
		return do(t, s, http.MethodPost, "/api/captures"+query, change)
	}
	for query, want := range map[string]string{
		"?kinds=bananas":                       "bananas",
		"?kinds=cpu&kinds=heap":                "once",
		"?reason=alert":                        "allowed are kinds, note and force",
		"?force=perhaps":                       "force",
		"?note=" + strings.Repeat("x", 501):    "note",
		"?note=%ff":                            "note",
		"?kinds=" + strings.Repeat("cpu,", 20): "kinds",
	} {
		if res := post(query, nil); res.StatusCode != http.StatusBadRequest || !strings.Contains(res.failure(t), want) {
			t.Errorf("%.40s: got %d %.200s, want 400 with %q", query, res.StatusCode, res.body, want)
		}
	}
	body := post("", func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("kinds=cpu")), 9
	})
	if body.StatusCode != http.StatusBadRequest {
		t.Errorf("a body: got %d %s, want 400", body.StatusCode, body.body)
	}
	foreign := post("", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if foreign.StatusCode != http.StatusForbidden {
		t.Errorf("another site: got %d, want 403", foreign.StatusCode)
	}
	if n := len(c.Captures()); n != 0 {
		t.Fatalf("%d captures were made for wrong requests", n)
	}

	first := post("?kinds=cpu,goroutine&note="+url.QueryEscape(hostile), nil)
	m := decode[capture.Manifest](t, first)
	if first.StatusCode != http.StatusAccepted || first.Header.Get("Location") != "/api/captures/"+m.ID || m.State != capture.StateRunning || m.Note != hostile {
		t.Errorf("got %d, Location %q, %+v", first.StatusCode, first.Header.Get("Location"), m)
	}
	if res := post("", nil); res.StatusCode != http.StatusConflict || !strings.Contains(res.failure(t), m.ID) {
		t.Errorf("while one is made: got %d %s, want 409", res.StatusCode, res.body)
	}
	// The tool that asks for a profile meanwhile waits for the one profiler, and gets it.
	if res := get(t, s, "/debug/pprof/profile?seconds=0.1"); res.StatusCode != 200 || !strings.Contains(pprofTop(t, res.body), "Type: cpu") {
		t.Errorf("a CPU profile during a capture: got %d %.200s", res.StatusCode, res.body)
	}
	m = captured(t, s, m.ID)
	var kinds []capture.Kind
	for _, a := range m.Artefacts {
		kinds = append(kinds, a.Kind)
		if a.Status != capture.StatusOK && a.Kind != capture.Metrics {
			t.Errorf("%s: %s, %s", a.Kind, a.Status, a.Why)
		}
	}
	if want := []capture.Kind{capture.Connections, capture.Metrics, capture.Goroutine, capture.CPU, capture.Mutex}; !slices.Equal(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
	if res := post("", nil); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" || !strings.Contains(res.failure(t), m.ID) {
		t.Errorf("right after: got %d %s, want 429", res.StatusCode, res.body)
	}
	list := decode[struct {
		Captures []capture.Manifest
		Baseline *string
	}](t, get(t, s, "/api/captures"))
	if len(list.Captures) != 1 || list.Baseline == nil || *list.Baseline != m.ID {
		t.Errorf("got %d captures, baseline %v; want one, which is the baseline", len(list.Captures), list.Baseline)
	}
}

func TestCaptureFiles(t *testing.T) {
	c := capturer(t, capture.Config{History: filled(t)})
	s := start(t, admin.Config{Captures: c})
	stop := busy(t, "/hot")
	m, err := c.Capture(t.Context(), capture.Request{Reason: capture.Alert, Alert: "Hot", Severity: "crit"})
	stop()
	if err != nil {
		t.Fatal(err)
	}
	at := "/api/captures/" + m.ID + "/"
	for file, want := range map[string]string{
		"cpu.pb.gz": "hotLoop", "heap.pb.gz": "Type: inuse_space", "goroutine.pb.gz": "Type: goroutine", "mutex.pb.gz": "Type: delay",
	} {
		res := get(t, s, at+file)
		if d := res.Header.Get("Content-Disposition"); res.StatusCode != 200 || !strings.Contains(d, "attachment") || !strings.Contains(d, m.ID) {
			t.Errorf("%s: got %d, %q", file, res.StatusCode, d)
			continue
		}
		if out := pprofTop(t, res.body); !strings.Contains(out, want) {
			t.Errorf("%s: the tool says %q, want %s", file, out, want)
		}
	}
	// The trace comes unpacked, whether the client unpacks on its way or not.
	for _, encoding := range []string{"gzip", "identity"} {
		res := do(t, s, http.MethodGet, at+"trace.out", func(r *http.Request) { r.Header.Set("Accept-Encoding", encoding) })
		var body io.Reader = strings.NewReader(res.body)
		if res.Header.Get("Content-Encoding") == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		reader, err := trace.NewReader(body)
		if err != nil {
			t.Fatalf("%s: %v", encoding, err)
		}
		events := 0
		for {
			if _, err := reader.ReadEvent(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: after %d events: %v", encoding, events, err)
			}
			events++
		}
		if events < 10 {
			t.Errorf("%s: got %d events", encoding, events)
		}
	}
	if res := get(t, s, at+"manifest.json"); decode[capture.Manifest](t, res).Alert != "Hot" {
		t.Errorf("manifest: %s", res.body)
	}
	table := decode[struct{ Connections []otelnet.ConnInfo }](t, get(t, s, at+"connections.json"))
	if len(table.Connections) != 1 || table.Connections[0].Route != hostile {
		t.Errorf("connections: got %+v", table)
	}
	if got := decode[columns](t, get(t, s, at+"metrics.json")); got.Series == nil {
		t.Errorf("metrics: got %+v", got)
	}
	part := do(t, s, http.MethodGet, at+"cpu.pb.gz", func(r *http.Request) { r.Header.Set("Range", "bytes=0-1") })
	if part.StatusCode != http.StatusPartialContent || part.body != "\x1f\x8b" {
		t.Errorf("a range: got %d %q", part.StatusCode, part.body)
	}
	for path, want := range map[string]string{
		"/api/captures/none":               "no capture",
		"/api/captures/none/cpu.pb.gz":     "no capture",
		at + "none":                        "has no",
		at + "goroutineleak.pb.gz":         "has no",
		at + "..%2f..%2fetc%2fpasswd":      "has no",
		at + "cpu.pb.gz/source":            "no view",
		at + "cpu.pb.gz/graph":             "no view",
		at + "cpu.pb.gz/saveconfig":        "no view",
		at + "connections.json/summary":    "no view",
		at + "cpu.pb.gz/top?base=none":     "no capture",
		at + "cpu.pb.gz/top?base=baseline": "quiet",
	} {
		if res := get(t, s, path); res.StatusCode != http.StatusNotFound || !strings.Contains(res.failure(t), want) {
			t.Errorf("%s: got %d %.200s, want 404 with %q", path, res.StatusCode, res.body, want)
		}
	}
	for _, path := range []string{"cpu.pb.gz/top?source_path=/", "cpu.pb.gz/summary?x=1", "cpu.pb.gz/summary?si=bananas", "cpu.pb.gz/summary?label=x", "cpu.pb.gz/top?f=(", "trace.out.gz/summary?x=1"} {
		if res := get(t, s, at+path); res.StatusCode != http.StatusBadRequest || res.failure(t) == "" {
			t.Errorf("%s: got %d %.200s, want 400", path, res.StatusCode, res.body)
		}
	}
}

func TestCaptureViews(t *testing.T) {
	c := capturer(t, capture.Config{})
	s := start(t, admin.Config{Captures: c})
	quiet, err := c.Capture(t.Context(), capture.Request{})
	if err != nil {
		t.Fatal(err)
	}
	stop := busy(t, hostile)
	m, err := c.Capture(t.Context(), capture.Request{Reason: capture.Alert, Alert: "Hot", Severity: "crit"})
	stop()
	if err != nil {
		t.Fatal(err)
	}
	at := "/api/captures/" + m.ID + "/"

	sum := decode[flame.Summary](t, get(t, s, at+"cpu.pb.gz/summary"))
	if len(sum.Top) == 0 || !slices.ContainsFunc(sum.Top, func(f flame.Function) bool { return strings.HasSuffix(f.Func, "hotLoop") }) || sum.Unit != "nanoseconds" {
		t.Errorf("got %+v, want hotLoop at its top", sum.Top)
	}
	if len(sum.Labels) != 1 || sum.Labels[0].Key != "http.route" || !slices.Equal(sum.Labels[0].Values, []string{hostile}) {
		t.Errorf("labels: got %+v, want the route", sum.Labels)
	}
	only := url.Values{"label": {"http.route=" + hostile}}
	if got := decode[flame.Summary](t, get(t, s, at+"cpu.pb.gz/summary?"+only.Encode())); got.Samples == 0 || got.Total > sum.Total ||
		!slices.ContainsFunc(got.Top, func(f flame.Function) bool { return strings.HasSuffix(f.Func, "hotLoop") && f.Cum == got.Total }) {
		t.Errorf("of the route: got %d of %d, %+v", got.Total, sum.Total, got.Top)
	}
	for _, base := range []string{quiet.ID, "baseline"} {
		got := decode[flame.Summary](t, get(t, s, at+"cpu.pb.gz/summary?base="+base))
		if i := slices.IndexFunc(got.Top, func(f flame.Function) bool { return strings.HasSuffix(f.Func, "hotLoop") }); i < 0 || got.Top[i].Cum <= 0 {
			t.Errorf("against %s: got %+v, want hotLoop with more", base, got.Top)
		}
		res := get(t, s, at+"cpu.pb.gz/download?base="+base)
		p, err := profile.ParseData([]byte(res.body))
		if err != nil || !slices.ContainsFunc(p.Function, func(f *profile.Function) bool { return strings.HasSuffix(f.Name, "hotLoop") }) {
			t.Errorf("the difference from %s as a file: %v", base, err)
		}
	}
	nonces := make(map[string]bool)
	for _, path := range []string{"cpu.pb.gz/flamegraph", "cpu.pb.gz/top?si=samples", "cpu.pb.gz/peek?f=hotLoop", "heap.pb.gz/flamegraph?si=alloc_space", "cpu.pb.gz/flamegraph?base=baseline&" + only.Encode()} {
		res := get(t, s, at+path)
		policies := res.Header.Values("Content-Security-Policy")
		if res.StatusCode != 200 || len(policies) != 1 || !strings.Contains(policies[0], "; sandbox allow-scripts") || strings.Contains(policies[0], "unsafe") ||
			!strings.Contains(policies[0], "default-src 'none'") || !strings.Contains(policies[0], "frame-ancestors 'self'") {
			t.Errorf("%s: got %d, policies %q: %.200s", path, res.StatusCode, policies, res.body)
			continue
		}
		if strings.Contains(res.body, "<script>alert") || strings.Contains(res.body, "<img") {
			t.Errorf("%s: a label became markup", path)
		}
		nonces[policies[0]] = true
	}
	if len(nonces) != 5 {
		t.Errorf("%d different nonces on five pages", len(nonces))
	}

	first := get(t, s, at+"trace.out.gz/summary")
	tr := decode[tracesum.Summary](t, first)
	if tr.Events < 10 || len(tr.Causes) == 0 || len(tr.Busiest) == 0 || tr.Seconds <= 0 {
		t.Errorf("trace: got %+v", tr)
	}
	if again := get(t, s, at+"trace.out.gz/summary"); again.body != first.body {
		t.Error("the summary of a trace changed")
	}

	// What costs something is not done because a page of another site leads here.
	link := func(r *http.Request) {
		for k, v := range map[string]string{"Site": "cross-site", "Mode": "navigate", "Dest": "document"} {
			r.Header.Set("Sec-Fetch-"+k, v)
		}
	}
	for path, want := range map[string]int{
		"/captures/" + m.ID: 200, "/captures": 200, at + "cpu.pb.gz": 200, at + "cpu.pb.gz/flamegraph": 403, at + "trace.out.gz/summary": 403,
	} {
		if res := do(t, s, http.MethodGet, path, link); res.StatusCode != want {
			t.Errorf("a link to %s: got %d, want %d", path, res.StatusCode, want)
		}
	}
	if p := get(t, s, "/captures/"+m.ID).Header.Get("Content-Security-Policy"); !strings.Contains(p, "frame-src 'self'") || !strings.Contains(p, "frame-ancestors 'none'") {
		t.Errorf("the page of a capture: %s", p)
	}
	if p := get(t, s, "/").Header.Get("Content-Security-Policy"); strings.Contains(p, "frame-src") {
		t.Errorf("the live page: %s", p)
	}
}

// A file that was damaged on disk is one clear error, and the server goes on.
func TestDamagedCapture(t *testing.T) {
	at := time.Now()
	files := map[string][]byte{"cpu.pb.gz": []byte("not a profile"), "trace.out.gz": []byte("not gzip"), "heap.pb.gz": zipped(t, "no profile either")}
	fake := &fakeCaptures{files: files, list: []capture.Manifest{{ID: "x", State: capture.StateDone, At: at, Reason: capture.Manual}}}
	s := start(t, admin.Config{Captures: fake})
	for _, path := range []string{"cpu.pb.gz/summary", "cpu.pb.gz/flamegraph", "heap.pb.gz/top", "trace.out.gz/summary"} {
		if res := get(t, s, "/api/captures/x/"+path); res.StatusCode != http.StatusInternalServerError || res.failure(t) == "" {
			t.Errorf("%s: got %d %s, want 500", path, res.StatusCode, res.body)
		}
	}
	fake.change(func() { fake.files["trace.out.gz"] = zipped(t, strings.Repeat("trace", 1000))[:30] })
	torn, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"api/captures/x/trace.out", nil)
	if err != nil {
		t.Fatal(err)
	}
	torn.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultTransport.RoundTrip(torn)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("a file that is cut short looked whole")
	}
	fake.change(func() { fake.files["trace.out.gz"] = zipped(t, "go 1.26 trace\x00\x00\x00and then nothing") })
	if res := get(t, s, "/api/captures/x/trace.out.gz/summary"); res.StatusCode != http.StatusInternalServerError || !strings.Contains(res.failure(t), "damaged") {
		t.Errorf("a torn trace: got %d %s", res.StatusCode, res.body)
	}
	fake.change(func() { fake.err, fake.list = capture.ErrLimited, nil })
	if res := do(t, s, http.MethodPost, "/api/captures", nil); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("limited: got %d", res.StatusCode)
	}
	fake.change(func() { fake.err = capture.ErrClosed })
	if res := do(t, s, http.MethodPost, "/api/captures", nil); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("closed: got %d", res.StatusCode)
	}
	fake.change(func() { fake.err = capture.ErrBusy })
	if res := get(t, s, "/debug/pprof/profile?seconds=1"); res.StatusCode != http.StatusConflict || !strings.Contains(res.failure(t), "busy") {
		t.Errorf("the profiler is taken: got %d %s, want 409", res.StatusCode, res.body)
	}
}

func TestWithoutCaptures(t *testing.T) {
	s := start(t, admin.Config{})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if res := do(t, s, method, "/api/captures", nil); res.StatusCode != http.StatusNotFound || !strings.Contains(res.failure(t), "OTELNET_CAPTURE_DIR") {
			t.Errorf("%s: got %d %s", method, res.StatusCode, res.body)
		}
	}
	withToken := start(t, admin.Config{Token: "0123456789abcdef", Captures: &fakeCaptures{}})
	for _, path := range []string{"/captures", "/captures/x", "/api/captures", "/api/captures/x/cpu.pb.gz/flamegraph"} {
		if res := get(t, withToken, path); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without the token: got %d, want 401", path, res.StatusCode)
		}
	}
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fakeCaptures has what a test puts into it.
type fakeCaptures struct {
	admin.CaptureSource
	mu    sync.Mutex
	files map[string][]byte
	list  []capture.Manifest
	err   error
}

// change alters what the next request finds; the one before may not have ended on the server's side.
func (f *fakeCaptures) change(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeCaptures) Captures() []capture.Manifest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list
}
func (f *fakeCaptures) Baseline() (m capture.Manifest, ok bool) { return m, false }

func (f *fakeCaptures) Manifest(id string) (capture.Manifest, bool) {
	for _, m := range f.Captures() {
		if m.ID == id {
			return m, true
		}
	}
	return capture.Manifest{}, false
}

func (f *fakeCaptures) Open(_, file string) (io.ReadSeekCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, ok := f.files[file]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{bytes.NewReader(slices.Clone(body)), io.NopCloser(nil)}, nil
}

func (f *fakeCaptures) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fakeCaptures) Begin(capture.Request) (capture.Manifest, error) {
	return capture.Manifest{}, f.failure()
}

func (f *fakeCaptures) CPUProfile(context.Context, io.Writer, time.Duration) error {
	return f.failure()
}
