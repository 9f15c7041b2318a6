package otelnet

import (
	"maps"
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
	// A connection that moved while the table was walked, or closed, is met twice; the later row is the newer.
	rows := make(map[uint64]*ConnInfo)
	keep := func(row *ConnInfo) {
		if filter.matches(row) {
			rows[row.ID] = row
		} else {
			delete(rows, row.ID)
		}
	}
	if filter.State != "closed" {
		rd := readers.Get().(*tcpinfo.Reader)
		eachOpen(func(s *ConnStats) {
			s.fold(rd)
			row := s.info()
			row.Local, row.Peer = addrString(s.local), addrString(s.peer)
			keep(&row)
		})
		readers.Put(rd)
	}
	// The closed ones are looked at in any case: one that closed since it was met as open is no longer that.
	wantClosed := filter.State == "closed" || filter.State == "all"
	for _, c := range registry.closed.all() {
		if !wantClosed {
			delete(rows, c.info.ID)
			continue
		}
		c.info.Local, c.info.Peer = addrString(c.local), addrString(c.peer)
		keep(&c.info)
	}
	return filter.order(slices.Collect(maps.Values(rows)))
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
