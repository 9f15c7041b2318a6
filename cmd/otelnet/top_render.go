package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/otelnet/agent/otelnet"
)

// screen is how a sight is to be shown.
type screen struct {
	width, height int // in characters; 0 for as much as there is
	colours       bool
	filter        otelnet.Filter
	line          string // the last line: keys, or what is being typed
	warning       string // told in place of the time: paused, or why there is nothing newer
}

// topColumn is a column of the table and the field of otelnet.ConnInfo, by its name in JSON, that it is sorted by.
type topColumn struct {
	head, field string
	right       bool
	text        func(*otelnet.ConnInfo) string
}

// topColumns are in the order of the screen. The last that do not fit are left out.
var topColumns = []topColumn{
	{"ID", "id", true, func(c *otelnet.ConnInfo) string { return strconv.FormatUint(c.ID, 10) }},
	{"PEER", "peer", false, func(c *otelnet.ConnInfo) string { return c.Peer }},
	{"VIA", "name", false, func(c *otelnet.ConnInfo) string {
		if c.Side == otelnet.SideClient {
			return "> " + c.Name
		}
		return c.Name
	}},
	{"STATE", "state", false, func(c *otelnet.ConnInfo) string { return c.State }},
	{"AGE", "ageSeconds", true, func(c *otelnet.ConnInfo) string { return span(c.AgeSeconds) }},
	{"REQ/S", "requestRate", true, func(c *otelnet.ConnInfo) string { return number(c.RequestRate) }},
	{"IN/S", "receiveRate", true, func(c *otelnet.ConnInfo) string { return number(c.ReceiveRate) }},
	{"OUT/S", "sendRate", true, func(c *otelnet.ConnInfo) string { return number(c.SendRate) }},
	{"RTT", "rttSeconds", true, func(c *otelnet.ConnInfo) string { return latency(c.RTTSeconds) }},
	{"RETR", "retransmits", true, func(c *otelnet.ConnInfo) string { return number(float64(c.Retransmits)) }},
	{"REQS", "requests", true, func(c *otelnet.ConnInfo) string { return number(float64(c.Requests)) }},
	{"ERRS", "errors", true, func(c *otelnet.ConnInfo) string { return number(float64(c.Errors)) }},
	{"RECV", "receivedBytes", true, func(c *otelnet.ConnInfo) string { return number(float64(c.ReceivedBytes)) }},
	{"SENT", "sentBytes", true, func(c *otelnet.ConnInfo) string { return number(float64(c.SentBytes)) }},
	{"ROUTE", "route", false, func(c *otelnet.ConnInfo) string { return c.Route }},
	{"IDLE", "idleSeconds", true, func(c *otelnet.ConnInfo) string { return span(c.IdleSeconds) }},
	{"1STBYTE", "firstByteSeconds", true, func(c *otelnet.ConnInfo) string { return latency(c.FirstByteSeconds) }},
	{"UNSENT", "unsentBytes", true, func(c *otelnet.ConnInfo) string { return number(float64(c.UnsentBytes)) }},
	{"UNREAD", "unreadBytes", true, func(c *otelnet.ConnInfo) string { return number(float64(c.UnreadBytes)) }},
	{"PROTO", "protocol", false, func(c *otelnet.ConnInfo) string {
		if c.Protocol == "" {
			return c.Transport
		}
		return c.Protocol
	}},
	{"TLS", "tlsVersion", false, func(c *otelnet.ConnInfo) string { return c.TLSVersion }},
	{"ENDED", "closeReason", false, func(c *otelnet.ConnInfo) string { return strings.TrimSpace(c.CloseReason + " " + c.ErrorType) }},
}

const (
	mostAlerts = 6
	widest     = 32 // of a column
)

// render writes what is seen, lines ended by "\n", none longer than the screen's width and no more than its height.
func render(s *sight, sc screen) string {
	lines := head(s, sc)
	room := math.MaxInt
	if sc.height > 0 {
		room = max(0, sc.height-len(lines)-1) // the last line is for keys
	}
	lines = append(lines, table(s, sc, room)...)
	if sc.height > 0 {
		lines = lines[:min(len(lines), sc.height-1)]
		for len(lines) < sc.height-1 {
			lines = append(lines, "")
		}
		lines = append(lines, fit(sc.line, sc.width))
	}
	return strings.Join(lines, "\n") + "\n"
}

func head(s *sight, sc screen) []string {
	name := s.status.Service.Name
	if name == "" {
		name = "service"
	}
	title := []string{clean(name)}
	for _, more := range []string{s.status.Service.Version, s.status.Go, "up " + span(s.at.Sub(s.status.Started).Seconds()), s.at.Format(time.TimeOnly)} {
		if more != "" {
			title = append(title, clean(more))
		}
	}
	if sc.warning != "" {
		title = append(title, clean(sc.warning))
	}
	r := s.requests
	lines := []string{
		sc.paint(bold, fit(strings.Join(title, "  "), sc.width)),
		fit(fmt.Sprintf("requests %s/s  errors %s  p50 %s  p99 %s  in %sB/s  out %sB/s  connections %d",
			number(r.Rate), percent(r.ErrorShare), optional(r.P50), optional(r.P99), number(s.received), number(s.sent), s.total), sc.width),
	}
	for i, a := range s.alerts {
		if i == mostAlerts {
			lines = append(lines, fmt.Sprintf("and %d alerts more", len(s.alerts)-i))
			break
		}
		text := fmt.Sprintf("%s %s", strings.ToUpper(a.State), a.Labels["alertname"])
		if summary := a.Annotations["summary"]; summary != "" {
			text += ": " + summary
		}
		if !a.ActiveAt.IsZero() {
			text += " (since " + a.ActiveAt.Local().Format(time.TimeOnly) + ")"
		}
		colour := red
		if a.State != "firing" || a.Labels["severity"] == "warn" {
			colour = yellow
		}
		lines = append(lines, sc.paint(colour, fit(clean(text), sc.width)))
	}
	if len(s.alerts) == 0 {
		lines = append(lines, "no alerts")
	}
	return append(lines, "")
}

func table(s *sight, sc screen, room int) []string {
	if !s.status.Connections {
		return []string{"this agent keeps no connection table"}
	}
	sorted := strings.TrimPrefix(sc.filter.Sort, "-")
	rows := s.rows[:min(len(s.rows), max(0, room-1))]
	lines := make([]strings.Builder, len(rows)+1)
	used := 0
	for _, col := range topColumns {
		header := col.head
		if col.field == sorted {
			header += "^"
			if strings.HasPrefix(sc.filter.Sort, "-") {
				header = col.head + "v"
			}
		}
		width := utf8.RuneCountInString(header)
		cells := make([]string, len(rows))
		for i := range rows {
			cells[i] = fit(clean(col.text(&rows[i])), widest)
			width = max(width, utf8.RuneCountInString(cells[i]))
		}
		if used > 0 {
			width += 2
		}
		if sc.width > 0 && used+width > sc.width {
			break
		}
		used += width
		gap := 0
		if lines[0].Len() > 0 {
			gap = 2
		}
		for i, cell := range append([]string{header}, cells...) {
			pad := strings.Repeat(" ", width-gap-utf8.RuneCountInString(cell))
			lines[i].WriteString(strings.Repeat(" ", gap))
			if col.right {
				lines[i].WriteString(pad + cell)
			} else {
				lines[i].WriteString(cell + pad)
			}
		}
	}
	out := make([]string, len(lines))
	for i := range lines {
		out[i] = strings.TrimRight(lines[i].String(), " ")
	}
	out[0] = sc.paint(bold, out[0])
	if len(s.rows) == 0 {
		out = append(out, "no connection matches")
	}
	return out
}

// The colours of a terminal.
const (
	bold   = "1"
	red    = "31"
	yellow = "33"
)

func (sc screen) paint(colour, text string) string {
	if !sc.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// clean makes a text of a stranger safe for a terminal: a control character could move the cursor or do worse.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// fit cuts a text to a width; 0 for any.
func fit(text string, width int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(0, width-1)]) + "~"
}

// number has three digits: 0, 12.3, 1.23k, 45.6M.
func number(v float64) string {
	unit := ""
	for _, u := range []string{"k", "M", "G", "T"} {
		if math.Abs(v) < 999.5 {
			break
		}
		v /= 1000
		unit = u
	}
	switch {
	case v == math.Trunc(v) && unit == "", math.Abs(v) >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64) + unit
	case math.Abs(v) >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64) + unit
	}
	return strconv.FormatFloat(v, 'f', 2, 64) + unit
}

// latency is for times below a minute, "-" for 0, which stands for what is not known.
func latency(seconds float64) string {
	switch {
	case seconds <= 0:
		return "-"
	case seconds < 0.9995e-3:
		return number(seconds*1e6) + "us"
	case seconds < 0.9995:
		return number(seconds*1e3) + "ms"
	}
	return number(seconds) + "s"
}

func optional(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return latency(*seconds)
}

func percent(share float64) string { return number(math.Round(share*1e4)/100) + "%" }

// span is for ages: 12s, 4m05s, 3h12m, 2d03h.
func span(seconds float64) string {
	s := int64(max(0, seconds))
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}
