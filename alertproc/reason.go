package alertproc

import (
	"fmt"
	"math"
	"time"
)

// reason says for a person why the state changed.
func (r *rule) reason(inst *instance, from, to State, level int, at time.Time) string {
	read := &inst.read
	switch read.kind {
	case readAbsent:
		return "no data for " + shortDuration(at.Sub(inst.state.absentSince))
	case readFew:
		if r.Absent > 0 {
			return "recovered: the metric is there"
		}
		if math.IsNaN(read.count) || read.count == 0 {
			return "recovered: no observations"
		}
		return fmt.Sprintf("recovered: too few observations (%s)", rounded(read.count))
	}
	direction := "above"
	if !r.above {
		direction = "below"
	}
	bound, value := number(r.bound(inst, level)), rounded(r.levelValue(read, level))
	if r.Burn != nil {
		value += " times the error budget"
	}
	if low, high := r.exactness(inst, r.levelValue(read, level)); low != high {
		value += fmt.Sprintf(" (between %s and %s)", rounded(low), rounded(high))
	}
	switch {
	case to == StateInactive:
		return "recovered: value " + value
	case from == StateFiring && to == StateFiring:
		return fmt.Sprintf("now %s: value %s, threshold %s", levelNames[level], value, bound)
	case from == StateFiring:
		return fmt.Sprintf("hold raised to %s", shortDuration(r.For))
	case to == StateFiring && r.Match.Of > 0:
		return fmt.Sprintf("value %s %s %s at %d of %d evaluations", value, direction, bound, r.Match.N, r.Match.Of)
	case to == StateFiring && r.For > 0:
		return fmt.Sprintf("value %s %s %s for %s", value, direction, bound, shortDuration(r.For))
	default:
		return fmt.Sprintf("value %s %s %s", value, direction, bound)
	}
}
