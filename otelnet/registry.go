package otelnet

import (
	"sync"
	"sync/atomic"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// numShards spreads the connections of a process over as many locks; a power of two.
const numShards = 64

// sweepChunk is how many connections are taken from a shard at a time. No lock is held while the kernel is asked.
const sweepChunk = 64

// registry holds every open connection of the process.
var registry struct {
	lastID atomic.Uint64
	shards [numShards]shard
	closed closedRing
}

// shard is an unordered set that hands out its members in chunks: each member knows its slot, and the last one moves
// into the slot of one that leaves.
type shard struct {
	mu      sync.Mutex
	members []*ConnStats
	_       [32]byte // keeps two shards' locks off one cache line
}

// shardOf keeps connections that were opened one after the other together: so the memory that a sweep walks through, the
// kernel's too, is mostly in one piece.
func shardOf(id uint64) *shard { return &registry.shards[id/sweepChunk%numShards] }

// track gives s its ID and puts it in the table.
func track(s *ConnStats) {
	s.id = registry.lastID.Add(1)
	sh := shardOf(s.id)
	sh.mu.Lock()
	s.slot = uint32(len(sh.members))
	sh.members = append(sh.members, s)
	sh.mu.Unlock()
}

// untrack takes s out. It must have been tracked, and is untracked once.
func untrack(s *ConnStats) {
	sh := shardOf(s.id)
	sh.mu.Lock()
	last := len(sh.members) - 1
	moved := sh.members[last]
	sh.members[s.slot] = moved
	moved.slot = s.slot
	sh.members[last] = nil
	sh.members = sh.members[:last]
	// After a burst the memory goes back.
	if cap(sh.members) > 256 && last < cap(sh.members)/4 {
		sh.members = append(make([]*ConnStats, 0, cap(sh.members)/2), sh.members...)
	}
	sh.mu.Unlock()
}

// eachOpen calls f with every connection that is open throughout. One that opens or closes meanwhile may or may not be
// seen, and one may be seen twice: walking downwards, the member that fills a gap below has been seen already.
func eachOpen(f func(*ConnStats)) {
	var chunk [sweepChunk]*ConnStats
	for i := range registry.shards {
		sh := &registry.shards[i]
		for next := -1; next != 0; {
			sh.mu.Lock()
			if next < 0 || next > len(sh.members) {
				next = len(sh.members)
			}
			from := max(0, next-sweepChunk)
			n := copy(chunk[:], sh.members[from:next])
			next = from
			sh.mu.Unlock()
			for _, s := range chunk[:n] {
				f(s)
			}
		}
	}
	clear(chunk[:])
}

// openByID returns the open connection with this ID, nil if there is none.
func openByID(id uint64) *ConnStats {
	sh := shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.members {
		if s.id == id {
			return s
		}
	}
	return nil
}

// readers are kept for reuse: one is needed at each close and for each sweep.
var readers = sync.Pool{New: func() any { return tcpinfo.NewReader() }}

// maxClosed is how many closed connections the table remembers.
const maxClosed = 1000

// closedRing keeps the last connections that closed.
type closedRing struct {
	mu   sync.Mutex
	rows []closedRow
	next int // the slot that is written next, the oldest once the ring is full
}

func (r *closedRing) add(row *closedRow) {
	r.mu.Lock()
	if len(r.rows) < maxClosed {
		r.rows = append(r.rows, *row)
	} else {
		r.rows[r.next] = *row
		r.next = (r.next + 1) % maxClosed
	}
	r.mu.Unlock()
}

// byID returns a copy of the row with this ID, if it is still there.
func (r *closedRing) byID(id uint64) (closedRow, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.rows {
		if r.rows[i].id == id {
			return r.rows[i], true
		}
	}
	return closedRow{}, false
}

// all returns a copy, in no order.
func (r *closedRing) all() []closedRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]closedRow(nil), r.rows...)
}
