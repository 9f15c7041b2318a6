package alertproc

import (
	"maps"
	"slices"
	"time"
)

// DefaultMaxDelay bounds what the multiplier of a Delay makes of it.
const DefaultMaxDelay = time.Hour

// Delay holds the notifications of one place back, so that an alert that comes and goes is not told of each time. The
// alert itself does not change: its state, the page, the metric and other places see it at once.
//
// When an alert begins to fire or goes from warn to crit, it is told after Up; when it goes back to warn or resolves,
// after Down. What is told is how it stands then, with the time and the reason of its last change. If it has come back by
// then to what was told last, nothing is told. Each change while one waits makes both delays of that alert longer by
// Multiplier, and the wait begins anew, but no change waits longer than Max in all. What waits at a Reload or Shutdown is told at once; what waits when the process is killed, never.
type Delay struct {
	Up, Down   time.Duration // 0 means at once
	Multiplier float64       // at least 1; 0 means 1
	Max        time.Duration // 0 means DefaultMaxDelay, or the longest of Up and Down if that is more
}

func (d Delay) max() time.Duration {
	if d.Max > 0 {
		return d.Max
	}
	return max(DefaultMaxDelay, d.Up, d.Down)
}

// longer is what becomes of a delay by a change while another waits.
func (d Delay) longer(delay time.Duration) time.Duration {
	if d.Multiplier <= 1 {
		return delay
	}
	return time.Duration(min(float64(delay)*d.Multiplier, float64(d.max())))
}

// delayed is what a sender with a Delay knows of each alert. It is guarded by Processor.mu.
type delayed struct {
	Delay
	repeats bool
	at      time.Time        // of the latest evaluation
	alerts  map[string]*held // by labels without severity
	order   []*held          // as they came
}

// held is an alert of which something waits, or was told.
type held struct {
	key      string
	told     level      // what the notifier knows
	as       Alert      // that, if told is firing
	now      level      // how it stands
	last     Transition // that brought it there
	since    time.Time  // of the first change that waits; zero if none does
	until    time.Time  // when it will be told
	up, down time.Duration

	sent     time.Time    // to a notifier that repeats
	resolved []*toldToEnd // likewise: what is still repeated
}

// toldToEnd is an alert whose end was told.
type toldToEnd struct {
	alert      Alert
	told, sent time.Time
}

// level is a severity as a number; 0 is not firing.
type level int

func levelOf(state State, severity string) level {
	if state != StateFiring {
		return 0
	}
	return level(1 + slices.Index(levelNames[:], severity))
}

// newDelayed takes what fires already for told: by whom this delay takes over from.
func newDelayed(d *Delay, e *engine, repeats bool) *delayed {
	if d == nil {
		return nil
	}
	c := &delayed{Delay: *d, repeats: repeats, alerts: map[string]*held{}}
	for _, r := range e.rules {
		for _, inst := range r.order {
			state, at := inst.state.shown()
			if state == StateFiring {
				a := r.alert(inst)
				c.add(&held{key: identity(a.Labels), told: level(at + 1), now: level(at + 1), as: a})
			}
			for _, old := range inst.state.resolved {
				if repeats {
					h := c.get(identity(old.alert.Labels))
					h.resolved = append(h.resolved, &toldToEnd{alert: old.alert, told: old.alert.ResolvedAt})
				}
			}
		}
	}
	return c
}

func (d *delayed) add(h *held) *held {
	d.alerts[h.key] = h
	d.order = append(d.order, h)
	return h
}

func (d *delayed) get(key string) *held {
	if h := d.alerts[key]; h != nil {
		return h
	}
	return d.add(&held{key: key})
}

// note takes in a change. What does not begin, change or end a firing alert is of no concern here.
func (d *delayed) note(t Transition, at time.Time) {
	from := levelOf(t.From, t.Alert.Severity)
	if t.FromSeverity != "" {
		from = levelOf(t.From, t.FromSeverity)
	}
	to := levelOf(t.To, t.Alert.Severity)
	if from == to {
		return
	}
	h := d.get(identity(t.Alert.Labels))
	if h.since.IsZero() {
		h.since, h.until, h.up, h.down = at, at, d.Up, d.Down
	} else {
		h.up, h.down = d.longer(h.up), d.longer(h.down)
	}
	wait := h.down
	if to > h.now {
		wait = h.up
	}
	h.now, h.last = to, t
	if until := at.Add(wait); until.After(h.until) {
		h.until = until
	}
	if end := h.since.Add(d.max()); h.until.After(end) {
		h.until = end
	}
}

// identity is the label set of an alert whatever its severity.
func identity(labels map[string]string) string {
	labels = maps.Clone(labels)
	delete(labels, "severity")
	return labelKey(labels)
}

// release returns what has waited long enough, as changes from what was told last. With all set nothing waits on.
func (d *delayed) release(e *engine, at time.Time, all bool) (changes []Transition) {
	d.at = at
	for _, h := range d.order {
		if h.since.IsZero() || !all && at.Before(h.until) {
			continue
		}
		if t, ok := d.tell(e, h); ok {
			changes = append(changes, t)
		}
	}
	d.forget()
	return changes
}

// forget drops those of which there is nothing left to say.
func (d *delayed) forget() {
	d.order = slices.DeleteFunc(d.order, func(h *held) bool {
		done := h.told == 0 && h.now == 0 && h.since.IsZero() && len(h.resolved) == 0
		if done {
			delete(d.alerts, h.key)
		}
		return done
	})
}

// tell makes the change that the notifier has yet to hear of. It is false if the alert is back at what was told.
func (d *delayed) tell(e *engine, h *held) (Transition, bool) {
	h.since, h.until = time.Time{}, time.Time{}
	if h.now == h.told {
		return Transition{}, false
	}
	t, was := h.last, h.as
	t.From, t.FromSeverity = StateInactive, ""
	if h.told > 0 {
		t.From = StateFiring
		was.State, was.ResolvedAt = StateInactive, t.At
		if d.repeats {
			h.resolved = append(h.resolved, &toldToEnd{alert: was, told: d.at})
		}
	}
	if h.told > 0 && h.now > 0 {
		t.FromSeverity = levelNames[h.told-1]
	}
	h.told, h.sent = h.now, time.Time{}
	if h.now == 0 {
		t.Alert = was // it ends as what was told, whatever it became meanwhile
		return t, true
	}
	h.as = t.Alert
	e.refresh(h)
	t.Alert = h.as
	// There is one alert for a label set at a time.
	h.resolved = slices.DeleteFunc(h.resolved, func(old *toldToEnd) bool { return old.alert.Severity == h.as.Severity })
	return t, true
}

// outgoing is engine.outgoing for a notifier that repeats: what it was told fires goes on firing for it until the rest
// is told.
func (d *delayed) outgoing(e *engine, resend time.Duration) (all []outgoing) {
	at := d.at
	for _, h := range d.order {
		for _, old := range h.resolved {
			if needsSending(at, resend, old.alert.ResolvedAt, old.sent) {
				old.sent = at
				all = append(all, outgoing{old.alert, old.alert.ResolvedAt})
			}
		}
		h.resolved = slices.DeleteFunc(h.resolved, func(old *toldToEnd) bool { return at.Sub(old.told) > resolvedRetention })
		if h.told > 0 && needsSending(at, resend, time.Time{}, h.sent) {
			h.sent = at
			every := e.refresh(h)
			all = append(all, outgoing{h.as, at.Add(4 * max(every, resend)).Round(0)})
		}
	}
	d.forget()
	return all
}

// refresh brings value and texts of an alert up to date that is told as it stands, and returns its group's interval.
func (e *engine) refresh(h *held) time.Duration {
	g := e.group(h.as.Group)
	if g == nil {
		return 0
	}
	for _, r := range g.rules {
		if r.Alert != h.as.Rule || h.told != h.now {
			continue
		}
		if inst := r.withLabels(h.key); inst != nil {
			if state, _ := inst.state.shown(); state == StateFiring {
				h.as = r.alert(inst)
			}
		}
	}
	return g.every
}
