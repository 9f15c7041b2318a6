package otelnet

import (
	"sync/atomic"
	"time"
)

// A thinner lets pass each of the first events of a second and a part of the others. A histogram has no use for every
// one of ten thousand short connections a second, and they would pay for it.
type thinner struct{ state atomic.Uint64 } // the second, and the events in it

const (
	thinAfter = 100 // events of a second that pass
	thinTo    = 32  // of the others, one in so many
	thinBits  = 24
)

// pass is called for each event, with the time of the process. Two at the same moment may count as one.
func (t *thinner) pass(now int64) bool {
	const mask = 1<<thinBits - 1
	second, state, n := uint64(now/int64(time.Second)), t.state.Load(), uint64(0)
	if state>>thinBits == second {
		n = state & mask
	}
	t.state.Store(second<<thinBits | (n+1)&mask)
	return n < thinAfter || n%thinTo == 0
}
