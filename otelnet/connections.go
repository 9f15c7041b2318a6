package otelnet

import (
	"net"
	"strings"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// Connections returns the rows of the connection table that match filter: every connection of the process that a
// listener, dialer or packet socket of this package made, whatever its MeterProvider, and the last 1,000 that closed.
// One whose end is in the metrics is among the closed ones. It is a copy, safe to keep. A filter that [Filter.Validate] refuses matches nothing.
//
// It costs up to two microseconds for each open connection; nothing is stopped meanwhile. With a limit, only so many
// rows are kept and sorted.
func Connections(filter Filter) []ConnInfo {
	page, _ := ConnectionsPage(filter)
	return page
}

// ConnectionsPage returns the rows of [Connections], and how many there would be without the filter's offset and limit.
// Connections that open or close while the table is walked may or may not be among them.
func ConnectionsPage(filter Filter) (page []ConnInfo, total int) {
	if filter.Validate() != nil {
		return []ConnInfo{}, 0
	}
	t := newTop(filter)
	rd := readers.Get().(*tcpinfo.Reader)
	defer readers.Put(rd)
	if filter.State != "closed" {
		// What is asked for each row is put off until the rows are chosen, unless the choice depends on it.
		column := filter.column()
		needText := filter.Match != "" || column == "local" || column == "peer"
		needUnread := column == "unreadBytes"
		now := sinceStart()
		var e entry // one for all: most are not kept
		eachOpen(func(s *ConnStats) {
			e = entry{stats: s, info: s.row(rd, now)}
			if needText {
				e.resolve()
			}
			if needUnread {
				e.countUnread(rd)
			}
			t.offer(&e)
		})
	}
	// The closed ones are looked at in any case: one that closed since it was met as open is no longer that.
	wantClosed := filter.State == "closed" || filter.State == "all"
	closed := registry.closed.all()
	for i := range closed {
		c := &closed[i]
		if !wantClosed {
			t.drop(c.id)
			continue
		}
		e := entry{info: c.info(), local: c.local, peer: c.peer}
		e.resolve()
		t.offer(&e)
	}
	entries, total := t.page()
	page = make([]ConnInfo, len(entries))
	for i, e := range entries {
		e.resolve()
		e.countUnread(rd)
		page[i] = e.info
	}
	return page, total
}

// ConnectionByID returns the row of one connection, open or among the last 1,000 that closed. Ask it for a single one: it
// walks a 64th of the table's IDs and asks the kernel for that one alone.
func ConnectionByID(id uint64) (row ConnInfo, found bool) {
	// In this order one that closes meanwhile is met at least once.
	if s := openByID(id); s != nil {
		rd := readers.Get().(*tcpinfo.Reader)
		defer readers.Put(rd)
		e := entry{stats: s, info: s.row(rd, sinceStart())}
		e.resolve()
		e.countUnread(rd)
		row, found = e.info, true
	}
	if c, ok := registry.closed.byID(id); ok {
		e := entry{info: c.info(), local: c.local, peer: c.peer}
		e.resolve()
		row, found = e.info, true
	}
	return row, found
}

// entry is a row with what is still to be asked.
type entry struct {
	info        ConnInfo
	stats       *ConnStats // of an open connection
	local, peer net.Addr   // of a closed one
	resolved    bool
	unread      bool // whether unread bytes were asked for
}

// resolve turns the addresses into text.
func (e *entry) resolve() {
	if e.resolved {
		return
	}
	e.resolved = true
	if e.stats != nil {
		e.local, e.peer = e.stats.localAddr(), e.stats.peerAddr()
	}
	e.info.Local, e.info.Peer = addrString(e.local), addrString(e.peer)
}

func (e *entry) countUnread(rd *tcpinfo.Reader) {
	if e.unread || e.stats == nil || e.stats.raw == nil {
		return
	}
	e.unread = true
	// Closed since: there is nothing left to read.
	e.info.UnreadBytes, _ = rd.Unread(e.stats.raw)
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
