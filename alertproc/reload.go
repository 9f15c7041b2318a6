package alertproc

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Reload puts new rules and notifiers in place of the old ones. It is all or nothing: with a mistake in cfg everything
// stays as it is. The run-time fields of cfg are not read, but Notify is as a whole: name the notifiers written in Go
// again. Replaced notifiers still deliver what they have queued.
//
// Alerts go on in the rule that has the same group, name, static labels and By, with their times; windows go on too
// if the rule measures the same. What was counted before counts for new rules on metrics that were read already.
// Firing alerts of rules that are gone resolve, at the time of the last evaluation, or now if there was none yet.
func (p *Processor) Reload(cfg Config) error {
	if err := verify(cfg); err != nil {
		return err
	}
	changes, err := p.reload(cfg)
	p.subs.tell(changes)
	return err
}

func (p *Processor) reload(cfg Config) ([]Transition, error) {
	p.evalMu.Lock()
	defer p.evalMu.Unlock()
	if p.down.Load() {
		return nil, fmt.Errorf("alertproc: reload: %w", ErrShutdown)
	}
	cfg.MaxInstances, cfg.Known = p.base.MaxInstances, p.base.Known
	old, next := p.engine, newEngine(cfg, &p.mu)

	p.mu.Lock()
	next.tick, next.marks, next.lastSweep = old.tick, old.marks, old.lastSweep
	for _, g := range next.groups {
		was := old.group(g.name)
		if was != nil && was.every == g.every {
			g.slot, g.last = was.slot, was.last
		}
		if was != nil {
			g.saved = was.saved
		}
		for _, r := range g.rules {
			if was != nil {
				r.takeOver(was.rule(r))
			}
		}
	}
	at := p.last
	if !p.begun { // only what was restored can be active yet
		at = time.Now()
	}
	changes := old.abandon(next, at)
	p.mu.Unlock()

	// Joining series to instances may make new ones, which takes the state lock for each.
	for name, in := range next.instruments {
		if was := old.instruments[name]; was != nil {
			in.takeOver(was)
		}
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	p.engine, p.current = next, next
	// The old notifiers hear of what the reload ended, then no more.
	for _, s := range p.senders {
		switch {
		case s.delay != nil:
			s.hold(old, at, changes, true)
		case s.resend == 0:
			s.tell(changes)
		default:
			s.repeat(ended(changes))
		}
		s.close()
	}
	p.senders = nil
	if !p.down.Load() { // Shutdown may have come meanwhile, and waits for no further ones
		p.senders = p.startSenders(cfg.Notify)
	}
	return changes, nil
}

func (e *engine) group(name string) *group {
	i := slices.IndexFunc(e.groups, func(g *group) bool { return g.name == name })
	if i < 0 {
		return nil
	}
	return e.groups[i]
}

// rule returns the group's rule whose alerts go on in r.
func (g *group) rule(r *rule) *rule {
	for _, was := range g.rules {
		if was.continuedBy(r) {
			return was
		}
	}
	return nil
}

func (r *rule) continuedBy(next *rule) bool {
	return r.Alert == next.Alert && maps.Equal(r.Labels, next.Labels) && slices.Equal(r.By, next.By) &&
		(r.Func == nil) == (next.Func == nil)
}

// measuresAs tells whether both rules have the same windows.
func (r *rule) measuresAs(o *rule) bool {
	return r.Func == nil && o.Func == nil && (r.Burn == nil) == (o.Burn == nil) && r.group.every == o.group.every && r.Metric == o.Metric &&
		maps.Equal(r.Where, o.Where) && r.Value == o.Value && reflect.DeepEqual(r.Ratio, o.Ratio) && r.above == o.above
}

// takeOver moves the instances of was, which may be nil, to r.
func (r *rule) takeOver(was *rule) {
	if was == nil {
		return
	}
	windows := r.measuresAs(was)
	if windows {
		r.slots, r.kind = was.slots, was.kind
	}
	r.status = was.status
	for _, inst := range was.order {
		c := &instance{rule: r, key: inst.key, by: inst.by, state: inst.state, birth: r.slots.next}
		if windows {
			c.parts, c.birth, c.ring, c.burn, c.folded, c.read = inst.parts, inst.birth, inst.ring, inst.burn, inst.folded, inst.read
		} else {
			c.allocate()
		}
		c.parts[partMain].owner, c.parts[partTotal].owner = c, c
		// The new notifiers have been told nothing yet.
		c.state.sent = nil
		for _, old := range c.state.resolved {
			old.sent = nil
		}
		r.insert(c)
	}
}

// takeOver moves the series of was to in and joins them to the instances of in's rules.
func (in *instrument) takeOver(was *instrument) {
	in.started, in.streams = was.started, was.streams
	in.seen, in.overflowed = was.seen, was.overflowed
	var texts labelTexts
	for _, st := range in.streams {
		for _, s := range st.series {
			s.feeds = nil
			texts = in.join(st, s, texts)
		}
	}
}

// abandon ends the alerts of rules that do not go on in next.
func (e *engine) abandon(next *engine, at time.Time) (changes []Transition) {
	for _, g := range e.groups {
		for _, r := range g.rules {
			if to := next.group(g.name); to != nil && slices.ContainsFunc(to.rules, r.continuedBy) {
				continue
			}
			for _, inst := range r.order {
				from, _ := inst.state.shown()
				if from == StateInactive {
					continue
				}
				a := r.alert(inst)
				a.State = StateInactive
				if from == StateFiring {
					a.ResolvedAt = at.Round(0)
				}
				changes = append(changes, Transition{At: at.Round(0), From: from, To: StateInactive, Reason: "the rule was removed", Alert: a})
			}
		}
	}
	return changes
}

// ended lists the alerts that stopped firing.
func ended(changes []Transition) (all []outgoing) {
	for _, t := range changes {
		if t.From == StateFiring {
			all = append(all, outgoing{t.Alert, t.At})
		}
	}
	return all
}
