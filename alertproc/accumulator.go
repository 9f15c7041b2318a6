package alertproc

import "math"

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

// observed notes an increase of a histogram. A sum that is not finite, of which one observation is enough, would be so
// for ever: a mean goes without what came then, and the rest never needs the sum.
func (a *accumulator) observed(tick uint64, delta bool, count uint64, sum float64) {
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		sum = 0
		if a.owner.rule.Value.Aggregation == Mean {
			count = 0
		}
	}
	a.add(tick, delta, float64(count), sum)
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
