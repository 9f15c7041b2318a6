package tracesum

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/exp/trace"
)

const (
	maxBusiest = 20
	markWorker = "runtime.gcBgMarkWorker"
)

// summary closes what is still open and puts everything together. The summer is of no use afterwards.
func (s *summer) summary(events int64) *Summary {
	still := make(map[*site]*Group)
	for id, g := range s.goroutines {
		if waits := g.state == trace.GoWaiting || g.state == trace.GoSyscall; waits && !g.moved {
			s.rest(still, g)
		} else {
			s.stop(id, g)
		}
		s.gone(id, g)
	}
	for key, from := range s.ranges {
		s.end(key.name, int64(s.last-from))
	}
	window := seconds(int64(s.last - s.start))
	sum := &Summary{
		Start: s.wall.UTC(), Seconds: window, Events: events, Procs: s.procs, Stopped: s.stopped,
		Scheduling: s.sched.times(), Still: []Group{}, Busiest: []Work{}, GC: s.collector(window),
	}
	if s.wall.IsZero() {
		sum.Start = s.wall
	}
	sum.Causes, sum.Longest = s.waits.summary()
	for _, g := range still {
		sum.Still = append(sum.Still, *g)
	}
	slices.SortFunc(sum.Still, func(a, b Group) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Caller, b.Caller)) })
	sum.Still = sum.Still[:min(len(sum.Still), maxStill)]
	var busy float64
	for name, w := range s.works {
		busy += w.Running
		if !ofRuntime(name) {
			sum.Goroutines += w.Goroutines
		}
		sum.Busiest = append(sum.Busiest, *w)
	}
	slices.SortFunc(sum.Busiest, func(a, b Work) int { return cmp.Or(cmp.Compare(b.Running, a.Running), cmp.Compare(a.Func, b.Func)) })
	sum.Busiest = sum.Busiest[:min(len(sum.Busiest), maxBusiest)]
	if whole := window * float64(s.procs); whole > 0 {
		sum.BusyShare = min(busy/whole, 1)
	}
	return sum
}

// rest counts a goroutine that has not moved.
func (s *summer) rest(still map[*site]*Group, g *goroutine) {
	cause, ns := s.cause(g), int64(s.last-g.since)
	if g.state == trace.GoSyscall {
		g.call += ns
		cause = causeSyscall
	} else {
		g.wait += ns
	}
	if cause == causeRuntime || ofRuntime(g.entry) {
		return
	}
	at := g.at
	if at == nil {
		at = s.sites.none
	}
	if still[at] == nil {
		still[at] = &Group{Cause: cause, Caller: at.caller, Stack: at.frames}
	}
	still[at].Count++
}

// stop accounts for the state in which the trace's end found g.
func (s *summer) stop(id trace.GoID, g *goroutine) {
	ns := int64(s.last - g.since)
	switch g.state {
	case trace.GoRunning:
		g.run += ns
	case trace.GoRunnable:
		g.ready += ns
	case trace.GoWaiting:
		g.wait += ns
		if cause := s.cause(g); cause != causeRuntime {
			one := s.one(id, g, cause, ns)
			one.open = true
			s.waits.add(one, nil)
		}
	case trace.GoSyscall:
		g.call += ns
		if !ofRuntime(g.entry) {
			one := s.one(id, g, causeSyscall, ns)
			one.open = true
			s.waits.add(one, nil)
		}
	}
}

func (s *summer) collector(window float64) GC {
	gc := s.gc
	gc.MarkSeconds = seconds(s.mark)
	if window > 0 {
		gc.MarkShare = min(gc.MarkSeconds/window, 1)
	}
	for name, w := range s.works {
		if strings.HasPrefix(name, markWorker) {
			gc.WorkSeconds += w.Running
		}
	}
	gc.Assist, gc.Sweep, gc.Pauses = s.assist.times(), s.sweep.times(), s.pause.times()
	gc.PauseReasons = make(map[string]Times, len(s.pauses))
	for reason, p := range s.pauses {
		gc.PauseReasons[reason] = p.times()
	}
	return gc
}
