package admin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/admin"
)

// event is one server-sent event.
type event struct{ name, id, data string }

// watch opens the stream at path and gives its events; the channel closes with the stream.
func watch(t *testing.T, s *admin.Server, path string, header ...string) <-chan event {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(s.URL(), "/")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if kind := res.Header.Get("Content-Type"); res.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("stream: got %d %s", res.StatusCode, kind)
	}
	t.Cleanup(func() { res.Body.Close() })
	events := make(chan event, 100)
	go func() {
		defer close(events)
		in := bufio.NewScanner(res.Body)
		in.Buffer(nil, 1<<20)
		var e event
		for in.Scan() {
			name, text, _ := strings.Cut(in.Text(), ": ")
			switch name {
			case "event":
				e.name = text
			case "id":
				e.id = text
			case "data":
				e.data = text
			case "":
				if e != (event{}) {
					events <- e
				}
				e = event{}
			}
		}
	}()
	return events
}

func next(t *testing.T, events <-chan event) (event, columns) {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the stream ended")
		}
		var data struct {
			History columns
			Alerts  []any
		}
		if err := json.Unmarshal([]byte(e.data), &data); err != nil {
			t.Fatalf("%v in %.200s", err, e.data)
		}
		return e, data.History
	case <-time.After(30 * time.Second):
		t.Fatal("no event within 30 s")
	}
	panic("unreachable")
}

func TestStreamSendsEachSnapshotOnce(t *testing.T) {
	h := newHistory(t)
	h.Append(at(0), counted(10))
	h.Append(at(1), counted(11))
	s := start(t, admin.Config{History: h, Alerts: alerts{}})
	since := strconv.FormatInt(at(0).UnixMilli(), 10)
	for name, open := range map[string]func() <-chan event{
		"since":         func() <-chan event { return watch(t, s, "/api/stream?since="+since) },
		"Last-Event-ID": func() <-chan event { return watch(t, s, "/api/stream?since=1", "Last-Event-ID", since) },
	} {
		e, c := next(t, open())
		if e.name != "tick" || e.id != strconv.FormatInt(at(1).UnixMilli(), 10) {
			t.Errorf("%s: first event %s with id %s, want tick with the newest time", name, e.name, e.id)
		}
		if len(c.Times) != 1 || c.Start == nil || *c.Start != at(0).UnixMilli() || numbers(c.Series[0].Values)[0] != 1.0 {
			t.Errorf("%s: got %+v, want the increase of 1 since %s", name, c, since)
		}
	}
	live := watch(t, s, "/api/stream")
	for i := 2; i < 50; i++ {
		h.Append(at(i), counted(int64(10+i*i)))
		e, c := next(t, live)
		if len(c.Times) != 1 || c.Times[0] != at(i).UnixMilli() || e.id != strconv.FormatInt(c.Times[0], 10) {
			t.Fatalf("event %d: got times %v, id %s", i, c.Times, e.id)
		}
		if want := float64(i*i - (i-1)*(i-1)); i > 2 && numbers(c.Series[0].Values)[0] != want {
			t.Fatalf("event %d: got %v, want %g", i, numbers(c.Series[0].Values), want)
		}
		if !strings.Contains(e.data, `"alertname":"Slow"`) {
			t.Fatalf("event %d lacks the active alert: %s", i, e.data)
		}
	}
}

func TestViewersAreCountedAndCapped(t *testing.T) {
	var mu sync.Mutex
	var told []int
	changed := make(chan int, 200)
	s := start(t, admin.Config{OnViewer: func(n int) {
		mu.Lock()
		told = append(told, n)
		mu.Unlock()
		changed <- n
	}})
	var bodies []*http.Response
	for range 64 {
		res, err := http.Get(s.URL() + "api/stream")
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 200 {
			t.Fatalf("viewer %d: got %d", len(bodies)+1, res.StatusCode)
		}
		bodies = append(bodies, res)
		<-changed
	}
	if res := get(t, s, "/api/stream"); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("viewer 65: got %d, Retry-After %q; want 503 and a time", res.StatusCode, res.Header.Get("Retry-After"))
	}
	for _, res := range bodies {
		res.Body.Close()
	}
	for deadline := time.After(30 * time.Second); ; {
		select {
		case n := <-changed:
			if n > 0 {
				continue
			}
		case <-deadline:
			t.Fatalf("%d viewers are left", s.Viewers())
		}
		break
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 128 || slices.Max(told) != 64 || told[127] != 0 {
		t.Errorf("OnViewer was told %v; want up to 64 and down to 0, one at a time", told)
	}
	for i := 1; i < len(told); i++ {
		if d := told[i] - told[i-1]; d != 1 && d != -1 {
			t.Errorf("OnViewer was told %d after %d", told[i], told[i-1])
		}
	}
}

// The most viewers that are served, 50 of them never reading: those are dropped, the others miss nothing, and memory stays flat
// however often the stuck ones come back.
func TestNeverReadingViewersLeaveMemoryFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the write deadline of 5 s, twice")
	}
	h := newHistory(t)
	s := start(t, admin.Config{History: h})
	const stuck, readers = 50, 14
	streams := make([]<-chan event, readers)
	for i := range streams {
		streams[i] = watch(t, s, "/api/stream")
	}
	m := requests(nil)
	points := make([]metricdata.HistogramDataPoint[float64], 60)
	for i := range points {
		points[i] = metricdata.HistogramDataPoint[float64]{
			Attributes: attribute.NewSet(attribute.Int("http.response.status_code", 200+i)), Bounds: []float64{1}, BucketCounts: []uint64{0, 0},
		}
	}
	m.Data = metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: points}
	second, frame := 0, 0
	step := func() {
		h.Append(at(second), snapshot(m))
		second++
		for _, stream := range streams {
			e, got := next(t, stream)
			if len(got.Times) != 1 || got.Times[0] != at(second-1).UnixMilli() {
				t.Fatalf("a reader got %v, want the snapshot of second %d", got.Times, second-1)
			}
			frame = len(e.data)
		}
	}
	for range 2 * 32 { // until the ring is full
		step()
	}
	base, most := heap(), uint64(0)
	for round := range 2 {
		for range stuck {
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := fmt.Fprintf(c, "GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		await(t, 30*time.Second, func() bool { return s.Viewers() == stuck+readers }, "all viewers to be counted")
		for began := time.Now(); s.Viewers() > readers; {
			if time.Since(began) > 25*time.Second {
				t.Fatalf("round %d: %d stuck viewers are left after 25 s", round, s.Viewers()-readers)
			}
			for range 50 {
				step()
			}
			most = max(most, heap())
		}
	}
	// The history itself grows meanwhile, by some hundred bytes a snapshot.
	kept := int64(h.Stats().Bytes)
	if grown := int64(most) - int64(base); grown > 4<<20+kept {
		t.Errorf("the heap grew by %d bytes with %d stuck viewers, frames of %d bytes and a history of %d", grown, stuck, frame, kept)
	}
	if left := int64(heap()) - int64(base); left > 1<<20+kept {
		t.Errorf("%d bytes are left when the stuck viewers are gone, the history's %d among them", left, kept)
	}
	t.Logf("%d snapshots of %d bytes: at most %d bytes more than without stuck viewers, the history's %d among them",
		second, frame, int64(most)-int64(base), kept)
}

func heap() uint64 {
	runtime.GC()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return ms.HeapAlloc
}

// await polls for what has no channel to wait on.
func await(t *testing.T, limit time.Duration, done func() bool, what string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(limit); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for %s", limit, what)
		}
	}
}
