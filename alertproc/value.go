package alertproc

import (
	"math"
	"time"
)

// reading is what a rule says about an instance in one evaluation.
type reading struct {
	kind  readingKind
	value float64
	count float64 // observations in the window
	// With Burn, both levels have a value and a bound of their own.
	burn, factor [2]float64
}

// readingKind keeps the ways apart in which there can be no value.
type readingKind uint8

const (
	readWait   readingKind = iota // nothing can be said yet or because of an error: all clocks stand still
	readValue                     // value is to be compared
	readFew                       // the series is there, but with too few observations: the condition does not hold
	readAbsent                    // the series is gone or not a number: the rule's no_data decides
)

// windowedGauge tells whether the rule looks at present values over a window.
func (r *rule) windowedGauge() bool {
	return r.over > 0 && r.Ratio == nil && (r.kind == kindGauge || r.kind == kindUpDown)
}

// fold takes the present tick's gauge values into the windows. It runs at each snapshot, also between the group's
// evaluations, so that a short peak is seen.
func (r *rule) fold(tick uint64) {
	if !r.windowedGauge() {
		return
	}
	for _, inst := range r.order {
		if a := &inst.parts[partMain]; a.tick == tick {
			inst.folded = r.join(inst.folded, pair{r.present(a), 1})
		}
	}
}

// present makes one value of a tick's values. Up-down counters add up. Gauges do not, so the one nearest to the
// threshold speaks for all, unless the rule asks for another.
func (r *rule) present(a *accumulator) float64 {
	switch agg := r.Value.Aggregation; {
	case r.kind == kindUpDown || r.Ratio != nil:
		return a.valueSum
	case agg == Mean:
		return a.valueSum / float64(a.n)
	case agg == Max || agg == Last && r.above:
		return a.high
	default:
		return a.low
	}
}

// join adds two stretches of a gauge's window; b counts the ticks in each, and with 0 of them a has no meaning.
func (r *rule) join(x, y pair) pair {
	switch {
	case x.b == 0:
		return y
	case y.b == 0:
		return x
	case r.Value.Aggregation == Mean:
		return pair{x.a + y.a, x.b + y.b}
	case r.Value.Aggregation == Max:
		return pair{max(x.a, y.a), x.b + y.b}
	default:
		return pair{min(x.a, y.a), x.b + y.b}
	}
}

// measure computes every instance's reading at now and notes the totals for later windows.
func (r *rule) measure(tick uint64, now int64) {
	r.failure = r.misfit
	base, full, ok := uint64(0), false, false
	if r.over > 0 {
		base, full, ok = r.slots.base(now)
	}
	for _, inst := range r.order {
		inst.read = r.value(inst, tick, now, base, full, ok)
		if h := inst.parts[partMain].hist; h != nil && h.err != nil {
			r.failure = h.err
		}
	}
	if r.over > 0 && r.slots.due(now) {
		slot := r.slots.push(now)
		for _, inst := range r.order {
			r.note(inst, slot)
		}
	}
}

// note writes what the window arithmetic needs into a slot.
func (r *rule) note(inst *instance, slot uint64) {
	bad, total := &inst.parts[partMain], &inst.parts[partTotal]
	if bad.hist != nil {
		bad.hist.note(slot)
		return
	}
	p := &inst.ring[slot%uint64(len(inst.ring))]
	switch {
	case r.windowedGauge():
		*p = inst.folded
		inst.folded = pair{math.NaN(), 0}
	case r.Ratio != nil:
		*p = pair{bad.count, total.count}
	default:
		*p = pair{bad.count, bad.sum}
	}
}

func (r *rule) value(inst *instance, tick uint64, now int64, base uint64, full, ok bool) reading {
	if inst.key == keyNeverSeen && len(r.order) > 1 {
		return reading{kind: readFew} // by now there are real ones
	}
	if !inst.data(tick) {
		return reading{kind: readAbsent}
	}
	a := &inst.parts[partMain]
	switch {
	case r.Absent > 0:
		return reading{kind: readFew} // it is there
	case r.Burn != nil:
		return r.burnRate(inst, now)
	case r.Ratio != nil && !r.kind.counts():
		return r.presentRatio(inst, tick)
	case r.Value.Aggregation == Last && r.Ratio == nil:
		return r.judge(r.present(a), float64(a.n))
	case r.windowedGauge():
		return r.gaugeWindow(inst, base, full, ok)
	case !ok:
		return reading{kind: readWait} // the first evaluation is only the beginning of a window
	case a.hist != nil:
		return r.histogram(inst, base)
	}
	var then pair // all zero before the instance was made
	if base >= inst.birth {
		then = inst.ring[base%uint64(len(inst.ring))]
	}
	if r.Ratio != nil {
		bad, total := a.count-then.a, inst.parts[partTotal].count-then.b
		if total <= 0 || total < r.Ratio.MinTotal {
			return reading{kind: readFew, count: total}
		}
		return reading{kind: readValue, value: bad / total, count: total}
	}
	count, sum := a.count-then.a, a.sum-then.b
	switch r.Value.Aggregation {
	case Increase:
		return r.judge(count, count)
	case Rate:
		seconds := time.Duration(now - r.slots.time(base)).Seconds()
		return r.judge(count/seconds, count)
	default: // Mean of a histogram
		return r.judge(sum/count, count)
	}
}

// judge makes a reading of a value that rests on count observations.
func (r *rule) judge(value, count float64) reading {
	if math.IsNaN(value) || count < r.MinCount {
		return reading{kind: readFew, count: count}
	}
	return reading{kind: readValue, value: value, count: count}
}

func (r *rule) presentRatio(inst *instance, tick uint64) reading {
	total := inst.parts[partTotal].valueSum
	if !(total > 0) || total < r.Ratio.MinTotal {
		return reading{kind: readFew, count: total}
	}
	bad := 0.0
	if a := &inst.parts[partMain]; a.tick == tick {
		bad = a.valueSum
	}
	return r.judge(bad/total, total)
}

func (r *rule) gaugeWindow(inst *instance, base uint64, full, ok bool) reading {
	window := inst.folded
	if ok {
		// A slot stands for the time that ends with it, so the one at the beginning of the window lies outside.
		first := base
		if full {
			first++
		}
		for n := max(first, inst.birth); n < r.slots.next; n++ {
			window = r.join(window, inst.ring[n%uint64(len(inst.ring))])
		}
	}
	if r.Value.Aggregation == Mean {
		window.a /= window.b
	}
	return r.judge(window.a, window.b)
}

func (r *rule) histogram(inst *instance, base uint64) reading {
	h := inst.parts[partMain].hist
	switch {
	case h.err != nil:
		return reading{kind: readWait}
	case h.counts == nil: // no observation since the instance was made
		return reading{kind: readFew}
	}
	counts, total := h.since(base, r.scratch)
	r.scratch = counts
	if r.Value.Aggregation == Quantile {
		return r.judge(quantile(r.Value.Arg, h.layout, counts, total), float64(total))
	}
	return r.judge(fractionAbove(r.Value.Arg, h.layout, counts, total), float64(total))
}
