package alertproc

import (
	"errors"
	"slices"
)

// accumulator sums what the series of an instance bring. Its totals only grow; windows are differences of them.
type accumulator struct {
	owner *instance
	tick  uint64 // of the snapshot that last fed it; 0 for none yet
	delta bool   // fed by delta temporality, where a missing series means no increase
	count float64
	sum   float64
	hist  *histogramTotals // nil if the rule needs no buckets

	// The values of the present tick, of gauges and up-down counters.
	n         int
	low, high float64
	valueSum  float64
}

// add notes an increase of count events with the given sum of values.
func (a *accumulator) add(tick uint64, delta bool, count, sum float64) {
	a.tick = tick
	a.delta = delta
	a.count += count
	a.sum += sum
}

// observe notes one present value.
func (a *accumulator) observe(tick uint64, v float64) {
	if a.tick != tick {
		a.tick = tick
		a.n, a.low, a.high, a.valueSum = 0, v, v, 0
	}
	a.n++
	a.low = min(a.low, v)
	a.high = max(a.high, v)
	a.valueSum += v
}

// present tells whether the part has data at tick. Under delta temporality it has from its first increase on: absence
// there means 0.
func (a *accumulator) present(tick uint64) bool {
	return a.tick == tick || a.delta && a.tick != 0
}

var errBounds = errors.New("series have different bucket bounds, which cannot be added up")

// histogramTotals are the bucket counts of an instance since it was made, with the ring of their values at the
// rule's slots. The ring keeps the low 32 bits: a difference is right as long as no bucket gets 2³² observations
// within one window, at half the memory.
type histogramTotals struct {
	layout buckets // where the buckets are; the same as one of the next two
	bounds explicit
	exp    *expLayout
	totals []uint64
	ring   []uint32 // slot after slot, len(totals) each
	slots  int
	err    error
}

func newHistogramTotals(slots int) *histogramTotals { return &histogramTotals{slots: slots} }

// addExplicit adds bucket counts. All series of an instance must have the same bounds, which are kept and must not change.
func (h *histogramTotals) addExplicit(bounds []float64, counts []uint64) {
	if h.totals == nil {
		h.bounds = bounds
		h.layout = h.bounds // made an interface once, and not at each evaluation
		h.resize(len(counts))
	}
	if h.exp != nil || len(counts) != len(h.totals) || !slices.Equal(h.bounds, bounds) {
		h.err = errBounds
		return
	}
	for i, n := range counts {
		h.totals[i] += n
	}
}

func (h *histogramTotals) resize(width int) {
	h.totals = make([]uint64, width)
	h.ring = make([]uint32, width*h.slots)
}

// note writes the totals into the ring.
func (h *histogramTotals) note(slot int) {
	row := h.ring[slot*len(h.totals):]
	for i, n := range h.totals {
		row[i] = uint32(n)
	}
}

// since returns the counts since a slot, in scratch if that has the room, and their sum. A slot of -1 is from before the
// instance was made, when all was 0.
func (h *histogramTotals) since(slot int, scratch []uint64) (counts []uint64, total uint64) {
	counts = scratch[:0]
	for i, n := range h.totals {
		d := n
		if slot >= 0 {
			d = uint64(uint32(n) - h.ring[slot*len(h.totals)+i])
		}
		counts = append(counts, d)
		total += d
	}
	return counts, total
}
