package alertproc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/internal/guard"
)

// engine holds the windows. One goroutine at a time works on it.
type engine struct {
	groups      []*group
	rules       []*rule // of all groups
	instruments map[string]*instrument
	tick        uint64 // snapshots taken in
	marks       []uint64
	lastSweep   int64
	scratch     []uint64
	texts       labelTexts
	mu          *sync.Mutex // Processor.mu

	known     []string // metrics that need not be warned of
	loaded    int64    // time of the first snapshot with these rules; negative before
	allKnown  bool     // nothing is left to be warned of
	overflows []error  // to be warned of
}

// group is a Group made ready.
type group struct {
	name, file string
	every      time.Duration
	rules      []*rule
	slot       int64 // number of the last interval that was evaluated; -1 before the first
	last       time.Time
	saved      time.Time // when the state was saved that was restored; zero from the first evaluation on
	due        bool
	own        bool // not the user's, but of limitRule
}

func (g Group) interval() time.Duration {
	if g.Every == 0 {
		return DefaultInterval
	}
	return g.Every
}

func newEngine(cfg Config, mu *sync.Mutex) *engine {
	e := &engine{instruments: map[string]*instrument{}, mu: mu, known: append(slices.Clone(cfg.Known), metricState, metricNotifications), loaded: -1}
	limit := cfg.MaxInstances
	if limit == 0 {
		limit = DefaultMaxInstances
	}
	for _, g := range cfg.Groups {
		c := &group{name: g.Name, file: g.File, every: g.interval(), slot: -1}
		for _, r := range g.Rules {
			c.rules = append(c.rules, newRule(r, c, limit, mu))
		}
		e.groups = append(e.groups, c)
		e.rules = append(e.rules, c.rules...)
	}
	if len(cfg.Groups) > 0 {
		e.addLimitRule(cfg)
	}
	for _, r := range e.rules {
		switch {
		case r.Func != nil:
		case r.Ratio != nil:
			e.ask(r, partMain, r.Ratio.Bad)
			e.ask(r, partTotal, r.Ratio.Total)
		default:
			e.ask(r, partMain, Selector{r.Metric, r.Where})
		}
	}
	return e
}

// ask joins a rule to an instrument.
func (e *engine) ask(r *rule, part int, s Selector) {
	in := e.instruments[s.Metric]
	if in == nil {
		in = &instrument{name: s.Metric}
		e.instruments[s.Metric] = in
	}
	r.asks[part] = in
	in.uses.add(selector{rule: r, part: part, matcher: newMatcher(s.Where)})
}

// earliness is how much too early an evaluation may come and still count for its interval: a tenth of it, or half a
// second if that is less. A tick that jitters around the boundary then neither skips an interval nor doubles it.
func earliness(every int64) int64 { return min(every/10, int64(500*time.Millisecond)) }

// schedule marks the groups whose next interval has begun. Intervals are counted from the processor's first
// evaluation. A missed one is skipped, not made up for.
func (e *engine) schedule(now int64) (any bool) {
	for _, g := range e.groups {
		every := int64(g.every)
		slot := (now + earliness(every)) / every
		g.due = slot > g.slot
		if g.due {
			g.slot = slot
			any = true
		}
	}
	return any
}

// measure computes the readings of a rule. With a nil snapshot nothing is known.
func (e *engine) measure(ctx context.Context, r *rule, rm *metricdata.ResourceMetrics, now int64) {
	if rm == nil {
		r.wait(errNoSnapshot)
		return
	}
	if r.Func != nil {
		r.call(ctx, rm)
		return
	}
	if r.NoData == NoDataFire && len(r.order) == 0 {
		// The metric was never seen. An instance of its own stands for it until there is a real one.
		key := ""
		if len(r.By) > 0 {
			key = keyNeverSeen
		}
		r.add(key, nil)
	}
	r.measure(e.tick, now)
}

// keyNeverSeen is the key of the instance that stands for all there could be. No real key begins like it.
const keyNeverSeen = "-"

var errNoSnapshot = errors.New("the metrics could not be collected")

// wait makes all readings unknown because of an error.
func (r *rule) wait(err error) {
	r.failure = err
	for _, inst := range r.order {
		inst.read = reading{kind: readWait}
	}
}

// call runs the rule's function.
func (r *rule) call(ctx context.Context, rm *metricdata.ResourceMetrics) {
	samples, err := r.protected(ctx, rm)
	if err != nil {
		r.wait(err)
		return
	}
	r.failure = nil
	for _, inst := range r.order {
		inst.read = reading{kind: readAbsent}
	}
	r.calls++
	for _, s := range samples {
		key := labelKey(s.Labels)
		inst := r.instances[key]
		if inst == nil {
			if inst = r.add(key, textsOf(s.Labels)); inst == nil {
				continue
			}
		}
		if inst.call == r.calls {
			r.wait(fmt.Errorf("the function returned two samples with the labels %v", s.Labels))
			return
		}
		inst.call = r.calls
		inst.read = reading{kind: readAbsent}
		if !math.IsNaN(s.Value) {
			inst.read = reading{kind: readValue, value: s.Value}
		}
	}
	if never := r.instances[keyNeverSeen]; never != nil && len(r.order) > 1 {
		never.read = reading{kind: readFew}
	}
	if r.NoData == NoDataFire && len(r.order) == 0 {
		r.add(keyNeverSeen, nil).read = reading{kind: readAbsent}
	}
}

func (r *rule) protected(ctx context.Context, rm *metricdata.ResourceMetrics) (samples []Sample, err error) {
	err = guard.Call("the function", func() (err error) {
		samples, err = r.Func(ctx, rm)
		return err
	})
	return samples, err
}

func labelKey(labels map[string]string) string {
	var b strings.Builder
	for _, k := range sortedKeys(labels) {
		for _, text := range [...]string{k, labels[k]} {
			b.WriteString(strconv.Itoa(len(text)))
			b.WriteByte(':')
			b.WriteString(text)
		}
	}
	return b.String()
}

// Series and instances that are gone are looked for every 5 minutes, and dropped after 15 to 20 minutes of absence.
const (
	sweepEvery  = 5 * time.Minute
	sweepRounds = 4
)

// sweep drops series that were not collected for a long time, and instances that have nothing left to tell. A
// series that comes back later than that counts as new.
func (e *engine) sweep(at time.Time, now int64) {
	if now-e.lastSweep < int64(sweepEvery) {
		return
	}
	e.lastSweep = now
	e.marks = append(e.marks, e.tick)
	if len(e.marks) < sweepRounds {
		return
	}
	oldest := e.marks[0]
	e.marks = slices.Delete(e.marks, 0, 1)
	for _, in := range e.instruments {
		for _, st := range in.streams {
			for key, s := range st.series {
				if s.seen >= oldest {
					continue
				}
				for _, a := range s.feeds {
					a.owner.series--
				}
				delete(st.series, key)
			}
		}
	}
	for _, r := range e.rules {
		r.drop(at)
	}
}

// quiet tells whether deltas without a series any more have left nothing in the window. To such an instance, for which
// missing means 0, nothing is ever absent. Error budgets go further back than a window.
func (inst *instance) quiet() bool {
	r := inst.rule
	return (inst.parts[partMain].delta || inst.parts[partTotal].delta) && inst.read.count == 0 && r.Burn == nil && r.NoData != NoDataFire
}

// drop removes instances that no series feeds and that are inactive.
func (r *rule) drop(at time.Time) {
	kept := r.order[:0]
	for _, inst := range r.order {
		inst.state.forget(at)
		state, _ := inst.state.shown()
		gone := inst.series == 0 && (inst.read.kind == readAbsent && at.Sub(inst.state.absentSince) >= resolvedRetention || inst.quiet()) ||
			inst.key == keyNeverSeen && inst.read.kind == readFew
		if gone && state == StateInactive && len(inst.state.resolved) == 0 {
			delete(r.instances, inst.key)
			continue
		}
		kept = append(kept, inst)
	}
	clear(r.order[len(kept):])
	r.order = kept
	if len(r.order) < r.limit {
		clear(r.skipped)
	}
}
