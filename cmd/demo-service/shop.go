package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelnet/agent/otelnet"
)

// shop is what the routes use. Each part is quick and harmless until its incident; then it is what a profile, a trace
// or the connection table has to name.
type shop struct {
	db        database
	stock     stock
	ranking   ranking
	audit     audit
	recent    recent
	warehouse *warehouse // nil without a network
}

// stock is guarded by a lock that everybody takes.
type stock struct {
	mu      sync.Mutex
	journal atomic.Bool // in the incident: it is written under the lock
	n       int
}

// journalDelay is more than the time between two requests, so the queue at the lock never runs dry.
const journalDelay = 80 * time.Millisecond

func (s *stock) reserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if s.journal.Load() {
		time.Sleep(journalDelay)
	}
}

// ranking orders users, in the incident with a loop that is hot.
type ranking struct{ naive atomic.Bool }

// rankRounds makes the hot loop take about a tenth of a second for each request. Tests lower it where the race detector
// makes it many times as long.
var rankRounds = uint32(1500)

func (r *ranking) rank() {
	if r.naive.Load() {
		rankNaively(rankRounds)
	}
}

// rankNaively compares everybody with everybody, again and again.
func rankNaively(rounds uint32) (swaps int) {
	scores := make([]uint32, 256)
	for round := range rounds {
		for i := range scores {
			scores[i] = (uint32(i)*2654435761 + round) >> 8
		}
		for i := range scores {
			for j := range scores {
				if scores[i] < scores[j] {
					scores[i], scores[j] = scores[j], scores[i]
					swaps++
				}
			}
		}
	}
	return swaps
}

// audit tells of each request to a log; in the incident the log's end is not there and every goroutine stays.
type audit struct {
	mu   sync.Mutex
	lost chan struct{} // nil while all is well; closing it lets go of those who wait
}

func (a *audit) lose(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if on == (a.lost != nil) {
		return
	}
	if on {
		a.lost = make(chan struct{})
		return
	}
	close(a.lost)
	a.lost = nil
}

func (a *audit) record() {
	a.mu.Lock()
	lost := a.lost
	a.mu.Unlock()
	if lost != nil {
		go deliverAudit(lost)
	}
}

// deliverAudit waits for an acknowledgement that does not come.
func deliverAudit(acknowledged <-chan struct{}) { <-acknowledged }

// recent remembers the last answer; in the incident, all of them.
type recent struct {
	mu      sync.Mutex
	forever bool
	answers [][]byte
}

// answerSize is what one remembered answer takes.
const answerSize = 256 << 10

func (r *recent) keepAll(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forever, r.answers = on, nil
	if !on {
		runtime.GC() // what the alert looks at is as of the last one, and a demo will not wait for the next
	}
}

func (r *recent) remember() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.forever {
		return
	}
	r.answers = append(r.answers, copyAnswer())
}

func copyAnswer() []byte { return make([]byte, answerSize) }

// warehouse is another service that ours calls, in the incident a slow one. It has a listener that nothing of ours
// observes, as another service would.
type warehouse struct {
	ln     net.Listener
	server *http.Server
	client *http.Client
	slow   atomic.Bool
	served sync.WaitGroup
}

// How long the warehouse takes.
const (
	warehouseDelay     = 2 * time.Millisecond
	warehouseSlowDelay = 1500 * time.Millisecond
)

// openWarehouse starts it on a free port. Calls go to the name "warehouse", which shows in metrics and in the table.
func openWarehouse() (*warehouse, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	dialer, err := otelnet.NewDialer(&net.Dialer{Timeout: 2 * time.Second}, otelnet.WithName("warehouse"))
	if err != nil {
		ln.Close()
		return nil, err
	}
	w := &warehouse{ln: ln}
	w.client = &http.Client{Transport: otelnet.NewTransport(&http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, ln.Addr().String())
		},
		MaxIdleConnsPerHost: 8,
	})}
	w.server = &http.Server{Handler: http.HandlerFunc(w.answer), ReadHeaderTimeout: 5 * time.Second}
	w.served.Go(func() { w.server.Serve(ln) }) // it ends with close
	return w, nil
}

func (w *warehouse) answer(rw http.ResponseWriter, r *http.Request) {
	delay := warehouseDelay
	if w.slow.Load() {
		delay = warehouseSlowDelay
	}
	if wait(r.Context(), delay) == nil {
		io.WriteString(rw, "42\n")
	}
}

// ask is the call that our service makes. A nil warehouse always has some.
func (w *warehouse) ask(ctx context.Context) (string, error) {
	if w == nil {
		return "some", nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://warehouse/stock", nil)
	if err != nil {
		return "", err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("warehouse: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return "", fmt.Errorf("warehouse: %w", err)
	}
	return string(body), nil
}

func (w *warehouse) close() {
	if w == nil {
		return
	}
	w.client.CloseIdleConnections()
	w.server.Close()
	w.served.Wait()
}
