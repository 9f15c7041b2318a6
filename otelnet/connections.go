package otelnet

import (
	"slices"
	"strings"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// Connections returns the rows of the connection table that match filter: every connection of the process that a
// listener, dialer or packet socket of this package made, whatever its MeterProvider, and the last 1,000 that closed.
// It is a copy, safe to keep. A filter that [Filter.Validate] refuses matches nothing.
//
// It costs up to two microseconds for each open connection; nothing is stopped meanwhile.
func Connections(filter Filter) []ConnInfo {
	if filter.Validate() != nil {
		return []ConnInfo{}
	}
	rows := []ConnInfo{}
	keep := func(row ConnInfo) {
		if filter.matches(&row) {
			rows = append(rows, row)
		}
	}
	if filter.State != "closed" {
		rd := readers.Get().(*tcpinfo.Reader)
		eachOpen(func(s *ConnStats) {
			s.fold(rd)
			row := s.info()
			row.Local, row.Peer = addrString(s.local), addrString(s.peer)
			keep(row)
		})
		readers.Put(rd)
	}
	if filter.State == "closed" || filter.State == "all" {
		for _, c := range registry.closed.all() {
			c.info.Local, c.info.Peer = addrString(c.local), addrString(c.peer)
			keep(c.info)
		}
	}
	rows = distinct(rows)
	filter.sort(rows)
	if filter.Limit > 0 && len(rows) > filter.Limit {
		rows = slices.Clip(rows[:filter.Limit])
	}
	return rows
}

// distinct keeps one row for each connection: one that moved while the table was walked, or closed, was met twice.
// The later one is the newer.
func distinct(rows []ConnInfo) []ConnInfo {
	slices.Reverse(rows)
	slices.SortStableFunc(rows, func(a, b ConnInfo) int { return compare(a.ID, b.ID) })
	return slices.CompactFunc(rows, func(a, b ConnInfo) bool { return a.ID == b.ID })
}

// matches reports whether the row is one that the filter asks for.
func (f *Filter) matches(row *ConnInfo) bool {
	switch f.State {
	case "", "open":
		if row.State == "closed" {
			return false
		}
	case "all":
	default:
		if row.State != f.State {
			return false
		}
	}
	if f.Match == "" {
		return true
	}
	match := strings.ToLower(f.Match)
	for _, field := range [...]string{row.Name, row.Peer, row.Local, row.Route, row.State, row.CloseReason} {
		if strings.Contains(strings.ToLower(field), match) {
			return true
		}
	}
	return false
}
