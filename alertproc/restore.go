package alertproc

import (
	"maps"
	"math"
	"slices"
	"time"
)

// restore puts saved alerts back into the rules that are still there. It runs before the first evaluation.
func (e *engine) restore(s *savedState) {
	for _, saved := range s.Rules {
		g := e.group(saved.Group)
		if g == nil {
			continue
		}
		i := slices.IndexFunc(g.rules, func(r *rule) bool {
			return r.Alert == saved.Alert && maps.Equal(r.Labels, saved.Labels) && slices.Equal(r.By, saved.By)
		})
		if i < 0 {
			continue
		}
		r := g.rules[i]
		for _, one := range saved.Instances {
			if len(r.order) < r.limit && r.instances[one.Key] == nil && one.sane(s.At) {
				r.add(one.Key, textsOf(one.By)).state.restore(one)
			}
		}
		r.restoreBurn(saved.Burn)
		// The time until the first evaluation, while the process was down, stands still for the clocks.
		g.saved = s.At
	}
}

// sane tells whether an instance can have been written by save. What a person changed must not bring a state that
// rules cannot be in.
func (s *savedInstance) sane(at time.Time) bool {
	active := false
	for _, l := range s.Levels {
		switch {
		case l.State < StateInactive || l.State > StateFiring, math.IsNaN(l.Value),
			l.Active.After(at), l.Fired.After(at), l.KeepSince.After(at),
			l.State != StateInactive && l.Active.IsZero(), l.State == StateFiring && l.Fired.IsZero():
			return false
		}
		active = active || l.State != StateInactive
	}
	return active == (s.Labels != nil)
}

func (s *instanceState) restore(saved savedInstance) {
	s.labels, s.restored, s.evidence = saved.Labels, true, saved.Evidence
	for i, l := range saved.Levels {
		s.levels[i] = levelState{
			state: l.State, active: l.Active, fired: l.Fired, paused: l.Paused, keepSince: l.KeepSince, held: l.Held,
		}
		s.values[i] = l.Value
	}
	for _, a := range saved.Resolved {
		s.resolved = append(s.resolved, &resolvedAlert{alert: a})
	}
}

// skip lets the clocks of all instances stand still over the time that the process was down.
func (g *group) skip(at time.Time) {
	if g.saved.IsZero() {
		return
	}
	down := at.Sub(g.saved)
	g.saved = time.Time{}
	for _, r := range g.rules {
		for _, inst := range r.order {
			inst.state.covered = at.Add(r.over)
			if inst.burn != nil {
				inst.burn.shift(max(0, down))
			}
			for i := range inst.state.levels {
				l := &inst.state.levels[i]
				if down < 0 { // the wall clock was set back
					l.shift(down)
				} else {
					l.pause(down)
				}
			}
		}
	}
}

// shift moves all times.
func (l *levelState) shift(by time.Duration) {
	for _, t := range []*time.Time{&l.active, &l.fired, &l.keepSince} {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
}

// spare tells whether a reading says too little to end what was restored: the window does not reach back to before the
// restart yet, or the series has not been seen since. A label set that does not come back ends like any other alert
// that is sure not to be told of again.
func (s *instanceState) spare(kind readingKind, at time.Time) bool {
	switch {
	case !s.restored:
		return false
	case kind == readAbsent:
		s.restored = at.Before(s.covered.Add(resolvedRetention))
	case !at.Before(s.covered):
		s.restored = false
	}
	return s.restored
}
