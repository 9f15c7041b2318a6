package alertproc

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"
)

// resolvedRetention is how long a resolved alert is remembered and its resolve repeated, as in Prometheus.
const resolvedRetention = 15 * time.Minute

// instanceState is where one label set stands. Warn and crit are followed apart, as if they were two rules of
// Prometheus; the alert shows the higher one that is firing, or else pending.
type instanceState struct {
	levels      [2]levelState
	labels      map[string]string // the alert's, without severity; nil while inactive
	values      [2]float64        // by level, last compared; one stays while the alert is only kept firing
	factors     [2]float64        // with Burn, what the values were compared with
	low, high   [2]float64        // of quantiles, the bounds of the values' buckets while the level is active
	absentSince time.Time         // zero while there is data
	restored    bool              // from a state file, and not judged anew yet
	covered     time.Time         // of a restored one: when the window lies after the restart
	sent        []time.Time       // by notifier that repeats: when the alert was last sent
	resolved    []*resolvedAlert  // of the last 15 minutes
	past        []Transition      // the last changes, oldest first
	evidence    Evidence          // of the alert that is active
}

// levelState is Prometheus' state machine for one level.
type levelState struct {
	state     State
	active    time.Time     // when the condition began to hold
	fired     time.Time     // when it went to firing
	paused    time.Duration // how much of the time since active does not count towards `for`
	keepSince time.Time     // when the condition ended that KeepFiringFor bridges; zero if it holds
	held      uint64        // with Match: the last evaluations, the newest in the lowest bit
}

// resolvedAlert is kept so that the resolve reaches an Alertmanager that was away.
type resolvedAlert struct {
	alert Alert
	sent  []time.Time
}

// step takes an instance from its last evaluation to this one. elapsed is the time in between.
func (r *rule) step(inst *instance, at time.Time, elapsed time.Duration) (Transition, bool) {
	s := &inst.state
	from, fromLevel := s.shown()
	was := *s
	r.levelsStep(inst, at, elapsed)
	to, toLevel := s.shown()
	if from == to && (fromLevel == toLevel || to != StateFiring) {
		return Transition{}, false
	}
	var before Alert
	if from != StateInactive {
		old := *inst
		old.state = was
		before = r.alert(&old)
	}
	if from == StateInactive {
		labels := r.alertLabels(inst, toLevel)
		if !r.claim(inst, labels) {
			r.failure = fmt.Errorf("two instances have the same labels %v; the second is not alerted", labels)
			s.levels = [2]levelState{}
			return Transition{}, false
		}
		s.labels = labels
	}
	t := Transition{At: at.Round(0), From: from, To: to, Reason: r.reason(inst, from, to, toLevel, at)}
	if from == StateFiring {
		s.retire(before, at)
	}
	if to == StateInactive {
		// What resolved keeps the labels, texts and value it had.
		t.Alert = before
		t.Alert.State = StateInactive
		t.Alert.ResolvedAt = at.Round(0)
		if from == StatePending {
			t.Alert.ResolvedAt = time.Time{}
		}
		s.labels, s.evidence = nil, Evidence{}
		return t, true
	}
	if from == StateFiring && to == StateFiring {
		t.FromSeverity = levelNames[fromLevel]
	}
	t.Alert = r.alert(inst)
	s.reclaim(t.Alert.Labels)
	return t, true
}

// levelsStep moves both levels.
func (r *rule) levelsStep(inst *instance, at time.Time, elapsed time.Duration) {
	s := &inst.state
	if inst.read.kind != readAbsent {
		s.absentSince = time.Time{}
	} else if s.absentSince.IsZero() {
		s.absentSince = at
	}
	kind := inst.read.kind
	restored := s.restored
	spared := s.spare(kind, at)
	if kind == readAbsent {
		switch gone := at.Sub(s.absentSince); {
		case restored && !spared && r.NoData == NoDataKeep:
			kind = readFew
		case r.NoData == NoDataKeep || gone < r.After:
			kind = readWait
		case r.NoData == NoDataResolve:
			kind = readFew
		}
	}
	for i := range s.levels {
		l := &s.levels[i]
		if r.levels[i] == nil {
			*l = levelState{} // a reload may have taken the level away
			continue
		}
		kind := kind
		if spared && inst.read.kind != readAbsent && (kind == readFew || kind == readValue && !r.holds(&inst.read, i, l.state == StateFiring)) {
			kind = readWait
		}
		switch kind {
		case readWait:
			l.pause(elapsed)
		case readAbsent:
			l.force(at, r.For, r.Match)
		case readFew:
			r.levelStep(l, false, at)
		default:
			r.levelStep(l, r.holds(&inst.read, i, l.state == StateFiring), at)
			if l.state == StateInactive || r.holds(&inst.read, i, l.state == StateFiring) {
				s.values[i] = r.levelValue(&inst.read, i)
				s.factors[i] = inst.read.factor[i]
				if l.state != StateInactive {
					s.low[i], s.high[i] = r.exactness(inst, s.values[i])
				}
			}
		}
	}
}

// holds tells whether v is beyond the level's bound, or, for a firing alert, not yet back at its clear bound.
func (r *rule) holds(read *reading, level int, firing bool) bool {
	v := r.levelValue(read, level)
	if r.Burn != nil {
		return v > read.factor[level]
	}
	t := r.levels[level]
	bound := t.bound()
	if firing {
		bound = t.clear()
	}
	if r.above {
		return v > bound
	}
	return v < bound
}

// levelValue is what a level compares.
func (r *rule) levelValue(read *reading, level int) float64 {
	if r.Burn != nil {
		return read.burn[level]
	}
	return read.value
}

// clear returns the value at which a firing alert ends.
func (t *Threshold) clear() float64 {
	if t.Clear != nil {
		return *t.Clear
	}
	return t.bound()
}

func (t *Threshold) bound() float64 {
	if t.Above != nil {
		return *t.Above
	}
	return *t.Below
}

// bound returns the level's bound, 0 if a reload took the level away while it was shown.
func (r *rule) bound(inst *instance, level int) float64 {
	if r.Burn != nil {
		return inst.state.factors[level]
	}
	if t := r.levels[level]; t != nil {
		return t.bound()
	}
	return 0
}

// levelStep applies the rule's way to wait.
func (r *rule) levelStep(l *levelState, holds bool, at time.Time) {
	if r.Match.Of == 0 {
		l.step(holds, at, r.For, r.KeepFiringFor)
		return
	}
	l.held <<= 1
	if holds {
		l.held |= 1
	}
	l.held &= math.MaxUint64 >> (maxMatch - r.Match.Of)
	held := l.held
	switch n := bits.OnesCount64(held); {
	case n >= r.Match.N:
		l.step(true, at, 0, r.KeepFiringFor)
	case l.state != StateFiring && n > 0:
		if l.state == StateInactive {
			l.state, l.active = StatePending, at
		}
	default:
		// An alert that ends forgets what it held for. Otherwise it would be pending at once.
		l.step(false, at, 0, r.KeepFiringFor)
		if l.state == StateInactive {
			held = 0
		}
	}
	l.held = held // step resets the whole level when it begins and when it ends
}

func (l *levelState) step(holds bool, at time.Time, hold, keep time.Duration) {
	if !holds {
		if l.state == StateFiring && keep > 0 {
			if l.keepSince.IsZero() {
				l.keepSince = at
			}
			if at.Sub(l.keepSince) < keep {
				return
			}
		}
		*l = levelState{}
		return
	}
	l.keepSince = time.Time{}
	if l.state == StateInactive {
		*l = levelState{state: StatePending, active: at}
	}
	held := at.Sub(l.active) - l.paused
	switch {
	case l.state == StatePending && held >= hold:
		l.state, l.fired = StateFiring, at
	case l.state == StateFiring && held < hold: // `for` was raised by a reload
		l.state, l.fired = StatePending, time.Time{}
	}
}

// pause lets the clocks stand still over the time since the last evaluation.
func (l *levelState) pause(elapsed time.Duration) {
	if l.state == StatePending {
		l.paused += elapsed
	}
	if !l.keepSince.IsZero() {
		l.keepSince = l.keepSince.Add(elapsed)
	}
}

// force makes the level fire whatever its hold is: no_data has waited already. A negative pause makes up for the hold.
func (l *levelState) force(at time.Time, hold time.Duration, m Match) {
	l.keepSince = time.Time{}
	if l.state == StateFiring {
		return
	}
	if l.state == StateInactive {
		l.active = at
	}
	l.state, l.fired = StateFiring, at
	if m.Of > 0 {
		l.held = math.MaxUint64 >> (maxMatch - m.N)
	}
	l.paused = min(l.paused, at.Sub(l.active)-hold)
}

// shown returns the state of the alert as a whole, and the level it has it from.
func (s *instanceState) shown() (State, int) {
	state, level := StateInactive, levelWarn
	for i := range s.levels {
		if s.levels[i].state >= state && s.levels[i].state != StateInactive {
			state, level = s.levels[i].state, i
		}
	}
	return state, level
}

// alert returns the instance as others see it, which must not be inactive.
func (r *rule) alert(inst *instance) Alert {
	s := &inst.state
	state, level := s.shown()
	a := Alert{
		Group: r.group.name, Rule: r.Alert, State: state, Severity: levelNames[level], Value: s.values[level],
		Threshold: r.bound(inst, level), Capture: r.Capture,
		Labels: make(map[string]string, len(s.labels)+1),
	}
	for k, v := range s.labels {
		a.Labels[k] = v
	}
	a.Labels["severity"] = a.Severity
	for i := range s.levels {
		l := &s.levels[i]
		if l.state == StateInactive {
			continue
		}
		if a.ActiveAt.IsZero() || l.active.Before(a.ActiveAt) {
			a.ActiveAt = l.active.Round(0)
		}
		if l.state == StateFiring && (a.FiredAt.IsZero() || l.fired.Before(a.FiredAt)) {
			a.FiredAt = l.fired.Round(0)
		}
	}
	if r.Value.Aggregation == Quantile { // a reload may have changed it
		a.Low, a.High = s.low[level], s.high[level]
	}
	data := TextData{
		Alert: r.Alert, Group: r.group.name, Value: a.Value, Threshold: a.Threshold, Severity: a.Severity, Labels: a.Labels,
		Low: a.Low, High: a.High,
	}
	if len(r.annotations) > 0 {
		a.Annotations = make(map[string]string, len(r.annotations))
	}
	for _, t := range r.annotations {
		a.Annotations[t.name] = t.expand(data)
	}
	a.show(s.evidence)
	return a
}

// exactness returns the bounds between which the true value is, 0 for both where v is exact or nothing is known. It
// reads the window, so it is not for those that hold no more than the state lock.
func (r *rule) exactness(inst *instance, v float64) (low, high float64) {
	h := inst.parts[partMain].hist
	if r.Value.Aggregation != Quantile || h == nil || h.counts == nil {
		return 0, 0
	}
	low, high, _ = bucketOf(v, h.layout, len(h.counts))
	return low, high
}

// alertLabels makes the labels an alert keeps for as long as it is active: those of the series, then the rule's,
// which may be templates and take labels away by being empty, then alertname. A label that shows the value does not
// make a new alert at every evaluation, because it is expanded only here.
func (r *rule) alertLabels(inst *instance, level int) map[string]string {
	labels := make(map[string]string, len(inst.by)+len(r.labels)+2)
	for _, t := range inst.by {
		labels[t.key] = t.value
	}
	data := TextData{
		Alert: r.Alert, Group: r.group.name, Value: inst.state.values[level], Threshold: r.bound(inst, level),
		Low: inst.state.low[level], High: inst.state.high[level], Severity: levelNames[level], Labels: inst.by.asMap(),
	}
	for _, t := range r.labels {
		if v := t.expand(data); v != "" {
			labels[t.name] = v
		} else {
			delete(labels, t.name)
		}
	}
	labels["alertname"] = r.Alert
	return labels
}

// claim is false if another active instance of the rule has the same labels already. That one stays.
func (r *rule) claim(inst *instance, labels map[string]string) bool {
	key := labelKey(labels)
	if r.withLabels(key) != nil {
		return false
	}
	r.active[key] = inst
	return true
}

// withLabels returns the active instance that has a labelKey, nil if none has. The index is made when it is first asked
// for after an evaluation: with a thousand alerts at once, comparing each with each takes longer than all the rest.
func (r *rule) withLabels(key string) *instance {
	if r.active == nil {
		r.active = map[string]*instance{}
		for _, inst := range r.order {
			if inst.state.labels != nil {
				r.active[labelKey(inst.state.labels)] = inst
			}
		}
	}
	if inst := r.active[key]; inst != nil && inst.state.labels != nil { // it may have ended since
		return inst
	}
	return nil
}

func equalLabels(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// retire remembers an alert that stopped firing, or stopped firing with this severity.
func (s *instanceState) retire(was Alert, at time.Time) {
	s.forget(at)
	was.State = StateInactive
	was.ResolvedAt = at.Round(0)
	s.resolved = append(s.resolved, &resolvedAlert{alert: was, sent: s.sent})
	s.sent = nil
}

// reclaim forgets the resolve of an earlier alert with these labels, which are now those of one that is active again,
// be it only pending: as in Prometheus, there is one alert for a label set at a time.
func (s *instanceState) reclaim(labels map[string]string) {
	s.resolved = slices.DeleteFunc(s.resolved, func(old *resolvedAlert) bool { return equalLabels(old.alert.Labels, labels) })
}

// forget drops resolves that have been repeated for long enough.
func (s *instanceState) forget(at time.Time) {
	for len(s.resolved) > 0 && at.Sub(s.resolved[0].alert.ResolvedAt) > resolvedRetention {
		s.resolved = s.resolved[1:]
	}
}
