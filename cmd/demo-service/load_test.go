package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRotationKeepsWeights(t *testing.T) {
	next := rotation([]job{{name: "a", weight: 5}, {name: "b", weight: 2}, {name: "c", weight: 1}})
	got := map[string]int{}
	var order string
	for range 3 * 8 {
		j := next()
		got[j.name]++
		order += j.name
	}
	if diff := cmp.Diff(map[string]int{"a": 15, "b": 6, "c": 3}, got); diff != "" {
		t.Errorf("three rounds (-want +got):\n%s", diff)
	}
	if order[:8] != order[8:16] {
		t.Errorf("rounds differ: %s", order)
	}
	if want := "abaacaba"; order[:8] != want {
		t.Errorf("first round: got %s, want %s: evenly spread", order[:8], want)
	}
}

func TestGeneratorKeepsItsRate(t *testing.T) {
	for _, rate := range []int{1, 50, 997, 5000} {
		synctest.Test(t, func(t *testing.T) {
			var n atomic.Int64
			g := &generator{rate: rate, jobs: []job{{"count", 1, func(context.Context) error { n.Add(1); return nil }}}}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			g.run(ctx)
			if got, want := n.Load(), int64(rate*10); got < want*98/100-1 || got > want {
				t.Errorf("rate %d: %d jobs in 10 s, want %d", rate, got, want)
			}
			if got := g.started.Load(); got != n.Load() {
				t.Errorf("rate %d: started is %d, but %d jobs ran", rate, got, n.Load())
			}
		})
	}
}

func TestNoLoadIsNoLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &generator{rate: 0, jobs: []job{{"none", 1, func(context.Context) error {
			t.Error("a job ran with a rate of 0")
			return nil
		}}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		g.run(ctx)
	})
}

// A server that answers nothing any more must not gather work without end, nor keep the generator from stopping.
func TestHangingJobsAreBoundedAndCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		hang := func(ctx context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-ctx.Done()
			return ctx.Err()
		}
		g := &generator{rate: 1000, grace: time.Second, jobs: []job{{"hang", 1, hang}}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		g.run(ctx)
		if took := time.Since(begin); took != 6*time.Second {
			t.Errorf("ended after %v, want 5 s and a second of grace", took)
		}
		if got := most.Load(); got != maxWorkers {
			t.Errorf("%d jobs at once, want %d", got, maxWorkers)
		}
		if g.skipped.Load() == 0 || g.failed.Load() != maxWorkers {
			t.Errorf("skipped %d and failed %d, want some and %d", g.skipped.Load(), g.failed.Load(), maxWorkers)
		}
	})
}

func TestFailedJobsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &generator{rate: 10, jobs: []job{{"fail", 1, func(context.Context) error { return errors.New("no") }}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		g.run(ctx)
		if g.failed.Load() == 0 || g.failed.Load() != g.started.Load() {
			t.Errorf("%d of %d jobs failed, want all", g.failed.Load(), g.started.Load())
		}
	})
}

// countingHandler keeps the other book: what arrived, by protocol and path.
type countingHandler struct {
	next http.Handler
	mu   sync.Mutex
	seen map[string]int
}

func (h *countingHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.seen[r.Proto+" "+r.URL.Path]++
	h.mu.Unlock()
	h.next.ServeHTTP(w, r)
}

// The load's own books must agree with what the handlers have seen, route by route.
func TestLoadIsWhatTheServerSees(t *testing.T) {
	server := &countingHandler{next: routes(&shop{}), seen: map[string]int{}}
	s := settings{addr: "127.0.0.1:0", tlsAddr: "127.0.0.1:0", echoAddr: "127.0.0.1:0"}
	svc, err := open(s, server, newConsole(t.Output(), t.Output(), false).serverLog())
	if err != nil {
		t.Fatal(err)
	}
	var servers sync.WaitGroup
	for _, serve := range []func() error{svc.http.serve, svc.https.serve, svc.echo.serveTCP, svc.echo.serveUDP} {
		servers.Go(func() {
			if err := serve(); err != nil {
				t.Error(err)
			}
		})
	}
	clients, err := newClients(svc.load)
	if err != nil {
		t.Fatal(err)
	}

	routeOf := map[string]string{
		"data":                       "HTTP/1.1 /api/data",
		"data on a fresh connection": "HTTP/1.1 /api/data",
		"users":                      "HTTP/1.1 /api/users",
		"health":                     "HTTP/1.1 /api/health",
		"stock":                      "HTTP/1.1 /api/stock",
		"upload":                     "HTTP/1.1 /api/upload",
		"download":                   "HTTP/1.1 /api/download",
		"slow reader":                "HTTP/1.1 /api/download",
		"fail":                       "HTTP/1.1 /api/fail",
		"slow":                       "HTTP/1.1 /api/slow",
		"data over HTTP/2":           "HTTP/2.0 /api/data",
		"users over HTTP/2":          "HTTP/2.0 /api/users",
	}
	var mu sync.Mutex
	want := map[string]int{}
	enough := make(chan struct{})
	jobs := clients.jobs()
	total := 0
	for i, j := range jobs {
		jobs[i].do = func(ctx context.Context) error {
			err := j.do(ctx)
			if err != nil {
				t.Errorf("%s: %v", j.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if route := routeOf[j.name]; route != "" {
				want[route]++
			}
			if total++; total == 208 {
				close(enough)
			}
			return err
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	go func() {
		select {
		case <-enough:
		case <-ctx.Done():
		}
		stop()
	}()
	g := &generator{jobs: jobs, rate: 100, grace: 20 * time.Second}
	g.run(ctx)
	clients.close()
	svc.close(t.Context())
	servers.Wait()

	if total < 208 {
		t.Fatalf("%d jobs done within a minute, want 208", total)
	}
	if len(want) != 10 {
		t.Errorf("the round touched %d routes, want all 10: %v", len(want), want)
	}
	if diff := cmp.Diff(want, server.seen); diff != "" {
		t.Errorf("requests by route (-the load's +the server's):\n%s", diff)
	}
}
