package tracesum

import (
	"strconv"
	"strings"

	"golang.org/x/exp/trace"
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

// caller is the first function that is not of the standard library, which is where a reader looks first; the top one if there is none.
func caller(frames []Frame) string {
	for _, f := range frames {
		if !standard(f.Func) {
			return f.Func
		}
	}
	return frames[0].Func
}

// standard tells by the first element of the import path, for module paths need not have a dot.
func standard(function string) bool {
	i := strings.IndexAny(function, "/.")
	if i < 0 {
		return true // the runtime's assembly
	}
	return library[function[:i]] && (function[:i] != "go" || function[i] == '/') // there is go/ast, but no package go
}

var library = func() map[string]bool {
	roots := make(map[string]bool)
	for root := range strings.FieldsSeq(`archive bufio bytes cmp compress container context crypto database debug embed encoding errors
		expvar flag fmt go hash html image index internal io iter log maps math mime net os path plugin reflect regexp runtime simd slices
		sort strconv strings structs sync syscall testing text time type unicode unique unsafe vendor weak`) {
		roots[root] = true
	}
	return roots
}()
