package otelnet

import (
	"container/heap"
	"slices"
	"strings"
)

// top keeps the first rows of an order without sorting the others: with a limit, a heap whose top is the last of those
// kept so far.
type top struct {
	filter     Filter
	by         func(a, b *ConnInfo) int
	descending bool
	keep       int // 0 keeps all

	rows    []*entry
	at      map[uint64]int // where a row stands, by ID
	matched int
}

func newTop(f Filter) *top {
	t := &top{filter: f, by: sortColumns[f.column()], descending: strings.HasPrefix(f.Sort, "-"), at: make(map[uint64]int)}
	if f.Limit > 0 {
		t.keep = f.Offset + f.Limit
	}
	return t
}

// compare orders rows as the filter asks, equal ones by ascending ID.
func (t *top) compare(a, b *entry) int {
	c := t.by(&a.info, &b.info)
	if t.descending {
		c = -c
	}
	if c == 0 {
		c = compare(a.info.ID, b.info.ID)
	}
	return c
}

// offer considers a copy of e. A connection that moved while the table was walked, or closed, is met twice; the later
// row is the newer.
func (t *top) offer(e *entry) {
	t.drop(e.info.ID)
	if !t.filter.matches(&e.info) {
		return
	}
	t.matched++
	if t.keep > 0 && len(t.rows) == t.keep {
		if t.compare(e, t.rows[0]) >= 0 {
			return
		}
		heap.Pop(t)
	}
	kept := *e
	heap.Push(t, &kept)
}

// drop forgets a row.
func (t *top) drop(id uint64) {
	if i, ok := t.at[id]; ok {
		heap.Remove(t, i)
		t.matched--
	}
}

// page returns the rows after the offset in their order, and how many rows matched.
func (t *top) page() (rows []*entry, total int) {
	rows = t.rows
	slices.SortFunc(rows, t.compare)
	rows = rows[min(t.filter.Offset, len(rows)):]
	if t.filter.Limit > 0 {
		rows = rows[:min(t.filter.Limit, len(rows))]
	}
	return rows, t.matched
}

// The methods of heap.Interface.

func (t *top) Len() int           { return len(t.rows) }
func (t *top) Less(i, j int) bool { return t.keep > 0 && t.compare(t.rows[i], t.rows[j]) > 0 }

func (t *top) Swap(i, j int) {
	t.rows[i], t.rows[j] = t.rows[j], t.rows[i]
	t.at[t.rows[i].info.ID], t.at[t.rows[j].info.ID] = i, j
}

func (t *top) Push(x any) {
	e := x.(*entry)
	t.at[e.info.ID] = len(t.rows)
	t.rows = append(t.rows, e)
}

func (t *top) Pop() any {
	last := len(t.rows) - 1
	e := t.rows[last]
	t.rows[last] = nil
	t.rows = t.rows[:last]
	delete(t.at, e.info.ID)
	return e
}
