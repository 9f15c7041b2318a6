package history

import "time"

// Metric is what the store knows of a metric beside its numbers.
type Metric struct {
	Name string
	Unit string
	Kind Kind
}

// Metrics returns the metrics of which series are held, in the order they were first seen. Where two scopes give one name to
// different kinds, the first counts.
func (s *Store) Metrics() []Metric {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Metric
	seen := make(map[string]bool)
	for _, m := range s.order {
		if !seen[m.key.name] && len(m.all) > 0 {
			seen[m.key.name] = true
			out = append(out, Metric{m.key.name, m.unit, m.key.kind})
		}
	}
	return out
}

// GapAfter returns the distance between two snapshots from which it counts as a gap.
func (s *Store) GapAfter() time.Duration { return s.cfg.GapAfter }
