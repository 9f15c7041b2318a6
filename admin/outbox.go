package admin

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	maxHeld   = 64 << 20 // bytes of large answers that are being sent
	largeFrom = 64 << 10 // what counts as large
)

// outbox bounds what answers take up while their readers take their time. One that is larger than all of it goes alone.
type outbox struct {
	mu   sync.Mutex
	held int
}

func (o *outbox) take(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held > 0 && o.held+n > maxHeld {
		return false
	}
	o.held += n
	return true
}

func (o *outbox) give(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held -= n
}

// deliver has send write an answer of n bytes that was made beforehand, or answers that there is no room for it: others read so slowly.
func (s *Server) deliver(w http.ResponseWriter, n int, send func()) {
	if n >= largeFrom {
		if !s.outbox.take(n) {
			unavailable(w, "large answers are being sent to others; try again in some seconds")
			return
		}
		defer s.outbox.give(n)
	}
	send()
}

// oneByOne lets one in at a time: what is made there takes the service's own processor and memory.
type oneByOne chan struct{}

func newOneByOne() oneByOne { return make(oneByOne, 1) }

func (o oneByOne) enter(ctx context.Context) bool {
	select {
	case o <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (o oneByOne) leave() { <-o }

// takeTurn waits for a turn, at most so long, and answers that there is none if it does not come. Where it returns true, leave ends the turn;
// it may be called again.
func takeTurn(w http.ResponseWriter, r *http.Request, turn oneByOne, wait time.Duration) (leave func(), ok bool) {
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	if !turn.enter(ctx) {
		unavailable(w, "others are being served; try again in some seconds")
		return nil, false
	}
	return sync.OnceFunc(turn.leave), true
}

func unavailable(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", "5")
	fail(w, http.StatusServiceUnavailable, "unavailable", text)
}
