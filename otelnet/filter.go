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
	"id":            func(a, b *ConnInfo) int { return compare(a.ID, b.ID) },
	"side":          func(a, b *ConnInfo) int { return compare(a.Side, b.Side) },
	"name":          func(a, b *ConnInfo) int { return compare(a.Name, b.Name) },
	"transport":     func(a, b *ConnInfo) int { return compare(a.Transport, b.Transport) },
	"local":         func(a, b *ConnInfo) int { return compare(a.Local, b.Local) },
	"peer":          func(a, b *ConnInfo) int { return compare(a.Peer, b.Peer) },
	"state":         func(a, b *ConnInfo) int { return compare(a.State, b.State) },
	"opened":        func(a, b *ConnInfo) int { return compareTime(a.Opened, b.Opened) },
	"closed":        func(a, b *ConnInfo) int { return compareTime(a.Closed, b.Closed) },
	"lastActive":    func(a, b *ConnInfo) int { return compareTime(a.LastActive, b.LastActive) },
	"receivedBytes": func(a, b *ConnInfo) int { return compare(a.ReceivedBytes, b.ReceivedBytes) },
	"sentBytes":     func(a, b *ConnInfo) int { return compare(a.SentBytes, b.SentBytes) },
	"requests":      func(a, b *ConnInfo) int { return compare(a.Requests, b.Requests) },
	"errors":        func(a, b *ConnInfo) int { return compare(a.Errors, b.Errors) },
	"route":         func(a, b *ConnInfo) int { return compare(a.Route, b.Route) },
	"protocol":      func(a, b *ConnInfo) int { return compare(a.Protocol, b.Protocol) },
	"tlsVersion":    func(a, b *ConnInfo) int { return compare(a.TLSVersion, b.TLSVersion) },
	"closeReason":   func(a, b *ConnInfo) int { return compare(a.CloseReason, b.CloseReason) },
	"errorType":     func(a, b *ConnInfo) int { return compare(a.ErrorType, b.ErrorType) },
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

// ParseFilter reads a Filter from the query of a URL: sort, limit, filter (the text to match) and state. Parameters
// that are missing or empty keep their zero value, others are ignored. The error says what is wrong and what is
// allowed.
func ParseFilter(values url.Values) (Filter, error) {
	f := Filter{
		State: values.Get("state"),
		Match: values.Get("filter"),
		Sort:  values.Get("sort"),
	}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return Filter{}, fmt.Errorf("limit: %q is not a whole number", text)
		}
		f.Limit = n
	}
	if err := f.Validate(); err != nil {
		return Filter{}, err
	}
	return f, nil
}

// Validate reports a state, sort column or limit that does not exist, and what is allowed.
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
	return nil
}

// column is the name in Sort without its direction.
func (f Filter) column() string {
	if f.Sort == "" {
		return "id"
	}
	return strings.TrimPrefix(f.Sort, "-")
}

// order returns the rows sorted, equal ones by ascending ID, and cut to the limit. The filter must be valid.
func (f Filter) order(rows []*ConnInfo) []ConnInfo {
	by := sortColumns[f.column()]
	descending := strings.HasPrefix(f.Sort, "-")
	slices.SortFunc(rows, func(a, b *ConnInfo) int {
		c := by(a, b)
		if descending {
			c = -c
		}
		if c == 0 {
			c = compare(a.ID, b.ID)
		}
		return c
	})
	if f.Limit > 0 && len(rows) > f.Limit {
		rows = rows[:f.Limit]
	}
	ordered := make([]ConnInfo, len(rows))
	for i, row := range rows {
		ordered[i] = *row
	}
	return ordered
}
