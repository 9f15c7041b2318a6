package alertproc

import "slices"

// keptTransitions is how many changes an instance remembers.
const keptTransitions = 50

// remember adds a change to what the instance went through.
func (s *instanceState) remember(t Transition) {
	if len(s.past) == keptTransitions {
		copy(s.past, s.past[1:])
		s.past = s.past[:keptTransitions-1]
	}
	s.past = append(s.past, t)
}

// Transitions returns what the alerts of one rule went through, oldest first: the last 50 changes of each label set that
// is still known, each with its value, threshold and reason. They begin anew with the process. An unknown name gives
// nil.
func (p *Processor) Transitions(alert string) []Transition {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Transition
	for _, r := range p.current.rules {
		if r.Alert != alert {
			continue
		}
		for _, inst := range r.order {
			all = append(all, inst.state.past...)
		}
	}
	slices.SortStableFunc(all, func(a, b Transition) int { return a.At.Compare(b.At) })
	return all
}
