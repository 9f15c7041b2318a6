package alertproc

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// arrival is what came to a histogram before one slot.
type arrival struct {
	slot     uint64
	explicit []uint64
	exp      expCounts
}

// arrivals say what a window holds by adding up all that ever arrived in it.
type arrivals []arrival

func (all arrivals) since(slot uint64, h *histogramTotals) []uint64 {
	counts := make([]uint64, len(h.counts))
	for _, a := range all {
		if a.slot <= slot {
			continue
		}
		for i, n := range a.explicit {
			counts[i] += n
		}
		if h.exp == nil {
			continue
		}
		counts[h.exp.negative.size()] += a.exp.zero
		for _, side := range []struct {
			expRange
			negative bool
		}{{a.exp.positive, false}, {a.exp.negative, true}} {
			for i, n := range side.counts {
				if n > 0 {
					counts[h.exp.place((side.offset+int32(i))>>(a.exp.scale-h.exp.scale), side.negative)] += n
				}
			}
		}
	}
	return counts
}

// size returns a number whose bytes are as likely one as six: rings widen again and again.
func size(r *rand.Rand) uint64 {
	switch r.IntN(3) {
	case 0:
		return 0
	case 1:
		return uint64(r.IntN(4))
	default:
		return r.Uint64N(1 << (8 * (1 + r.IntN(6))))
	}
}

func sizes(r *rand.Rand, n int) []uint64 {
	counts := make([]uint64, n)
	for i := range counts {
		counts[i] = size(r)
	}
	return counts
}

// Whatever arrives when, a window has exactly what arrived in it: with slots that are skipped, windows that jump, rings
// that go round many times, numbers that outgrow their bytes, and exponential buckets that widen and coarsen.
func TestHistogramWindowsAgainstAReference(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		const slots = 7
		birth := r.Uint64N(20)
		h := newHistogramTotals(slots, birth)
		exponential := seed%2 == 1
		scale := int32(6)
		var all arrivals
		base := max(birth, 1) - 1 // windows begin with a slot that was made
		for slot := birth; slot < birth+60; slot++ {
			for range r.IntN(3) {
				a := arrival{slot: slot}
				if exponential {
					scale -= int32(r.IntN(20) / 19) // rarely
					a.exp = expCounts{
						scale: scale, zero: size(r),
						positive: expRange{int32(r.IntN(60)) - 30, sizes(r, r.IntN(12))},
						negative: expRange{int32(r.IntN(60)) - 30, sizes(r, r.IntN(12))},
					}
					h.addExponential(&a.exp, 1)
				} else {
					a.explicit = sizes(r, len(testBounds)+1)
					h.addExplicit(testBounds, a.explicit)
				}
				all = append(all, a)
			}
			if h.counts != nil && slot > 0 && r.IntN(8) > 0 { // else nobody asks, as while the series are away
				base = min(slot-1, max(base+r.Uint64N(3), max(slot, slots)-slots))
				want := all.since(base, h)
				sum := uint64(0)
				for _, n := range want {
					sum += n
				}
				if got, total := h.since(base, nil); !slices.Equal(got, want) || total != sum {
					t.Fatalf("seed %d, slot %d, since slot %d: got %v, in all %d; want %v, in all %d", seed, slot, base, got, total, want, sum)
				}
			}
			h.note(slot)
		}
	}
}

// Once its numbers have the bytes they need, a window costs no allocation.
func TestHistogramWindowsDoNotAllocate(t *testing.T) {
	h := newHistogramTotals(7, 0)
	counts := []uint64{0, 1, 300, 70_000, 1 << 40}
	var scratch []uint64
	slot := uint64(0)
	step := func() {
		h.addExplicit(testBounds, counts)
		if slot > 0 {
			scratch, _ = h.since(max(slot, 6)-6, scratch)
		}
		h.note(slot)
		slot++
	}
	step()
	step()
	if got := testing.AllocsPerRun(100, step); got != 0 {
		t.Errorf("%v allocations a step, want none", got)
	}
	if want := 7 * (0 + 1 + 2 + 3 + 6); len(h.ring.rows) != want {
		t.Errorf("the ring takes %d B, want %d", len(h.ring.rows), want)
	}
}
