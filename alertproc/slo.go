package alertproc

import (
	"fmt"
	"time"
)

// DefaultPeriod is what an error budget is meant to last for, if the rule does not say.
const DefaultPeriod = 30 * 24 * time.Hour

// burnPair is a pair of windows with the share of the period's budget whose loss within the long one is told. The
// short one ends the alert soon after the trouble. The values are those of the Site Reliability Workbook, chapter 5.
type burnPair struct {
	short, long time.Duration
	budget      float64
	level       int
}

var burnPairs = [...]burnPair{
	{5 * time.Minute, time.Hour, 0.02, levelCrit},
	{30 * time.Minute, 6 * time.Hour, 0.05, levelCrit},
	{2 * time.Hour, 24 * time.Hour, 0.10, levelWarn},
	{6 * time.Hour, 72 * time.Hour, 0.10, levelWarn},
}

// factor is the burn rate at which the pair's share is lost in its long window: 14.4, 6, 3 and 1 for 30 days.
func (p burnPair) factor(period time.Duration) float64 {
	return p.budget * float64(period) / float64(p.long)
}

// burnTiers are the steps in which totals are kept: fine ones for short windows, coarse ones for long windows. Together
// they are 332 slots of 24 bytes, about 8 kB an instance.
var burnTiers = [...]struct {
	step  time.Duration
	slots int
}{{10 * time.Second, 36}, {time.Minute, 66}, {5 * time.Minute, 80}, {30 * time.Minute, 150}}

// burnRings hold an instance's totals at past times.
type burnRings [len(burnTiers)]burnRing

type burnRing struct {
	slots []burnSlot
	next  uint64 // number of the slot that comes next; slot n is at n modulo the length
}

// burnSlot is the totals at a time, which is an offset from the processor's first evaluation.
type burnSlot struct {
	at         int64
	bad, total float64
}

func newBurnRings() *burnRings {
	var b burnRings
	for i, t := range burnTiers {
		b[i].slots = make([]burnSlot, t.slots)
	}
	return &b
}

func (b *burnRings) note(s burnSlot) {
	for i := range b {
		// An evaluation may come a little early.
		step := int64(burnTiers[i].step)
		if r := &b[i]; r.next == 0 || s.at-r.slot(r.next-1).at >= step-step/10 {
			r.push(s)
		}
	}
}

func (r *burnRing) slot(n uint64) *burnSlot { return &r.slots[n%uint64(len(r.slots))] }

func (r *burnRing) push(s burnSlot) {
	*r.slot(r.next) = s
	r.next++
}

func (r *burnRing) oldest() uint64 {
	if n := uint64(len(r.slots)); r.next > n {
		return r.next - n
	}
	return 0
}

// since returns what was added within the window that ends with now, and which part of the window is known.
func (b *burnRings) since(window time.Duration, now burnSlot) (bad, total, known float64) {
	tier := 0
	for tier < len(b)-1 && burnTiers[tier].step*time.Duration(burnTiers[tier].slots) < window {
		tier++
	}
	r := &b[tier]
	if r.next == 0 {
		return 0, 0, 0
	}
	begin := now.at - int64(window)
	base := r.slot(r.oldest())
	for n := r.next; n > r.oldest(); n-- {
		if s := r.slot(n - 1); s.at <= begin {
			base = s
			break
		}
	}
	known = min(1, float64(now.at-base.at)/float64(window))
	return now.bad - base.bad, now.total - base.total, known
}

// burn is how fast the budget goes: 1 spends it in exactly the period. Time that is not known, before the process
// started, counts as if nothing had failed in it: a long window is not judged by its first minute.
func (b *burnRings) burn(window time.Duration, now burnSlot, objective, minTotal float64) float64 {
	bad, total, known := b.since(window, now)
	if total <= 0 || total < minTotal {
		return 0
	}
	return bad / total / (1 - objective/100) * known
}

// burnRate judges both levels: of each, the pair that is nearest to its factor, or furthest beyond.
func (r *rule) burnRate(inst *instance, now int64) reading {
	slot := burnSlot{now, inst.parts[partMain].count, inst.parts[partTotal].count}
	defer inst.burn.note(slot)
	if inst.burn[0].next == 0 {
		return reading{kind: readWait} // only the beginning
	}
	read := reading{kind: readValue}
	_, read.count, _ = inst.burn.since(burnPairs[0].short, slot)
	best := [2]float64{-1, -1}
	for _, p := range burnPairs {
		factor := p.factor(r.Burn.period())
		rate := min(inst.burn.burn(p.short, slot, r.Burn.Objective, r.Ratio.MinTotal),
			inst.burn.burn(p.long, slot, r.Burn.Objective, r.Ratio.MinTotal))
		if rate/factor > best[p.level] {
			best[p.level] = rate / factor
			read.burn[p.level], read.factor[p.level] = rate, factor
		}
	}
	return read
}

func (b *Burn) period() time.Duration {
	if b.Period == 0 {
		return DefaultPeriod
	}
	return b.Period
}

// query names the burn rates that are told.
func (b *Burn) query(r *Ratio) string {
	text := fmt.Sprintf("burn(%s%%, %s, %s, %s) >", number(b.Objective), r.Bad, r.Total, shortDuration(b.period()))
	for _, p := range burnPairs {
		text += fmt.Sprintf(" %s in %s/%s", number(p.factor(b.period())), shortDuration(p.short), shortDuration(p.long))
		if p != burnPairs[len(burnPairs)-1] {
			text += " or"
		}
	}
	return text
}

// savedBurn is an instance's rings in a state file.
type savedBurn struct {
	Key   string            `json:"key,omitempty"`
	By    map[string]string `json:"by,omitempty"`
	Bad   float64           `json:"bad"`
	Total float64           `json:"total"`
	// Tiers have a slot's age in seconds, and what was bad and total by then.
	Tiers [len(burnTiers)][][3]float64 `json:"tiers"`
}

func (r *rule) saveBurn(now int64) (all []savedBurn) {
	if r.Burn == nil {
		return nil
	}
	for _, inst := range r.order {
		saved := savedBurn{Key: inst.key, By: inst.by.asMap(), Bad: inst.parts[partMain].count, Total: inst.parts[partTotal].count}
		for i := range inst.burn {
			ring := &inst.burn[i]
			for n := ring.oldest(); n < ring.next; n++ {
				s := ring.slot(n)
				age := time.Duration(now - s.at).Seconds()
				saved.Tiers[i] = append(saved.Tiers[i], [3]float64{age, s.bad, s.total})
			}
		}
		all = append(all, saved)
	}
	return all
}

// restoreBurn puts rings back. Their times are relative to when they were saved, until group.skip knows how long the
// process was down. Totals go on from where they were.
func (r *rule) restoreBurn(all []savedBurn) {
	if r.Burn == nil {
		return
	}
	for _, saved := range all {
		inst := r.instances[saved.Key]
		if inst == nil {
			if inst = r.add(saved.Key, textsOf(saved.By)); inst == nil {
				continue
			}
		}
		inst.parts[partMain].count, inst.parts[partTotal].count = saved.Bad, saved.Total
		for i, slots := range saved.Tiers {
			for _, s := range slots {
				inst.burn[i].push(burnSlot{-int64(s[0] * float64(time.Second)), s[1], s[2]})
			}
		}
	}
}

// shift moves all times into the past.
func (b *burnRings) shift(by time.Duration) {
	for i := range b {
		for j := range b[i].slots {
			b[i].slots[j].at -= int64(by)
		}
	}
}
