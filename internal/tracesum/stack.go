package tracesum

import (
	"strconv"

	"golang.org/x/exp/trace"

	"github.com/otelnet/agent/internal/gofunc"
)

const (
	maxFrames = 16   // kept of a stack, from the top
	maxSites  = 4096 // different stacks; further ones share one
)

// site is a stack as the summary keeps it. Equal stacks of different generations are one site.
type site struct {
	frames []Frame
	caller string
	entry  string            // the function that the goroutine began with, as far as the stack reaches down
	causes map[string]string // what causeOf said, by reason
}

func newSite(frames []Frame, caller string) *site {
	if frames == nil {
		frames = []Frame{}
	}
	return &site{frames: frames, caller: caller, causes: make(map[string]string)}
}

// cause is [causeOf], worked out once.
func (s *site) cause(reason string) string {
	c, known := s.causes[reason]
	if !known {
		c = causeOf(reason, s)
		s.causes[reason] = c
	}
	return c
}

// sites makes sites of a trace's stacks. The trace's own handles keep a whole generation in memory, so they are forgotten with it.
type sites struct {
	generation map[trace.Stack]*site
	all        map[string]*site
	key        []byte
	none, rest *site
}

func newSites() *sites {
	return &sites{
		generation: make(map[trace.Stack]*site), all: make(map[string]*site),
		none: newSite(nil, "(no stack)"), rest: newSite(nil, "(other places)"),
	}
}

// next lets go of the stacks of the generation before.
func (s *sites) next() { clear(s.generation) }

func (s *sites) of(stack trace.Stack) *site {
	if stack == trace.NoStack {
		return s.none
	}
	if known := s.generation[stack]; known != nil {
		return known
	}
	found := s.intern(stack)
	s.generation[stack] = found
	return found
}

func (s *sites) intern(stack trace.Stack) *site {
	s.key = s.key[:0]
	var frames []Frame
	entry, n := "", 0
	for f := range stack.Frames() {
		if entry = f.Func; n < maxFrames {
			frames = append(frames, Frame{f.Func, f.File, int(f.Line)})
			s.key = append(append(s.key, f.Func...), ':')
			s.key = append(strconv.AppendUint(s.key, f.Line, 10), '\n')
		}
		n++
	}
	if n == 0 {
		return s.none
	}
	s.key = append(s.key, entry...)
	if known := s.all[string(s.key)]; known != nil {
		return known
	}
	if len(s.all) >= maxSites {
		return s.rest
	}
	found := newSite(frames, caller(frames))
	found.entry = entry
	s.all[string(s.key)] = found
	return found
}

// caller is the first function of the program's own code, which is where a reader looks first; of a stack without any, the first one
// that says more than that something is read or waited for.
func caller(frames []Frame) string {
	for _, tell := range []func(string) bool{gofunc.Own, func(f string) bool { return !gofunc.Plumbing(f) }} {
		for _, f := range frames {
			if tell(f.Func) {
				return f.Func
			}
		}
	}
	return frames[0].Func
}
