package alertproc

import "time"

// maxSlots bounds the memory of a window. Longer ones are kept in coarser steps: a window of an hour evaluated every
// 5 s has 720 steps, one of a day is cut in steps of 2 min.
const maxSlots = 720

// slots is the time line of one rule: when its instances' totals were noted. Times are offsets from the processor's
// first evaluation. Slots are numbered upwards from 0 and never renumbered; the ring keeps the newest ones.
type slots struct {
	over int64   // the window
	step int64   // least distance of two slots
	at   []int64 // ring; slot n is at n modulo its length
	next uint64  // number of the slot that comes next
}

// pair is what a slot notes for an instance. What the two numbers mean depends on the rule, see rule.note.
type pair struct{ a, b float64 }

func newSlots(over, every time.Duration) slots {
	s := slots{over: int64(over)}
	// Evaluations keep to their intervals but for coming early or late in them, so two more slots can lie in a window.
	count := int64(over/every) + 3
	if count > maxSlots+3 {
		// Slots then keep their distance from the one before, of which they may lack a tenth.
		count = maxSlots + maxSlots/8 + 3
		s.step = int64(over) / maxSlots
	}
	s.at = make([]int64, count)
	return s
}

// due tells whether a slot should be made at now.
func (s *slots) due(now int64) bool {
	return s.next == 0 || now-s.at[(s.next-1)%uint64(len(s.at))] >= s.step-s.step/10
}

// push makes a slot at now and returns its number.
func (s *slots) push(now int64) uint64 {
	n := s.next
	s.at[n%uint64(len(s.at))] = now
	s.next++
	return n
}

func (s *slots) oldest() uint64 {
	if n := uint64(len(s.at)); s.next > n {
		return s.next - n
	}
	return 0
}

func (s *slots) time(n uint64) int64 { return s.at[n%uint64(len(s.at))] }

// base returns the slot nearest to the beginning of the window that ends at now. Nearest, and not the last one
// before, because evaluations come a little early or late: a slot that is a millisecond inside the window must not
// make it one interval longer. full is false if the window began before the oldest slot; ok is false if there is none.
func (s *slots) base(now int64) (n uint64, full, ok bool) {
	if s.next == 0 {
		return 0, false, false
	}
	start := now - s.over
	low, high := s.oldest(), s.next // the first slot at or after start lies in [low, high]
	for low < high {
		middle := low + (high-low)/2
		if s.time(middle) < start {
			low = middle + 1
		} else {
			high = middle
		}
	}
	switch oldest := s.oldest(); {
	case low == s.next: // all are before the window: it saw no evaluation but this one
		return s.next - 1, true, true
	case low == oldest:
		// Before the first slot nothing is known; a slot that only came late still counts as the beginning.
		gap := s.time(low) - start
		return low, gap <= s.spacing()/2, true
	case start-s.time(low-1) <= s.time(low)-start:
		return low - 1, true, true
	default:
		return low, true, true
	}
}

// spacing returns the distance of the newest two slots, a measure for how far off a slot may be.
func (s *slots) spacing() int64 {
	if s.next < 2 {
		return 0
	}
	return s.time(s.next-1) - s.time(s.next-2)
}
