package otelnet

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filterStates are the values that Filter.State may have, "" apart.
var filterStates = []string{"open", "closed", "all", "new", "active", "idle"}

// sortColumns compares two rows by the field that has this name in JSON.
var sortColumns = map[string]func(a, b *ConnInfo) int{
	"id":               func(a, b *ConnInfo) int { return compare(a.ID, b.ID) },
	"side":             func(a, b *ConnInfo) int { return compare(a.Side, b.Side) },
	"name":             func(a, b *ConnInfo) int { return compare(a.Name, b.Name) },
	"transport":        func(a, b *ConnInfo) int { return compare(a.Transport, b.Transport) },
	"local":            func(a, b *ConnInfo) int { return compare(a.Local, b.Local) },
	"peer":             func(a, b *ConnInfo) int { return compare(a.Peer, b.Peer) },
	"state":            func(a, b *ConnInfo) int { return compare(a.State, b.State) },
	"opened":           func(a, b *ConnInfo) int { return compareTime(a.Opened, b.Opened) },
	"closed":           func(a, b *ConnInfo) int { return compareTime(a.Closed, b.Closed) },
	"lastActive":       func(a, b *ConnInfo) int { return compareTime(a.LastActive, b.LastActive) },
	"receivedBytes":    func(a, b *ConnInfo) int { return compare(a.ReceivedBytes, b.ReceivedBytes) },
	"sentBytes":        func(a, b *ConnInfo) int { return compare(a.SentBytes, b.SentBytes) },
	"requests":         func(a, b *ConnInfo) int { return compare(a.Requests, b.Requests) },
	"errors":           func(a, b *ConnInfo) int { return compare(a.Errors, b.Errors) },
	"route":            func(a, b *ConnInfo) int { return compare(a.Route, b.Route) },
	"protocol":         func(a, b *ConnInfo) int { return compare(a.Protocol, b.Protocol) },
	"tlsVersion":       func(a, b *ConnInfo) int { return compare(a.TLSVersion, b.TLSVersion) },
	"closeReason":      func(a, b *ConnInfo) int { return compare(a.CloseReason, b.CloseReason) },
	"errorType":        func(a, b *ConnInfo) int { return compare(a.ErrorType, b.ErrorType) },
	"ageSeconds":       func(a, b *ConnInfo) int { return compare(a.AgeSeconds, b.AgeSeconds) },
	"firstByteSeconds": func(a, b *ConnInfo) int { return compare(a.FirstByteSeconds, b.FirstByteSeconds) },
	"idleSeconds":      func(a, b *ConnInfo) int { return compare(a.IdleSeconds, b.IdleSeconds) },
	"receiveRate":      func(a, b *ConnInfo) int { return compare(a.ReceiveRate, b.ReceiveRate) },
	"sendRate":         func(a, b *ConnInfo) int { return compare(a.SendRate, b.SendRate) },
	"requestRate":      func(a, b *ConnInfo) int { return compare(a.RequestRate, b.RequestRate) },
	"rttSeconds":       func(a, b *ConnInfo) int { return compare(a.RTTSeconds, b.RTTSeconds) },
	"minRttSeconds":    func(a, b *ConnInfo) int { return compare(a.MinRTTSeconds, b.MinRTTSeconds) },
	"retransmits":      func(a, b *ConnInfo) int { return compare(a.Retransmits, b.Retransmits) },
	"unsentBytes":      func(a, b *ConnInfo) int { return compare(a.UnsentBytes, b.UnsentBytes) },
	"unreadBytes":      func(a, b *ConnInfo) int { return compare(a.UnreadBytes, b.UnreadBytes) },
}

func compare[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }

func compareTime(a, b time.Time) int { return a.Compare(b) }

// SortColumns returns the names that Filter.Sort knows, in alphabetical order.
func SortColumns() []string {
	names := make([]string, 0, len(sortColumns))
	for name := range sortColumns {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ParseFilter reads a Filter from the query of a URL: sort, limit, offset, filter (the text to match) and state. Parameters
// that are missing or empty keep their zero value, others are ignored. The error says what is wrong and what is
// allowed.
func ParseFilter(values url.Values) (Filter, error) {
	f := Filter{
		State: values.Get("state"),
		Match: values.Get("filter"),
		Sort:  values.Get("sort"),
	}
	for name, n := range map[string]*int{"limit": &f.Limit, "offset": &f.Offset} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		var err error
		if *n, err = strconv.Atoi(text); err != nil {
			return Filter{}, fmt.Errorf("%s: %q is not a whole number", name, text)
		}
	}
	if err := f.Validate(); err != nil {
		return Filter{}, err
	}
	return f, nil
}

// Validate reports a state, sort column, limit or offset that does not exist, and what is allowed.
func (f Filter) Validate() error {
	if f.State != "" && !slices.Contains(filterStates, f.State) {
		return fmt.Errorf("state: %q is unknown; allowed are %s", f.State, strings.Join(filterStates, ", "))
	}
	if _, ok := sortColumns[f.column()]; !ok {
		return fmt.Errorf("sort: column %q is unknown; allowed are %s, each with \"-\" before it for descending",
			f.Sort, strings.Join(SortColumns(), ", "))
	}
	if f.Limit < 0 {
		return fmt.Errorf("limit: %d is negative; 0 means all", f.Limit)
	}
	if f.Offset < 0 {
		return fmt.Errorf("offset: %d is negative; 0 leaves out none", f.Offset)
	}
	return nil
}

// column is the name in Sort without its direction.
func (f Filter) column() string {
	if f.Sort == "" {
		return "id"
	}
	return strings.TrimPrefix(f.Sort, "-")
}
