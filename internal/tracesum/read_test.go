package tracesum

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// took is how long the last recording lasted by the test's own clock: no wait in it was longer.
var took time.Duration

// record traces what f does.
func record(t testing.TB, f func()) []byte {
	t.Helper()
	var buf bytes.Buffer
	began := time.Now()
	if err := trace.Start(&buf); err != nil {
		t.Fatal(err)
	}
	f()
	trace.Stop()
	took = time.Since(began)
	return buf.Bytes()
}

func read(t testing.TB, data []byte) *Summary {
	t.Helper()
	sum, err := Read(t.Context(), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func (s *Summary) cause(t testing.TB, name string) Cause {
	t.Helper()
	i := slices.IndexFunc(s.Causes, func(c Cause) bool { return c.Cause == name })
	if i < 0 {
		t.Fatalf("cause %q is missing: %+v", name, s.Causes)
	}
	return s.Causes[i]
}

// site is the place whose caller ends with the name.
func (c Cause) site(t testing.TB, name string) Site {
	t.Helper()
	i := slices.IndexFunc(c.Sites, func(s Site) bool { return strings.Contains(s.Caller, name) })
	if i < 0 {
		t.Fatalf("%s: no place in %s: %+v", c.Cause, name, c.Sites)
	}
	return c.Sites[i]
}

// nap is how long what is recorded waits: the time that a summary must find.
const nap = 40 * time.Millisecond

// parked waits until n goroutines wait for something in a function, so that what comes after is seen by all of them.
func parked(n int, function string) {
	text := make([]byte, 1<<20)
	for found := 0; found != n; runtime.Gosched() {
		found = 0
		for one := range strings.SplitSeq(string(text[:runtime.Stack(text, true)]), "\n\n") {
			head, _, _ := strings.Cut(one, "\n")
			if strings.Contains(one, function+"(") && !strings.Contains(head, "[runn") { // running or runnable
				found++
			}
		}
	}
}

// about is true for a wait of at least d, and of no more than the recording: on a busy machine that is all that is known.
func about(got float64, d time.Duration) bool {
	return got >= 0.95*d.Seconds() && got <= 1.05*took.Seconds()
}

func waitForLock(mu *sync.Mutex, done *sync.WaitGroup) {
	defer done.Done()
	mu.Lock()
	defer mu.Unlock()
}

func holdLock(mu *sync.Mutex, waiters int) {
	mu.Lock()
	var done sync.WaitGroup
	for range waiters {
		done.Add(1)
		go waitForLock(mu, &done)
	}
	parked(waiters, "tracesum.waitForLock")
	time.Sleep(nap)
	mu.Unlock()
	done.Wait()
}

func TestMutex(t *testing.T) {
	const waiters = 5
	var mu sync.Mutex
	sum := read(t, record(t, func() { holdLock(&mu, waiters) }))
	site := sum.cause(t, causeMutex).site(t, "waitForLock")
	if site.Count != waiters || !about(site.Max, nap) || !about(site.Total/waiters, nap) {
		t.Errorf("got %d waits of %.3f s, the longest %.3f s; want %d of about %s", site.Count, site.Total, site.Max, waiters, nap)
	}
	i := slices.IndexFunc(sum.Longest, func(w Wait) bool { return w.Cause == causeMutex })
	if i < 0 || !strings.Contains(sum.Longest[i].WokenBy, "tracesum.") || sum.Longest[i].Open || sum.Longest[i].Before {
		t.Errorf("the longest wait: got %+v, want one that was ended by a function of this package", sum.Longest)
	}
	if got := sum.cause(t, causeSleep).site(t, "holdLock"); got.Count != 1 || !about(got.Total, nap) {
		t.Errorf("sleep: got %+v, want %s in holdLock", got, nap)
	}
}

func awaitGroup(g *sync.WaitGroup) { g.Wait() }

func TestWaitGroup(t *testing.T) {
	sum := read(t, record(t, func() {
		var group, done sync.WaitGroup
		group.Add(1)
		done.Go(func() { awaitGroup(&group) })
		parked(1, "tracesum.awaitGroup")
		time.Sleep(nap)
		group.Done()
		done.Wait()
	}))
	if got := sum.cause(t, causeWaitGroup).site(t, "awaitGroup"); got.Count != 1 || !about(got.Total, nap) {
		t.Errorf("got %+v, want one wait of about %s", got, nap)
	}
}

func awaitValue(c <-chan int) { <-c }

func awaitEither(a, b <-chan int) {
	select {
	case <-a:
	case <-b:
	}
}

func TestChannels(t *testing.T) {
	sum := read(t, record(t, func() {
		a, b := make(chan int), make(chan int)
		var done sync.WaitGroup
		done.Go(func() { awaitValue(a) })
		done.Go(func() { awaitEither(b, nil) })
		parked(1, "tracesum.awaitValue")
		parked(1, "tracesum.awaitEither")
		time.Sleep(nap)
		a <- 1
		b <- 1
		done.Wait()
	}))
	for cause, function := range map[string]string{causeChannel: "awaitValue", causeSelect: "awaitEither"} {
		if got := sum.cause(t, cause).site(t, function); got.Count != 1 || !about(got.Total, nap) {
			t.Errorf("%s: got %+v, want one wait of about %s", cause, got, nap)
		}
	}
}

func readByte(c net.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}

func TestNetwork(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	sum := read(t, record(t, func() {
		var done sync.WaitGroup
		done.Go(func() {
			if err := readByte(server); err != nil {
				t.Error(err)
			}
		})
		parked(1, "tracesum.readByte")
		time.Sleep(nap)
		if _, err := client.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		done.Wait()
	}))
	if got := sum.cause(t, causeNetwork).site(t, "readByte"); got.Count != 1 || !about(got.Total, nap) {
		t.Errorf("got %+v, want one wait of about %s", got, nap)
	}
}

var sink [][]byte

func TestCollector(t *testing.T) {
	const cycles = 3
	sum := read(t, record(t, func() {
		for range cycles {
			for range 100 {
				sink = append(sink, make([]byte, 16<<10))
			}
			runtime.GC()
		}
		sink = nil
	}))
	gc := sum.GC
	if gc.Cycles < cycles || gc.MarkSeconds <= 0 || gc.MarkShare <= 0 || gc.MarkShare > 1 || gc.WorkSeconds <= 0 {
		t.Errorf("got %+v, want at least %d cycles with their time", gc, cycles)
	}
	var reasons int64
	for reason, p := range gc.PauseReasons {
		reasons += p.Count
		if strings.ContainsAny(reason, "()") {
			t.Errorf("reason %q", reason)
		}
	}
	// Each cycle stops the world to begin and to end.
	if gc.Pauses.Count < 2*cycles || reasons != gc.Pauses.Count || gc.Pauses.Max <= 0 {
		t.Errorf("got %d pauses, %d by reason: %+v; want at least %d", gc.Pauses.Count, reasons, gc.PauseReasons, 2*cycles)
	}
}

func spin(d time.Duration) {
	n := 0
	for end := time.Now().Add(d); time.Now().Before(end); n++ {
	}
	runtime.KeepAlive(n)
}

func busy(done *sync.WaitGroup) {
	defer done.Done()
	spin(nap)
}

func TestSchedulingAndBusiest(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const n = 4
	sum := read(t, record(t, func() {
		var done sync.WaitGroup
		for range n {
			done.Add(1)
			go busy(&done)
		}
		done.Wait()
	}))
	i := slices.IndexFunc(sum.Busiest, func(w Work) bool { return strings.HasSuffix(w.Func, "tracesum.busy") })
	if i < 0 {
		t.Fatalf("got %+v, want busy among them", sum.Busiest)
	}
	w := sum.Busiest[i]
	// They spin for nap of wall time each, taking turns on one processor.
	if w.Goroutines != n || w.Running < 0.9*nap.Seconds() || w.Running > 1.05*took.Seconds() || w.Goroutine == 0 || w.Longest > w.Running {
		t.Errorf("got %+v, want %d goroutines that ran for %s to %s", w, n, nap, took)
	}
	// With one processor the last of them waits for the others: a turn is 10 ms.
	if s := sum.Scheduling; s.Count < n || s.Max < 0.009 || w.Ready < 0.009 {
		t.Errorf("scheduling: got %+v and %.4f s ready, want waits of a turn", s, w.Ready)
	}
	if sum.Procs != 1 || sum.BusyShare < 0.3 || sum.BusyShare > 1 {
		t.Errorf("got %d processors, %.2f busy", sum.Procs, sum.BusyShare)
	}
}

func parkForever(c <-chan struct{}, done *sync.WaitGroup) {
	defer done.Done()
	<-c
}

func TestStill(t *testing.T) {
	const n = 30
	c, done := make(chan struct{}), new(sync.WaitGroup)
	for range n {
		done.Add(1)
		go parkForever(c, done)
	}
	parked(n, "tracesum.parkForever")
	sum := read(t, record(t, func() { time.Sleep(nap) }))
	close(c)
	done.Wait()
	if len(sum.Still) == 0 || sum.Still[0].Count != n || !strings.HasSuffix(sum.Still[0].Caller, "parkForever") || sum.Still[0].Cause != causeChannel {
		t.Errorf("got %+v, want %d goroutines in parkForever, for a channel", sum.Still, n)
	}
	for _, cause := range sum.Causes {
		if cause.Cause == causeChannel && len(cause.Sites) > 0 && strings.HasSuffix(cause.Sites[0].Caller, "parkForever") {
			t.Errorf("who never moved counts as waiting: %+v", cause)
		}
	}
}

// A wait under way at the end of a flight recording is told, and so is one that had begun before.
func TestFlightRecorder(t *testing.T) {
	fr := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: time.Second})
	began := time.Now()
	if err := fr.Start(); err != nil {
		t.Fatal(err)
	}
	defer fr.Stop()
	c, done := make(chan int), new(sync.WaitGroup)
	done.Go(func() {
		runtime.Gosched()
		awaitValue(c)
	})
	parked(1, "tracesum.awaitValue")
	time.Sleep(nap)
	var buf bytes.Buffer
	if _, err := fr.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	took = time.Since(began)
	close(c)
	done.Wait()
	sum := read(t, buf.Bytes())
	if sum.Seconds <= nap.Seconds()/2 || sum.Seconds > 1.05*took.Seconds() {
		t.Errorf("window %.3f s, want some of %s", sum.Seconds, took)
	}
	if d := sum.Start.Sub(began).Abs(); sum.Start.IsZero() || d > 10*time.Second {
		t.Errorf("start %s, want about %s", sum.Start, began)
	}
	i := slices.IndexFunc(sum.Longest, func(w Wait) bool { return strings.HasSuffix(w.Caller, "awaitValue") })
	if i < 0 || !sum.Longest[i].Open || !about(sum.Longest[i].Seconds, nap) {
		t.Errorf("got %+v, want an open wait of about %s in awaitValue", sum.Longest, nap)
	}
	if got := sum.cause(t, causeChannel); got.Waiting < 1 {
		t.Errorf("got %+v, want that one still waits", got)
	}
}

func TestIdleServersAreToldApart(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sum := read(t, record(t, func() {
		var done sync.WaitGroup
		done.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		})
		parked(1, "net.(*TCPListener).Accept")
		time.Sleep(nap)
		ln.Close()
		done.Wait()
	}))
	if got := sum.cause(t, causeIdle); got.Count < 1 || !about(got.Max, nap) {
		t.Errorf("got %+v, want the accept loop's wait of %s", got, nap)
	}
}

func TestDamage(t *testing.T) {
	data := record(t, func() { time.Sleep(time.Millisecond) })
	tests := map[string]struct {
		data []byte
		want string
	}{
		"nothing":      {nil, "not an execution trace: 0 bytes"},
		"a text":       {[]byte("this is a text, and no trace at all"), "begins with"},
		"an old trace": {[]byte("go 1.19 trace\x00\x00\x00 and so on"), "Go 1.19"},
		"a new trace":  {[]byte("go 1.99 trace\x00\x00\x00 and so on"), "a trace of Go 1.99, which the reader"},
		"cut short":    {data[:len(data)/2], "cut short or damaged"},
		"header alone": {data[:16], "empty"},
	}
	for name, test := range tests {
		sum, err := Read(t.Context(), bytes.NewReader(test.data))
		if err == nil || !strings.HasPrefix(err.Error(), "tracesum: ") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %+v, %v; want an error with %q", name, sum, err, test.want)
		}
	}
	broken := slices.Clone(data)
	for i := 200; i < len(broken); i += 97 {
		broken[i] ^= 0x55
	}
	if _, err := Read(t.Context(), bytes.NewReader(broken)); err == nil {
		t.Error("a trace with wrong bytes: got no error")
	}
	// What the source says goes through.
	wrong := errors.New("disk on fire")
	if _, err := Read(t.Context(), io.MultiReader(bytes.NewReader(data[:40]), brokenReader{wrong})); !errors.Is(err, wrong) {
		t.Errorf("got %v, want it to wrap the reader's error", err)
	}
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

func TestStopsWithContext(t *testing.T) {
	data := record(t, func() {
		var done sync.WaitGroup
		for range 4000 {
			done.Go(runtime.Gosched)
		}
		done.Wait()
	})
	whole := read(t, data)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	part, err := Read(ctx, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if part.Stopped == "" || part.Events >= whole.Events || whole.Stopped != "" {
		t.Errorf("got %d events of %d, stopped %q", part.Events, whole.Events, part.Stopped)
	}
}

func TestSpread(t *testing.T) {
	var s spread
	for i := int64(1); i <= 100_000; i++ {
		s.add(i * 1000)
	}
	got := s.times()
	for name, v := range map[string][2]float64{"p50": {got.P50, 0.05}, "p99": {got.P99, 0.099}} {
		if v[0] < v[1]*0.999 || v[0] > v[1]*1.04 {
			t.Errorf("%s: got %v, want %v and at most 4 %% more", name, v[0], v[1])
		}
	}
	if got.Max != 0.1 || got.Count != 100_000 || math.Abs(got.Total-5000.05) > 1e-6 {
		t.Errorf("got %+v", got)
	}
	var n int64
	for _, b := range got.Buckets {
		n += b
	}
	if n != got.Count || len(got.Buckets) != len(Bounds)+1 {
		t.Errorf("buckets %v hold %d, want %d", got.Buckets, n, got.Count)
	}
	for i := range 1900 { // upper is the inverse of bucketOf
		if u := upper(i); bucketOf(uint64(u)) != i || bucketOf(uint64(u)+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d, and the next value in %d", i, u, bucketOf(uint64(u)), bucketOf(uint64(u)+1))
		}
	}
	new(spread).times()
}

func TestCaller(t *testing.T) {
	for want, stack := range map[string][]string{
		"main.f":                      {"internal/poll.(*FD).Read", "net/http.(*body).Read", "main.f", "main.g"},
		"net/http.(*persistConn).run": {"runtime.selectgo", "net/http.(*persistConn).run"},
		"runtime.gopark":              {"runtime.gopark", "sync.runtime_Semacquire"},
	} {
		var frames []Frame
		for _, f := range stack {
			frames = append(frames, Frame{Func: f})
		}
		if got := caller(frames); got != want {
			t.Errorf("%v: got %s, want %s", stack, got, want)
		}
	}
}

// The server's wait for the next request is told from a handler's wait for the body.
func TestBetweenRequests(t *testing.T) {
	asked := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Error(err)
		}
		asked <- r.Method
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say := func(text string) {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Error(err)
		}
	}
	sum := read(t, record(t, func() {
		say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
		parked(1, "io.ReadAll")
		time.Sleep(nap)
		say("body")
		<-asked
		parked(1, "bufio.(*Reader).Peek")
		time.Sleep(nap)
		say("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		<-asked
	}))
	if got := sum.cause(t, causeNetwork); !about(got.Max, nap) || got.Count != 1 {
		t.Errorf("network: got %+v, want the wait for the body alone", got)
	}
	if got := sum.cause(t, causeIdle); !about(got.Max, nap) {
		t.Errorf("waiting for work: got %+v, want the wait for the second request", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(record(f, func() {})) // as short as they get: the fuzzer is slow on long ones
	f.Add([]byte("go 1.26 trace\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		sum, err := Read(ctx, bytes.NewReader(data))
		if (sum == nil) == (err == nil) {
			t.Errorf("got %v and %v, want one of them", sum, err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var mu sync.Mutex
	data := record(b, func() {
		var done sync.WaitGroup
		for range 4 {
			done.Go(func() {
				for range 50_000 {
					mu.Lock()
					runtime.Gosched()
					mu.Unlock()
				}
			})
		}
		done.Wait()
	})
	events := read(b, data).Events
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		read(b, data)
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
