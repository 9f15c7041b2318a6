package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// columns are the table's heads, the same in text and HTML. They are told apart from names by what they are about: a number's
// change against the range before, and its slope in an hour.
var columns = []string{"avg", "min", "max", "Δavg", "Δmin", "Δmax", "avg/h", "min/h", "max/h", "step", "at"}

// cells are a row's numbers as people read them, one for each of columns.
func (r *Report) cells(row *Row) []string {
	perHour := func(n Number) string {
		if !n.Known() {
			return "n/a"
		}
		return signed(float64(n), row.Unit)
	}
	number := func(n Number) string { return human(float64(n), row.Unit) }
	at := ""
	if !row.StepAt.IsZero() {
		at = r.short(row.StepAt)
	}
	return []string{
		number(row.Avg), number(row.Min), number(row.Max),
		changed(row.PrevAvg, row.Avg), changed(row.PrevMin, row.Min), changed(row.PrevMax, row.Max),
		perHour(row.SlopeAvg), perHour(row.SlopeMin), perHour(row.SlopeMax), perHour(row.Step), at,
	}
}

// changed writes the change from before to now.
func changed(before, now Number) string {
	switch {
	case before != 0 || !now.Known():
		return percent(change(before, now))
	case now == 0:
		return "0 %"
	}
	return "from 0"
}

// short writes a time as finely as the range needs.
func (r *Report) short(t time.Time) string {
	switch length := r.Until.Sub(r.From); {
	case length > 24*time.Hour:
		return t.UTC().Format("01-02 15:04")
	case r.Point.Duration()%time.Minute != 0 || r.From.Second() != 0:
		return t.UTC().Format("15:04:05")
	}
	return t.UTC().Format("15:04")
}

// moment writes a time of day, with the date where the range is longer than one.
func (r *Report) moment(t time.Time) string {
	if r.Until.Sub(r.From) <= 24*time.Hour {
		return t.UTC().Format("15:04:05")
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// scope is the line under the title.
func (r *Report) scope() string {
	length := r.Until.Sub(r.From)
	day := "2006-01-02 15:04:05"
	until := r.Until.Format("15:04:05")
	if r.From.YearDay() != r.Until.YearDay() || r.From.Year() != r.Until.Year() {
		until = r.Until.Format(day)
	}
	parts := []string{
		fmt.Sprintf("%s to %s UTC (%s), against the %s before", r.From.Format(day), until, humanSeconds(length.Seconds()), humanSeconds(length.Seconds())),
		fmt.Sprintf("sampled every %s, %s", humanSeconds(float64(r.Interval)), r.coverageText()),
		fmt.Sprintf("points of %s, windows of %s", humanSeconds(float64(r.Point)), humanSeconds(float64(r.Window))),
	}
	switch len(r.Instances) {
	case 0:
	case 1:
		parts = append(parts, "instance "+r.Instances[0])
	default:
		parts = append(parts, fmt.Sprintf("%d instances added up", len(r.Instances)))
	}
	if r.Version != "" {
		parts = append(parts, "version "+r.Version)
	}
	parts = append(parts, "from "+r.Source)
	return strings.Join(parts, " · ")
}

func (r *Report) coverageText() string {
	share := 100 * float64(r.Coverage.Share)
	text := fmt.Sprintf("%.1f %% covered", math.Floor(share*10)/10)
	if share > 99.99 {
		text = "all covered"
	}
	switch gaps := r.Coverage.Gaps; len(gaps) {
	case 0:
	case 1:
		text += fmt.Sprintf(", a gap of %s at %s", humanSeconds(gaps[0].Until.Sub(gaps[0].From).Seconds()), r.moment(gaps[0].From))
	default:
		longest := slices.MaxFunc(gaps, func(a, b Gap) int { return int(a.Until.Sub(a.From) - b.Until.Sub(b.From)) })
		text += fmt.Sprintf(", %d gaps, the longest of %s at %s", len(gaps), humanSeconds(longest.Until.Sub(longest.From).Seconds()), r.moment(longest.From))
	}
	return text
}

// title is the report's head.
func (r *Report) title() string {
	if r.Service == "" {
		return "Network performance report"
	}
	return "Network performance report · " + r.Service
}

// writeText writes the report for a terminal of some 160 columns.
func (r *Report) writeText(w io.Writer) error {
	var b bytes.Buffer
	line := func(format string, args ...any) { b.WriteString(oneLine(fmt.Sprintf(format, args...)) + "\n") }
	line("%s", r.title())
	line("%s", r.scope())
	b.WriteByte('\n')
	for i, m := range r.Missing {
		mark := "NOTE     "
		if r.Partial && i == 0 {
			mark = "PARTIAL  "
		}
		line("%s%s", mark, m)
	}
	if len(r.Missing) > 0 {
		b.WriteByte('\n')
	}
	line("%-9s%s", strings.ToUpper(string(r.Level)), r.Verdict)
	b.WriteByte('\n')

	heads := append([]string{"", ""}, columns...)
	rows := [][]string{heads}
	inSummary := true
	for i := range r.Rows {
		row := &r.Rows[i]
		if inSummary && !row.Summary && i > 0 {
			rows = append(rows, nil)
		}
		inSummary = row.Summary
		rows = append(rows, append([]string{row.Label, bars(row.Points.Avg, barsWide)}, r.cells(row)...))
	}
	table(&b, rows, "llrrrrrrrrrrl")
	if len(r.Quiet) > 0 {
		b.WriteByte('\n')
		line("Nothing was added to: %s", strings.Join(r.Quiet, ", "))
	}
	r.textAlerts(&b)
	r.textWorst(&b)
	if len(r.Routes) > 0 {
		b.WriteString("\nRoutes (those with the most requests that failed or were slow first)\n")
		rows := [][]string{append([]string{""}, routeHeads...)}
		for i := range r.Routes {
			rows = append(rows, append([]string{"  " + r.Routes[i].name()}, r.Routes[i].cells()...))
		}
		table(&b, rows, "lrrrrrrrr")
	}
	if len(r.Trends) > 0 {
		b.WriteString("\nForecasts\n")
		for _, f := range r.Trends {
			line("  %s (R² %.2f)", f.Text, float64(f.Fit))
		}
	}
	_, err := b.WriteTo(w)
	return err
}

func (r *Report) textAlerts(b *bytes.Buffer) {
	b.WriteString("\nAlerts\n")
	if len(r.Alerts) == 0 {
		b.WriteString("  " + r.noAlerts() + "\n")
		return
	}
	rows := [][]string{{"", "severity", "pending", "fired", "for", "why", "evidence"}}
	for i := range r.Alerts {
		a := &r.Alerts[i]
		rows = append(rows, []string{"  " + a.name(), a.Severity, r.sinceText(a), r.firedText(a), a.length(), a.Why, a.links()})
	}
	table(b, rows, "llllrll")
}

func (r *Report) noAlerts() string {
	if r.Rules {
		return "none"
	}
	return "the service has no alert rules"
}

func (a *Alert) name() string {
	text := a.Name
	var labels []string
	for k, v := range a.Labels {
		labels = append(labels, k+"="+v)
	}
	slices.Sort(labels)
	if len(labels) > 0 {
		text += " {" + strings.Join(labels, ", ") + "}"
	}
	return text
}

func (r *Report) sinceText(a *Alert) string {
	if a.Since.Before(r.From) {
		return "before"
	}
	return r.moment(a.Since)
}

func (r *Report) firedText(a *Alert) string {
	switch {
	case a.Fired.IsZero():
		return "never"
	case a.Fired.Before(r.From):
		return "before"
	}
	return r.moment(a.Fired)
}

func (a *Alert) length() string {
	text := ""
	if a.Firing > 0 {
		text = humanSeconds(float64(a.Firing))
	}
	if a.Ended.IsZero() {
		text += " so far"
	}
	return strings.TrimSpace(text)
}

func (a *Alert) links() string {
	var parts []string
	for _, l := range a.Captures {
		parts = append(parts, l.URL)
	}
	return strings.Join(parts, " ")
}

func (r *Report) textWorst(b *bytes.Buffer) {
	if len(r.Worst) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", r.worstTitle())
	rows := [][]string{{"", "requests", "failed", "", "slow", "p50", "p99", "alerts"}}
	for i := range r.Worst {
		rows = append(rows, append([]string{"  " + r.worstTime(&r.Worst[i])}, worstCells(&r.Worst[i])...))
	}
	table(b, rows, "lrrrrrrl")
}

var routeHeads = []string{"requests", "failed", "", "before", "slow", "p50", "p99", "Δp99"}

func (t *Route) name() string {
	return strings.TrimSpace(t.Method + " " + cmp.Or(t.Route, "(no route)"))
}

func (t *Route) cells() []string {
	return []string{
		human(float64(t.Requests), "/s"), human(math.Round(float64(t.Failed)), ""), human(float64(t.FailedPart), "share"),
		human(float64(t.PrevFailedPart), "share"), human(math.Round(float64(t.Slow)), ""),
		human(float64(t.P50), "s"), human(float64(t.P99), "s"), changed(t.PrevP99, t.P99),
	}
}

func (r *Report) worstTitle() string {
	what := "minutes"
	if r.WorstLen != 60 {
		what = "stretches of " + humanSeconds(float64(r.WorstLen))
	}
	return "Worst " + what + " (most requests that failed, or took longer than the range's p99)"
}

func (r *Report) worstTime(m *Minute) string { return r.moment(m.From) }

func worstCells(m *Minute) []string {
	return []string{
		human(math.Round(float64(m.Requests)), ""), human(math.Round(float64(m.Failed)), ""), human(float64(m.FailedPart), "share"),
		human(math.Round(float64(m.Slow)), ""), human(float64(m.P50), "s"), human(float64(m.P99), "s"), strings.Join(m.Alerts, ", "),
	}
}

// table writes rows with aligned columns. align has l or r for each; a nil row is an empty line.
func table(b *bytes.Buffer, rows [][]string, align string) {
	widths := make([]int, len(align))
	for _, row := range rows {
		for i := range row {
			row[i] = oneLine(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if align[i] == 'r' {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

const barsWide = 24

// bars draws a column as a line of blocks of eight heights, from its least to its greatest; a space is where nothing is known.
func bars(column []Number, wide int) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range column {
		if v.Known() {
			least, most = min(least, float64(v)), max(most, float64(v))
		}
	}
	var out strings.Builder
	for i := range min(wide, len(column)) {
		sum, n := 0.0, 0
		for _, v := range column[i*len(column)/min(wide, len(column)) : (i+1)*len(column)/min(wide, len(column))] {
			if v.Known() {
				sum += float64(v)
				n++
			}
		}
		switch {
		case n == 0:
			out.WriteRune(' ')
		case most == least:
			out.WriteRune(blocks[0])
		default:
			// Rounding may leave the range a little.
			out.WriteRune(blocks[max(0, min(7, int(8*(sum/float64(n)-least)/(most-least))))])
		}
	}
	return out.String()
}
