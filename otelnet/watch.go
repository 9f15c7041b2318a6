package otelnet

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// RequestInfo is one request of a watched connection that has ended. Strings are of closed sets or of the service's own
// making, such as its patterns; nothing is as a stranger typed it.
//
// Its JSON form is what /api/connections/{id}/requests serves.
type RequestInfo struct {
	Start           time.Time `json:"start"`               // when the handler or the RoundTrip began
	Method          string    `json:"method,omitempty"`    // http.request.method, _OTHER for one that HTTP does not know; "" for gRPC
	Route           string    `json:"route,omitempty"`     // http.route, or the gRPC method; "" if there is none, and for clients of HTTP
	Status          int       `json:"status,omitempty"`    // of the HTTP response; 0 if none was sent or came
	ErrorType       string    `json:"errorType,omitempty"` // error.type, "" for success; "resent" if it went on on another connection
	DurationSeconds float64   `json:"durationSeconds"`     // to the handler's return, or to the end of the response's body

	// From the start until the handler began its response, or until the headers of the response had come. 0 if that never
	// happened, and for gRPC.
	FirstByteSeconds float64 `json:"firstByteSeconds,omitempty"`

	// Of the bodies, nil if not known: a request's without Content-Length is only counted by a server with WithBodySizes.
	RequestBytes  *int64 `json:"requestBytes,omitempty"`
	ResponseBytes *int64 `json:"responseBytes,omitempty"`
}

// RequestLog is what a connection has carried since it is watched: a copy taken at one moment.
type RequestLog struct {
	Since    time.Time     `json:"since"`    // when the watching began
	Total    uint64        `json:"total"`    // requests that were seen to end since
	InFlight int           `json:"inFlight"` // requests under way
	Requests []RequestInfo `json:"requests"` // the last 50 of them, newest first
}

// What [WatchRequests] can refuse with.
var (
	ErrNotOpen     = errors.New("the connection is neither open nor watched")
	ErrWatchedFull = fmt.Errorf("%d connections are watched already; each is let go a minute after the last question", maxWatched)
)

const (
	watchedRequests = 50
	maxWatched      = 64
	watchFor        = time.Minute // after the last question
)

// WatchRequests returns the last requests of the connection with this ID, and watches it from the first call on until a
// minute after the last one. Those are kept whose response begins while it is watched; one that was begun before is not
// among them. A connection that closes meanwhile keeps its requests for as long as somebody asks.
//
// Watched connections pay for each request some hundred nanoseconds and up to 6 kB for the last 50; the others one atomic
// load. Errors wrap [ErrNotOpen] or, when 64 are watched, [ErrWatchedFull]. Safe for concurrent use.
func WatchRequests(id uint64) (RequestLog, error) {
	watches.mu.Lock()
	defer watches.mu.Unlock()
	w := watches.byID[id]
	if w == nil {
		s := openByID(id)
		switch {
		case s == nil:
			return RequestLog{}, fmt.Errorf("otelnet: watch connection %d: %w", id, ErrNotOpen)
		case len(watches.byID) >= maxWatched:
			return RequestLog{}, fmt.Errorf("otelnet: watch connection %d: %w", id, ErrWatchedFull)
		}
		w = &watch{stats: s, since: sinceStart()}
		w.timer = time.AfterFunc(watchFor, w.expire)
		if watches.byID == nil {
			watches.byID = make(map[uint64]*watch)
		}
		watches.byID[id] = w
		s.flags.Or(flagWatched)
	}
	w.asked = sinceStart()
	w.timer.Reset(watchFor)
	return w.log(), nil
}

// Watched reports whether somebody asks for the connection's requests now. It costs an atomic load. For instrumentation
// of other protocols, which then gives each one that ends to KeepRequest.
func (s *ConnStats) Watched() bool { return s.flags.Load()&flagWatched != 0 }

// KeepRequest shows a request of another protocol to whoever watches the connection, see [WatchRequests]. It does nothing
// if nobody does. [NewHandler] and [NewTransport] do this for theirs.
func (s *ConnStats) KeepRequest(r RequestInfo) {
	if !s.Watched() {
		return
	}
	watches.mu.Lock()
	defer watches.mu.Unlock()
	if w := watches.byID[s.id]; w != nil {
		w.keep(r)
	}
}

// watches are kept aside, so that a connection that nobody looks at is no larger for them. The lock is only ever taken for
// watched connections, and held for a microsecond at most.
var watches struct {
	mu   sync.Mutex
	byID map[uint64]*watch
}

type watch struct {
	stats        *ConnStats
	timer        *time.Timer
	since, asked int64 // as sinceStart
	total        uint64
	ring         []RequestInfo // the oldest at total%watchedRequests, once it is full
}

func (w *watch) keep(r RequestInfo) {
	if len(w.ring) < watchedRequests {
		w.ring = append(w.ring, r)
	} else {
		w.ring[w.total%watchedRequests] = r
	}
	w.total++
}

func (w *watch) log() RequestLog {
	l := RequestLog{Since: atTime(w.since), Total: w.total, InFlight: w.stats.InFlight(), Requests: make([]RequestInfo, len(w.ring))}
	for i := range w.ring {
		l.Requests[i] = w.ring[(w.total-1-uint64(i))%watchedRequests]
	}
	return l
}

// expire lets the connection go, unless somebody asked while the timer ran out.
func (w *watch) expire() {
	watches.mu.Lock()
	defer watches.mu.Unlock()
	if sinceStart()-w.asked < int64(watchFor) {
		return
	}
	w.stats.flags.And(^flagWatched)
	delete(watches.byID, w.stats.id)
}
