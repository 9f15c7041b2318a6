package alertproc

import (
	"errors"
	"fmt"
	"slices"
)

var errBounds = errors.New("series have different bucket bounds, which cannot be added up")

// histogramTotals are the bucket counts of an instance within the rule's window: whole numbers, to the last observation.
// The window's counts are kept beside the ring, so that moving it on by a slot reads one row, however long it is.
type histogramTotals struct {
	layout buckets // where the buckets are; the same as one of the next two
	bounds explicit
	exp    *expLayout
	counts []uint64 // of the rows from first on; nil before the first observation
	fresh  []uint64 // what came since the last slot
	first  uint64   // number of the oldest row that is in counts
	ring   bucketRing
	err    error
}

// newHistogramTotals makes the totals of an instance that was not there before the slot with the number birth.
func newHistogramTotals(slots int, birth uint64) *histogramTotals {
	return &histogramTotals{ring: bucketRing{slots: slots}, first: birth}
}

// addExplicit adds bucket counts. All series of an instance must have the same bounds, which are kept and must not change.
func (h *histogramTotals) addExplicit(bounds []float64, counts []uint64) {
	if len(counts) != len(bounds)+1 {
		// An OTLP histogram may have only its count and sum.
		h.err = fmt.Errorf("a histogram has %d buckets for %d bounds, which says nothing of how its observations lie", len(counts), len(bounds))
		return
	}
	if h.counts == nil {
		h.bounds = bounds
		h.layout = h.bounds // made an interface once, and not at each evaluation
		h.counts, h.fresh = make([]uint64, len(counts)), make([]uint64, len(counts))
		h.ring.resize(len(counts))
	}
	if h.exp != nil || len(counts) != len(h.counts) || !slices.Equal(h.bounds, bounds) {
		h.err = errBounds
		return
	}
	for i, n := range counts {
		h.fresh[i] += n
	}
}

// note moves what came since the last slot into the row of this one.
func (h *histogramTotals) note(slot uint64) {
	if h.counts == nil {
		h.first = slot + 1
		return
	}
	if n := uint64(h.ring.slots); slot >= n {
		h.forget(slot - n + 1) // the row is used again
	}
	h.ring.write(slot, h.fresh)
	for i, n := range h.fresh {
		h.counts[i] += n
		h.fresh[i] = 0
	}
}

// forget takes the rows before the one with the number first out of the counts. Windows only move forward, mostly by
// one slot, so each row is read once.
func (h *histogramTotals) forget(first uint64) {
	for ; h.first < first; h.first++ {
		h.ring.subtract(h.first, h.counts)
	}
}

// since returns the counts since a slot, in scratch if that has the room, and their sum. What came before the instance
// was made is nobody's, so an older slot than that will do.
func (h *histogramTotals) since(slot uint64, scratch []uint64) (counts []uint64, total uint64) {
	h.forget(slot + 1)
	counts = scratch[:0]
	for i, n := range h.counts {
		n += h.fresh[i]
		counts = append(counts, n)
		total += n
	}
	return counts, total
}
