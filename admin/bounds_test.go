package admin_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/capture"
)

// Whoever tries tokens gets few chances, in each of the ways to give one, and nobody who is in already is put out by it.
func TestTokensCannotBeTriedFast(t *testing.T) {
	const token = "correct horse battery"
	s := start(t, admin.Config{Token: token})
	cookie := get(t, s, "/login?token=correct+horse+battery").Cookies()[0]
	ways := []func(*http.Request){
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") },
		func(r *http.Request) { r.SetBasicAuth("any", "wrong") },
		func(r *http.Request) { r.URL.Path, r.URL.RawQuery = "/login", "token=wrong" },
	}
	tried, refused := 0, 0
	for i := range 60 {
		res := do(t, s, http.MethodGet, "/api/status", ways[i%len(ways)])
		switch res.StatusCode {
		case http.StatusUnauthorized:
			tried++
		case http.StatusTooManyRequests:
			refused++
			if sec, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || sec < 1 || sec > 60 {
				t.Errorf("Retry-After is %q", res.Header.Get("Retry-After"))
			}
		default:
			t.Fatalf("got %d", res.StatusCode)
		}
	}
	if tried < 20 || refused < 20 {
		t.Errorf("%d of 60 wrong tokens were looked at and %d were not; want 20 and a few, and the rest", tried, refused)
	}
	right := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	if res := do(t, s, http.MethodGet, "/api/status", right); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the right token after that: got %d, want 429: else the bound would be none", res.StatusCode)
	}
	for range 30 {
		if res := do(t, s, http.MethodGet, "/api/status", func(r *http.Request) { r.AddCookie(cookie) }); res.StatusCode != 200 {
			t.Fatalf("with the cookie: got %d, want 200", res.StatusCode)
		}
		if res := get(t, s, "/api/status"); res.StatusCode != 401 {
			t.Fatalf("without anything: got %d, want 401", res.StatusCode)
		}
	}
}

// Connections that send nothing may not use up the files of the service.
func TestConnectionsAreBounded(t *testing.T) {
	s := start(t, admin.Config{})
	const limit, more = 512, 40
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range limit + more {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	closed := 0
	for _, c := range conns[limit:] {
		_ = c.SetReadDeadline(time.Now().Add(3 * time.Second)) // before the server gives up those that say nothing
		if _, err := c.Read(make([]byte, 1)); err == nil || !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("a connection beyond the limit: got %v, want it closed", err)
			continue
		}
		closed++
	}
	if closed != more {
		t.Errorf("%d connections beyond the limit were closed, want %d", closed, more)
	}
	for _, c := range conns[:20] {
		c.Close()
	}
	wait(t, "room for another one", func() bool {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		line, err := bufio.NewReader(c).ReadString('\n')
		return err == nil && strings.Contains(line, "200")
	})
}

func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Readers that ask for megabytes and read none of them: what waits for them stays within a bound, and the others are told.
func TestSlowReadersDoNotFillTheMemory(t *testing.T) {
	h := newHistory(t)
	bounds := make([]float64, 20)
	counts := make([]uint64, 21)
	for j := range bounds {
		bounds[j] = float64(j + 1)
	}
	for i := range 300 {
		var all []metricdata.Metrics
		for j := range counts {
			counts[j] += uint64(i * 1_000_003 % (j + 7))
		}
		for k := range 200 {
			all = append(all, metricdata.Metrics{Name: "m" + strconv.Itoa(k), Data: metricdata.Histogram[float64]{
				Temporality: metricdata.CumulativeTemporality,
				DataPoints:  []metricdata.HistogramDataPoint[float64]{{Attributes: attribute.NewSet(), Bounds: bounds, BucketCounts: counts, Sum: 1.5}},
			}})
		}
		h.Append(at(2*i), snapshot(all...))
	}
	s := start(t, admin.Config{History: h})
	size := len(get(t, s, "/api/history?step=0s").body)
	if size < 2<<20 {
		t.Fatalf("an answer has %d bytes: too few to show anything", size)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	readers := 2 * (64 << 20) / size
	var conns []net.Conn
	for range readers {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /api/history?step=0s HTTP/1.1\r\nHost: localhost\r\n\r\n")
		conns = append(conns, c)
	}
	refused := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(25 * time.Second))
			line := make([]byte, 12)
			if _, err := io.ReadFull(c, line); err == nil && strings.HasSuffix(string(line), "503") {
				mu.Lock()
				refused++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if refused < readers/4 || grown > 100<<20 {
		t.Errorf("%d readers of %d bytes: %d were refused, and the heap grew by %d bytes; want it within 64 MiB and a little", readers, size, refused, grown)
	}
	t.Logf("%d readers of %d bytes: %d were refused, the heap grew by %d MB", readers, size, refused, grown>>20)
	if res := get(t, s, "/api/status"); res.StatusCode != 200 {
		t.Errorf("what is small: got %d, want it served all the same", res.StatusCode)
	}
}

// Of several captures of quiet times, the newest that has the file is what to compare with, and never a capture with itself.
func TestBaselineHasTheFileAndIsAnother(t *testing.T) {
	c := capturer(t, capture.Config{})
	s := start(t, admin.Config{Captures: c})
	take := func(kinds ...capture.Kind) string {
		t.Helper()
		m, err := c.Capture(t.Context(), capture.Request{Kinds: kinds})
		if err != nil {
			t.Fatal(err)
		}
		return m.ID
	}
	heap := take(capture.Heap)
	if res := get(t, s, "/api/captures/"+heap+"/heap.pb.gz/summary?base=baseline"); res.StatusCode != 404 || !strings.Contains(res.failure(t), "no other capture") {
		t.Errorf("the only one, compared with quiet times: got %d %s, want 404", res.StatusCode, res.body)
	}
	take(capture.CPU)
	other := take(capture.Heap)
	if res := get(t, s, "/api/captures/"+other+"/heap.pb.gz/summary?base=baseline"); res.StatusCode != 200 {
		t.Errorf("the heap, while the newest of quiet times has a CPU profile: got %d %s, want it compared with %s", res.StatusCode, res.body, heap)
	}
}
