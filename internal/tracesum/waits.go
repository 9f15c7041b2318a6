package tracesum

import (
	"cmp"
	"slices"
)

const (
	maxLongest = 8 // kept of each cause
	maxPlaces  = 6 // told of each cause
	maxStill   = 20
)

// wait is one wait of one goroutine, in nanoseconds.
type wait struct {
	id           int64
	cause        string
	from, ns     int64
	before, open bool
	at           *site
	by           string
}

// waits sorts waits by cause and place.
type waits struct{ causes map[string]*causeWaits }

type causeWaits struct {
	ended   spread
	open    int64 // nanoseconds of those that have not ended
	waiting int
	places  map[*site]*place
	longest []wait
}

type place struct{ count, total, max int64 }

func newWaits() *waits { return &waits{causes: make(map[string]*causeWaits)} }

// add takes a wait; by, if any, tells who ended it and is called only when somebody will read it.
func (w *waits) add(one wait, by func() string) {
	c := w.causes[one.cause]
	if c == nil {
		c = &causeWaits{places: make(map[*site]*place)}
		w.causes[one.cause] = c
	}
	p := c.places[one.at]
	if p == nil {
		p = new(place)
		c.places[one.at] = p
	}
	if one.open {
		c.open += one.ns
		c.waiting++
	} else {
		c.ended.add(one.ns)
	}
	p.count++
	p.total += one.ns
	p.max = max(p.max, one.ns)
	if len(c.longest) == maxLongest && one.ns <= c.longest[maxLongest-1].ns {
		return
	}
	if by != nil {
		one.by = by()
	}
	i, _ := slices.BinarySearchFunc(c.longest, one.ns, func(a wait, ns int64) int { return cmp.Compare(ns, a.ns) })
	c.longest = slices.Insert(c.longest, i, one)
	c.longest = c.longest[:min(len(c.longest), maxLongest)]
}

func (w *waits) summary() (causes []Cause, longest []Wait) {
	causes, longest = []Cause{}, []Wait{}
	for name, c := range w.causes {
		one := Cause{Cause: name, Times: c.ended.times(), Waiting: c.waiting, Sites: c.sites()}
		one.Total += seconds(c.open)
		causes = append(causes, one)
		for _, l := range c.longest {
			longest = append(longest, Wait{
				Goroutine: l.id, Cause: name, At: seconds(l.from), Seconds: seconds(l.ns), Before: l.before, Open: l.open,
				Caller: l.at.caller, Stack: l.at.frames, WokenBy: l.by,
			})
		}
	}
	slices.SortFunc(causes, func(a, b Cause) int { return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Cause, b.Cause)) })
	slices.SortFunc(longest, func(a, b Wait) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Goroutine, b.Goroutine), cmp.Compare(a.At, b.At))
	})
	return causes, longest
}

func (c *causeWaits) sites() []Site {
	all := make([]Site, 0, len(c.places))
	for at, p := range c.places {
		all = append(all, Site{Count: p.count, Total: seconds(p.total), Max: seconds(p.max), Caller: at.caller, Stack: at.frames})
	}
	slices.SortFunc(all, func(a, b Site) int { return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Caller, b.Caller)) })
	return all[:min(len(all), maxPlaces)]
}
