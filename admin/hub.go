package admin

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/internal/guard"
)

const (
	maxViewers   = 64
	ringFrames   = 32 // a viewer further behind starts over
	eventTimeout = 5 * time.Second
	keepAlive    = 15 * time.Second
)

// frame is one snapshot's event, encoded once for all viewers.
type frame struct {
	at   time.Time
	data []byte
}

// hub turns snapshots into frames while there are viewers. Viewers hold a cursor into its ring and nothing else.
type hub struct {
	ctx      context.Context
	store    *history.Store
	encode   func(history.Result) []byte
	onViewer func(int)

	tellMu sync.Mutex // orders the calls of onViewer

	mu      sync.Mutex
	viewers int
	stop    context.CancelFunc // of the running follower
	ring    [ringFrames]frame
	next    uint64    // sequence number of the next frame; the ring holds the ringFrames before it
	last    time.Time // the newest snapshot that a frame covers
	news    chan struct{}
	wg      sync.WaitGroup
}

func newHub(ctx context.Context, store *history.Store, encode func(history.Result) []byte, onViewer func(int)) *hub {
	if onViewer == nil {
		onViewer = func(int) {}
	}
	return &hub{ctx: ctx, store: store, encode: encode, onViewer: onViewer, news: make(chan struct{})}
}

// join admits a viewer. It returns the sequence number of the next frame and the snapshot time that frames before it reach to;
// false when there are too many viewers or the server is stopping. Each join that succeeded needs a leave.
func (h *hub) join() (next uint64, last time.Time, ok bool) {
	h.tellMu.Lock()
	defer h.tellMu.Unlock()
	h.mu.Lock()
	if h.viewers >= maxViewers || h.ctx.Err() != nil {
		h.mu.Unlock()
		return 0, time.Time{}, false
	}
	h.viewers++
	n := h.viewers
	if n == 1 {
		h.last = h.store.Stats().Newest
		var ctx context.Context
		ctx, h.stop = context.WithCancel(h.ctx)
		h.wg.Go(func() { h.follow(ctx) })
	}
	next, last = h.next, h.last
	h.mu.Unlock()
	h.onViewer(n)
	return next, last, true
}

func (h *hub) leave() {
	h.tellMu.Lock()
	defer h.tellMu.Unlock()
	h.mu.Lock()
	h.viewers--
	n := h.viewers
	if n == 0 {
		h.stop()
	}
	h.mu.Unlock()
	h.onViewer(n)
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.viewers
}

// wait returns when no follower runs any more.
func (h *hub) wait() { h.wg.Wait() }

// follow makes a frame of each snapshot until ctx ends. One that cannot be made is told of and left out.
func (h *hub) follow(ctx context.Context) {
	for {
		changed := h.store.Changed() // before the query, so that no snapshot falls between the two
		if err := guard.Call("admin: the page's stream", func() error { h.step(ctx); return nil }); err != nil {
			otel.Handle(err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// step adds a frame if there are snapshots that no frame covers yet.
func (h *hub) step(ctx context.Context) {
	h.mu.Lock()
	since := h.last
	h.mu.Unlock()
	res := h.store.Query(history.Query{Since: since, Select: pageView})
	if len(res.Times) == 0 {
		return
	}
	f := frame{at: res.Times[len(res.Times)-1], data: h.encode(res)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil || !h.last.Equal(since) {
		return // the last viewer left and another came: a newer follower is at work
	}
	h.ring[h.next%ringFrames] = f
	h.next++
	h.last = f.at
	close(h.news)
	h.news = make(chan struct{})
}

// after returns the frames from sequence number next on and the channel that closes when there are more. It reports false
// when frames since next have been overwritten.
func (h *hub) after(next uint64) (frames []frame, news <-chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next-next > ringFrames {
		return nil, h.news, false
	}
	for ; next < h.next; next++ {
		frames = append(frames, h.ring[next%ringFrames])
	}
	return frames, h.news, true
}
