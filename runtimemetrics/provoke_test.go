package runtimemetrics

import (
	"errors"
	"os/user"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// watch starts a Collector and returns what reads a metric now.
func watch(t *testing.T) func(name string, attrs ...attribute.KeyValue) float64 {
	t.Helper()
	reader, provider := newReader(t)
	startTest(t, WithMeterProvider(provider))
	return func(name string, attrs ...attribute.KeyValue) float64 {
		t.Helper()
		return mustValue(t, collect(t, reader), name, attrs...)
	}
}

func TestMutexWaitIsWhatWasWaited(t *testing.T) {
	const (
		waiters = 512 // the runtime times one goroutine in eight and multiplies: about 64, give or take 8
		hold    = 20 * time.Millisecond
	)
	read := watch(t)
	waiting := func() float64 {
		return read("otelnet.go.goroutine.states", goroutineStateKey.String("waiting"))
	}
	before, asleep := read("otelnet.go.mutex.wait.time"), waiting()

	var mu sync.Mutex
	mu.Lock()
	begin := time.Now()
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			mu.Lock()
			mu.Unlock() //lint:ignore SA2001 having waited is all there is to do
		})
	}
	for deadline := time.Now().Add(20 * time.Second); waiting() < asleep+waiters-5; runtime.Gosched() {
		if time.Now().After(deadline) {
			mu.Unlock()
			t.Fatalf("%v goroutines wait, want %d more than %v", waiting(), waiters, asleep)
		}
	}
	allWait := time.Now()
	time.Sleep(hold) // what is measured
	shortest := time.Since(allWait)
	mu.Unlock()
	wg.Wait()
	longest := time.Since(begin)

	got := read("otelnet.go.mutex.wait.time") - before
	low, high := waiters*shortest.Seconds()/2, waiters*longest.Seconds()*2
	if got < low || got > high {
		t.Errorf("rose by %.2f s while %d goroutines waited for %v to %v each, want %.2f to %.2f s", got, waiters, shortest, longest, low, high)
	}
}

func TestCgoCallsAreCounted(t *testing.T) {
	read := watch(t)
	before, witness := read("otelnet.go.cgo.calls"), runtime.NumCgoCall()
	const lookups = 50
	for i := range lookups {
		// With cgo this asks the C library; the answer is not cached, and does not matter.
		if _, err := user.LookupId("4000000" + string(rune('0'+i%10))); err != nil && !errors.As(err, new(user.UnknownUserIdError)) {
			t.Logf("look up: %v", err)
		}
	}
	want := runtime.NumCgoCall() - witness
	if want < lookups {
		t.Skip("os/user makes no call to C in this build")
	}
	if got := read("otelnet.go.cgo.calls") - before; got != float64(want) {
		t.Errorf("rose by %v, want %d as of runtime.NumCgoCall", got, want)
	}
}

func TestThreadsAreCounted(t *testing.T) {
	const n = 20
	read := watch(t)
	before := read("otelnet.go.thread.count")
	stop := make(chan struct{})
	var ready, done sync.WaitGroup
	ready.Add(n)
	for range n {
		done.Go(func() {
			runtime.LockOSThread() // no Unlock: the thread ends with the goroutine
			ready.Done()
			<-stop
		})
	}
	ready.Wait()
	during := read("otelnet.go.thread.count")
	close(stop)
	done.Wait()
	// Idle threads from before may have been taken, but each of the twenty needs its own.
	if during < n || during < before || during > before+n+5 {
		t.Errorf("%v threads with %d locked ones, want at least those and at most %v", during, n, before+n+5)
	}
}

func TestFinalizersAndCleanupsAreCounted(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // no cycle but ours
	const n = 100
	type object struct{ p *int } // with a pointer, so that it is not packed together with others
	read := watch(t)
	names := []string{"otelnet.go.finalizer.queued", "otelnet.go.finalizer.executed", "otelnet.go.cleanup.queued", "otelnet.go.cleanup.executed"}
	before := make(map[string]float64)
	for _, name := range names {
		before[name] = read(name)
	}
	var ran sync.WaitGroup
	ran.Add(2 * n)
	for range n {
		runtime.SetFinalizer(&object{new(int)}, func(*object) { ran.Done() })
		runtime.AddCleanup(&object{new(int)}, func(int) { ran.Done() }, 0)
	}
	runtime.GC()
	all := make(chan struct{})
	go func() { ran.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(20 * time.Second):
		t.Fatal("the runtime ran not all of them")
	}
	for _, name := range names {
		// The last one is counted after it has returned; some of other tests' may be among them.
		deadline := time.Now().Add(30 * time.Second)
		got := read(name) - before[name]
		for got < n && time.Now().Before(deadline) {
			runtime.Gosched()
			got = read(name) - before[name]
		}
		if got < n || got > n+50 {
			t.Errorf("%s rose by %v, want %d", name, got, n)
		}
	}
}

func TestHeapObjectsAreWhatMemStatsSays(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	read := watch(t)
	runtime.GC() // and sweep, which would lower the number meanwhile
	const n = 100_000
	before := read("otelnet.go.memory.heap.objects")
	held := make([]*[4]*int, n)
	for i := range held {
		held[i] = new([4]*int)
	}
	got := read("otelnet.go.memory.heap.objects")
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	runtime.KeepAlive(held)
	if rise := got - before; rise < n-1000 || rise > n+5000 {
		t.Errorf("rose by %v, want about %d", rise, n)
	}
	// MemStats counts tiny objects one by one, the metric by the block they share.
	if want := float64(ms.HeapObjects); got > want+5000 || got < want/2 {
		t.Errorf("got %v, want about %v as of runtime.MemStats", got, want)
	}
}

// A heap that does not fit under its limit makes the collector run without pause, until the limiter stops that: after
// about a second of one processor's time.
func TestLimiterIsSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds of collecting")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	read := watch(t)
	live := make([]*[8]*int, 200_000) // about 14 MB to mark
	for i := range live {
		live[i] = new([8]*int)
	}
	restore := setMemoryLimit(1 << 20)
	limited := false
	for deadline := time.Now().Add(30 * time.Second); !limited && time.Now().Before(deadline); {
		for i := range 20_000 {
			live[i%len(live)] = new([8]*int)
		}
		limited = read("otelnet.go.gc.limiter.last") > 0
	}
	restore()
	runtime.KeepAlive(live)
	if !limited {
		t.Fatal("otelnet.go.gc.limiter.last stays at 0")
	}
	if last, cycles := read("otelnet.go.gc.limiter.last"), read("go.memory.gc.cycles"); last > cycles+1 {
		t.Errorf("the limiter was active in cycle %v, of %v", last, cycles)
	}
}

func TestGCPausesAreMemStatsPauses(t *testing.T) {
	reader, provider := newReader(t, sdkmetric.WithProducer(NewProducer()))
	startTest(t, WithMeterProvider(provider))
	pauses := func() (count uint64, sum float64) {
		p := pointOf(collect(t, reader)["go.memory.gc.pause.duration"])
		return p.Count, p.Sum
	}
	var ms runtime.MemStats
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	runtime.ReadMemStats(&ms)
	total := ms.PauseTotalNs
	countBefore, sumBefore := pauses()
	for range 20 {
		runtime.GC()
	}
	runtime.ReadMemStats(&ms)
	countAfter, sumAfter := pauses()
	if got := countAfter - countBefore; got != 40 {
		t.Errorf("%d pauses in 20 cycles, want 40", got)
	}
	want := float64(ms.PauseTotalNs-total) / 1e9
	if got := sumAfter - sumBefore; got < want*0.85 || got > want*1.15 {
		t.Errorf("the pauses add up to %v s, want %v s as of runtime.MemStats, give or take 15 %%", got, want)
	}
}
