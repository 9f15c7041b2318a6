package report

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	worse      = 0.25  // growth of latency, errors or memory from which it is worth a word
	errorsSeen = 0.001 // share of failed requests below which a growth of it is not
)

// find returns the row, nil if there is none.
func (r *Report) find(metric, part string, stat Stat) *Row {
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Metric == metric && row.Part == part && row.Stat == stat {
			return row
		}
	}
	return nil
}

// verdict says in a sentence what an engineer would want to know first.
func verdict(r *Report) (Level, string) {
	level := Good
	raise := func(to Level) {
		if level != Bad {
			level = to
		}
	}
	if r.Partial {
		raise(Notice)
	}
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }

	seconds, n := r.inAlert()
	switch {
	case n > 0:
		level = Bad
		say("%s fired, %s in alert", plural(n, "alert"), humanSeconds(seconds))
	case r.Rules:
		say("no alert fired")
	}
	if row := r.find(requestDuration, "", P99); row != nil && row.Avg.Known() {
		text := "p99 latency " + human(float64(row.Avg), row.Unit) + against(row.ChangeAvg)
		if row.ChangeAvg >= worse {
			raise(Notice)
		}
		if at, ok := row.peak(); ok && row.Max > 2*row.Avg || n > 0 && ok {
			from := r.pointTime(at)
			text += fmt.Sprintf(", worst %s at %s", human(float64(row.Max), row.Unit), from.Format("15:04"))
			for _, a := range r.Alerts {
				if a.around(from.UnixMilli(), from.Add(r.Point.Duration()).UnixMilli()) {
					text += " during “" + a.Name + "”"
					break
				}
			}
		}
		parts = append(parts, text)
	}
	if row := r.find(requestDuration, "failed", Share); row != nil && row.Avg.Known() {
		switch {
		case row.PrevAvg.Known():
			say("errors %s → %s", human(float64(row.PrevAvg), row.Unit), human(float64(row.Avg), row.Unit))
			if row.Avg > errorsSeen && row.Avg > row.PrevAvg*(1+worse) {
				raise(Notice)
			}
		default:
			say("errors %s", human(float64(row.Avg), row.Unit))
		}
	}
	for _, s := range []struct{ name, metric, part string }{{"traffic", requestDuration, ""}, {"received", "otelnet.connection.io", "receive"}} {
		if row := r.find(s.metric, s.part, Rate); row != nil && row.Avg.Known() {
			say("%s %s%s", s.name, human(float64(row.Avg), row.Unit), against(row.ChangeAvg))
			break
		}
	}
	for i, f := range r.Trends {
		if f.LimitMetric != "" {
			raise(Notice)
		}
		if f.LimitMetric != "" || i == 0 {
			text, _, _ := strings.Cut(f.Text, "; ") // where it will be in a while is told further down
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		say("%s", plural(len(r.Rows), "row")+" of numbers, nothing that stands out")
	}
	text := strings.Join(parts, "; ")
	return level, strings.ToUpper(text[:1]) + text[1:] + "."
}

// against writes a change in brackets, or nothing.
func against(c Number) string {
	if !c.Known() {
		return ""
	}
	return " (" + percent(c) + ")"
}

// peak is the point in which the row is greatest.
func (row *Row) peak() (point int, ok bool) {
	most := math.Inf(-1)
	for i, v := range row.Points.Max {
		if v.Known() && float64(v) > most {
			most, point, ok = float64(v), i, true
		}
	}
	return point, ok
}

// pointTime is when a point begins.
func (r *Report) pointTime(i int) time.Time {
	return r.From.Add(time.Duration(i) * r.Point.Duration())
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
