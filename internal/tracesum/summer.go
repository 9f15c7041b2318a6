package tracesum

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/exp/trace"
)

// summer takes the events of a trace one by one.
type summer struct {
	sites       *sites
	goroutines  map[trace.GoID]*goroutine
	works       map[string]*Work
	waits       *waits
	sched       spread
	ranges      map[rangeKey]trace.Time
	pauses      map[string]*spread
	gc          GC
	assist      spread
	sweep       spread
	pause       spread
	mark        int64
	begun       bool
	start, last trace.Time
	wall        time.Time
	seen, procs int
	stopped     string
}

type rangeKey struct {
	name  string
	scope trace.ResourceID
}

func newSummer() *summer {
	return &summer{
		sites: newSites(), goroutines: make(map[trace.GoID]*goroutine), works: make(map[string]*Work), waits: newWaits(),
		ranges: make(map[rangeKey]trace.Time), pauses: make(map[string]*spread),
	}
}

func (s *summer) add(e trace.Event) error {
	now := e.Time()
	if !s.begun {
		s.begun, s.start = true, now
	}
	s.last = max(s.last, now)
	switch e.Kind() {
	case trace.EventSync:
		s.sites.next()
		if c := e.Sync().ClockSnapshot; c != nil && s.wall.IsZero() {
			s.wall = c.Wall.Add(time.Duration(s.start - c.Trace))
		}
	case trace.EventMetric:
		if m := e.Metric(); m.Name == "/sched/gomaxprocs:threads" && m.Value.Kind() == trace.ValueUint64 {
			s.procs = max(s.procs, int(min(m.Value.Uint64(), 1<<16)))
		}
	case trace.EventRangeBegin, trace.EventRangeActive:
		s.begin(e.Kind(), e.Range(), now)
	case trace.EventRangeEnd:
		r := e.Range()
		key := rangeKey{r.Name, r.Scope}
		if from, ok := s.ranges[key]; ok {
			delete(s.ranges, key)
			s.end(r.Name, int64(now-from))
		}
	case trace.EventStateTransition:
		if t := e.StateTransition(); t.Resource.Kind == trace.ResourceGoroutine {
			return s.move(e, t, now)
		}
	}
	return nil
}

const (
	rangeMark   = "GC concurrent mark phase"
	rangeSweep  = "GC incremental sweep"
	rangeAssist = "GC mark assist"
	rangePause  = "stop-the-world ("
)

func (s *summer) begin(kind trace.EventKind, r trace.Range, now trace.Time) {
	key := rangeKey{r.Name, r.Scope}
	if _, known := s.ranges[key]; known {
		return // each generation tells again what is under way
	}
	if kind == trace.EventRangeActive {
		now = s.start
	}
	s.ranges[key] = now
	if r.Name == rangeMark {
		s.gc.Cycles++
	}
}

func (s *summer) end(name string, ns int64) {
	switch {
	case name == rangeMark:
		s.mark += ns
	case name == rangeSweep:
		s.sweep.add(ns)
	case name == rangeAssist:
		s.assist.add(ns)
	case strings.HasPrefix(name, rangePause):
		reason := strings.TrimSuffix(strings.TrimPrefix(name, rangePause), ")")
		if s.pauses[reason] == nil {
			if len(s.pauses) >= 64 {
				return // the runtime knows some twenty
			}
			s.pauses[reason] = new(spread)
		}
		s.pauses[reason].add(ns)
		s.pause.add(ns)
	}
}

// goroutine is what is known of one that is alive.
type goroutine struct {
	state  trace.GoState
	since  trace.Time
	before bool // the state had begun before the trace
	moved  bool
	entry  string
	at     *site  // where it waits or is in a system call
	reason string // why it waits
	run    int64
	ready  int64
	wait   int64
	call   int64
}

func (s *summer) move(e trace.Event, t trace.StateTransition, now trace.Time) error {
	id := t.Resource.Goroutine()
	from, to := t.Goroutine()
	g := s.goroutines[id]
	if g == nil {
		if len(s.goroutines) >= maxGoroutines {
			return fmt.Errorf("tracesum: more than %d goroutines: %w", maxGoroutines, ErrTooLarge)
		}
		g = &goroutine{state: from, since: now}
		if from == trace.GoNotExist {
			g.moved = true
		}
		s.goroutines[id] = g
		s.seen++
	}
	where := s.sites.of(t.Stack)
	if from == trace.GoUndetermined || from == to {
		// A status: each generation tells those of all goroutines, the first one of those that the trace has not heard of.
		if from == trace.GoUndetermined {
			g.state, g.since, g.before = to, s.start, true
		}
		if where != s.sites.none {
			s.know(g, where.entry)
			if g.at == nil || g.at == s.sites.none {
				g.at = where
			}
		}
		return nil
	}
	s.leave(e, id, g, now)
	g.moved = true
	g.state, g.since, g.before, g.at, g.reason = to, now, false, where, t.Reason
	switch {
	case from == trace.GoNotExist:
		s.know(g, where.entry)
	case to == trace.GoNotExist:
		s.gone(id, g)
	case where != s.sites.none:
		s.know(g, where.entry)
	}
	return nil
}

func (s *summer) know(g *goroutine, entry string) {
	if g.entry == "" {
		g.entry = entry
	}
}

// leave accounts for the state that g has been in.
func (s *summer) leave(e trace.Event, id trace.GoID, g *goroutine, now trace.Time) {
	ns := int64(now - g.since)
	switch g.state {
	case trace.GoRunning:
		g.run += ns
	case trace.GoRunnable:
		g.ready += ns
		if !g.before && !ofRuntime(g.entry) {
			s.sched.add(ns)
		}
	case trace.GoWaiting:
		g.wait += ns
		if cause := s.cause(g); cause != causeRuntime {
			s.waits.add(s.one(id, g, cause, ns), func() string { return s.waker(e) })
		}
	case trace.GoSyscall:
		g.call += ns
		if !ofRuntime(g.entry) {
			s.waits.add(s.one(id, g, causeSyscall, ns), nil)
		}
	}
}

// cause is why g waits, causeRuntime if that is the runtime's own affair.
func (s *summer) cause(g *goroutine) string {
	if ofRuntime(g.entry) {
		return causeRuntime
	}
	at := g.at
	if at == nil {
		at = s.sites.none
	}
	return at.cause(g.reason)
}

func (s *summer) one(id trace.GoID, g *goroutine, cause string, ns int64) wait {
	at := g.at
	if at == nil {
		at = s.sites.none
	}
	return wait{id: int64(id), cause: cause, from: int64(g.since - s.start), ns: ns, before: g.before, at: at}
}

// waker is who let a goroutine go on: what ran when that happened.
func (s *summer) waker(e trace.Event) string {
	by := s.sites.of(e.Stack())
	if by == s.sites.none {
		return "" // the network poller, a timer
	}
	return by.caller
}

// gone adds up what a goroutine did, by the function that it began with.
func (s *summer) gone(id trace.GoID, g *goroutine) {
	delete(s.goroutines, id)
	name := g.entry
	if name == "" {
		name = "(unknown)"
	}
	w := s.works[name]
	if w == nil {
		if len(s.works) >= maxSites {
			name = "(other functions)"
		}
		if w = s.works[name]; w == nil {
			w = &Work{Func: name}
			s.works[name] = w
		}
	}
	w.Goroutines++
	run := seconds(g.run)
	w.Running += run
	w.Ready += seconds(g.ready)
	w.Waiting += seconds(g.wait)
	w.Syscall += seconds(g.call)
	if w.Goroutine == 0 || run > w.Longest {
		w.Longest, w.Goroutine = run, int64(id)
	}
}
