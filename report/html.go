package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed style.css
var style string

//go:embed page.html.tmpl
var pageText string

// Policy is the content security policy under which the HTML form shows: its one style sheet, and nothing else.
func Policy() string {
	return metaPolicy() + "; frame-ancestors 'none'" // which a document cannot say of itself
}

var metaPolicy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
})

var pageTemplate = sync.OnceValues(func() (*template.Template, error) { return template.New("report").Parse(pageText) })

// htmlPage is what the template reads.
type htmlPage struct {
	R struct {
		Title, Scope string
		Trends       []Forecast
		Quiet        []string
	}
	Style                template.CSS
	Policy               string
	When, Made           string
	Missing              []string
	Partial              bool
	Level                string
	First, Verdict       string // the verdict's first clause, and the rest
	NoAlerts             string
	Alerts               []htmlAlert
	WorstHead, WorstTail string
	Worst, Routes        []htmlMinute
	Summary, All         htmlTable
	WindowText           string
}

type htmlTable struct {
	Length, First, Trend string
	High                 int
	Heads                []htmlCell
	Rows                 []htmlRow
}

type htmlRow struct {
	Label, Short string
	More         bool // a further row of the same metric
	Spark        spark
	Cells        []htmlCell
}

type htmlCell struct{ Head, Class, Number, Unit, Exact string }

type htmlAlert struct {
	Name, Severity, Since, Fired, For, Why string
	Did                                    bool
	Links                                  []Link
}

type htmlMinute struct {
	At    string
	Cells []htmlCell
}

func (r *Report) writeHTML(w io.Writer) error {
	t, err := pageTemplate()
	if err != nil {
		return err
	}
	p := htmlPage{
		Style: template.CSS(style), Policy: metaPolicy(), When: r.Until.Format("2006-01-02 15:04") + " UTC",
		Made: r.Generated.UTC().Format("2006-01-02 15:04:05") + " UTC", Missing: r.Missing, Partial: r.Partial,
		Level: string(r.Level), NoAlerts: capital(r.noAlerts()) + ".", WindowText: humanSeconds(float64(r.Window)),
	}
	said := strings.ReplaceAll(r.Verdict, " %", "\u00a0%") // no line begins with a sign
	p.First = said
	if first, rest, ok := strings.Cut(said, "; "); ok {
		p.First, p.Verdict = first+";", rest
	}
	p.R.Title, p.R.Scope, p.R.Trends, p.R.Quiet = r.title(), r.scope(), r.Trends, r.Quiet
	p.Summary, p.All = r.htmlTable("", 36), r.htmlTable("metric", 20)
	before := ""
	for i := range r.Rows {
		row := r.htmlRow(&r.Rows[i])
		if r.Rows[i].Summary {
			p.Summary.Rows = append(p.Summary.Rows, row)
			continue
		}
		row.More = r.Rows[i].Metric == before
		before = r.Rows[i].Metric
		p.All.Rows = append(p.All.Rows, row)
	}
	for i := range r.Alerts {
		p.Alerts = append(p.Alerts, r.htmlAlert(&r.Alerts[i]))
	}
	p.WorstHead, p.WorstTail, _ = strings.Cut(r.worstTitle(), " (")
	p.WorstTail = strings.TrimSuffix(p.WorstTail, ")")
	for i := range r.Worst {
		p.Worst = append(p.Worst, lines(r.worstTime(&r.Worst[i]), worstHeads, worstCells(&r.Worst[i])))
	}
	for i := range r.Routes {
		p.Routes = append(p.Routes, lines(r.Routes[i].name(), routeCells, r.Routes[i].cells()))
	}
	return t.Execute(w, p)
}

var routeCells = []htmlCell{
	{Head: "requests"}, {Head: "failed"}, {Head: "failed"}, {Head: "before", Class: "c"}, {Head: "slow"}, {Head: "p50"}, {Head: "p99"}, {Head: "Δp99", Class: "c"},
}

// lines names the cells of a row.
func lines(name string, heads []htmlCell, cells []string) htmlMinute {
	m := htmlMinute{At: name}
	for i, text := range cells {
		m.Cells = append(m.Cells, htmlCell{Number: text, Head: heads[i].Head, Class: heads[i].Class})
	}
	return m
}

var worstHeads = []htmlCell{
	{Head: "requests"}, {Head: "failed"}, {Head: "failed"}, {Head: "slow"}, {Head: "p50"}, {Head: "p99"}, {Head: "alerts firing", Class: "l first wide"},
}

// classes of the columns: changes are dim until they matter, slopes are what a narrow screen lets go first.
var columnClass = []string{"", "", "", "c", "c", "c", "s one", "s", "s", "c", "c"}

func (r *Report) htmlTable(first string, high int) htmlTable {
	length := humanSeconds(r.Until.Sub(r.From).Seconds())
	t := htmlTable{Length: length, First: first, High: high, Trend: r.short(r.From) + " – " + r.short(r.Until)}
	for i, h := range columns {
		t.Heads = append(t.Heads, htmlCell{Head: h, Class: columnClass[i]})
	}
	return t
}

func (r *Report) htmlRow(row *Row) htmlRow {
	out := htmlRow{Label: row.Label, Short: strings.TrimSpace(row.Part + " " + shortStat(row.Stat))}
	high := 20.0
	if row.Summary {
		high = 36
	}
	out.Spark = r.spark(row, high)
	exact := []Number{row.Avg, row.Min, row.Max, unknown, unknown, unknown, row.SlopeAvg, row.SlopeMin, row.SlopeMax, row.Step, unknown}
	changes := []Number{unknown, unknown, unknown, row.ChangeAvg, row.ChangeMin, row.ChangeMax}
	for i, text := range r.cells(row) {
		c := htmlCell{Head: columns[i], Class: columnClass[i]}
		c.Number, c.Unit = text, ""
		if cut := strings.LastIndexByte(text, ' '); cut > 0 && i != 10 && strings.Count(text, " ") == 1 && text != "from 0" {
			c.Number, c.Unit = text[:cut], "\u202f"+text[cut+1:]
		}
		if exact[i].Known() {
			c.Exact = strings.TrimSpace(strconv.FormatFloat(float64(exact[i]), 'g', 10, 64) + " " + row.Unit)
		}
		if i < len(changes) && changes[i].Known() && math.Abs(float64(changes[i])) >= worse {
			c.Class = "c big"
			if changes[i] > 0 && row.badWhenMore() {
				c.Class = "c worse"
			}
		}
		out.Cells = append(out.Cells, c)
	}
	return out
}

func shortStat(s Stat) string {
	if s == Value || s == Rate {
		return ""
	}
	return string(s)
}

// badWhenMore tells whether growth of the row is bad news: failures, waiting, and what runs out.
func (row *Row) badWhenMore() bool {
	switch {
	case row.Stat != Value && row.Stat != Rate:
		return !strings.HasSuffix(row.Unit, "By")
	case row.Part == "failed", strings.Contains(row.Metric, "error"), strings.Contains(row.Metric, "retransmit"), strings.Contains(row.Metric, "throttled"):
		return true
	}
	return limits[row.Metric] != nil || row.Metric == "go.goroutine.count"
}

func (r *Report) htmlAlert(a *Alert) htmlAlert {
	return htmlAlert{
		Name: a.name(), Severity: a.Severity, Since: r.sinceText(a), Fired: r.firedText(a), For: a.length(), Why: a.Why,
		Did: !a.Fired.IsZero(), Links: a.Captures,
	}
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// spark is a small chart: paths in a box of Wide by High.
type spark struct {
	Wide, High   int
	Line, Band   string
	Alerts, Gaps []box
	Say          string // the chart in words
}

type box struct{ X, W string }

const pointWide = 4

func (r *Report) spark(row *Row, high float64) spark {
	p := &row.Points
	n := len(p.Avg)
	s := spark{Wide: max(1, n*pointWide), High: int(high)}
	least, most := math.Inf(1), math.Inf(-1)
	for i := range n {
		for _, v := range []Number{p.Avg[i], p.Min[i], p.Max[i]} {
			if v.Known() {
				least, most = min(least, float64(v)), max(most, float64(v))
			}
		}
	}
	if least > most {
		s.Say = "no samples"
		return s
	}
	s.Say = fmt.Sprintf("%s: from %s to %s, average %s", row.Label, human(least, row.Unit), human(most, row.Unit), human(float64(row.Avg), row.Unit))
	if least > 0 && least < most/2 {
		least = 0 // so that the height tells how much it is
	}
	y := func(v Number) string {
		part := 0.5
		if most > least {
			part = (float64(v) - least) / (most - least)
		}
		return strconv.FormatFloat(2+(high-4)*(1-part), 'f', 1, 64)
	}
	x := func(i int) string { return strconv.Itoa(i*pointWide + pointWide/2) }
	var line, band strings.Builder
	for i := 0; i < n; {
		if !p.Avg[i].Known() {
			i++
			continue
		}
		from := i
		for i < n && p.Avg[i].Known() {
			i++
		}
		s.stretch(&line, &band, p, from, i, x, y)
	}
	s.Line, s.Band = line.String(), band.String()
	at := func(t time.Time) float64 {
		return min(1, max(0, t.Sub(r.From).Seconds()/r.Until.Sub(r.From).Seconds())) * float64(s.Wide)
	}
	mark := func(from, until time.Time) box {
		a := at(from)
		return box{strconv.FormatFloat(a, 'f', 1, 64), strconv.FormatFloat(max(at(until)-a, 1), 'f', 1, 64)}
	}
	spans, _ := r.firing()
	for _, f := range spans {
		s.Alerts = append(s.Alerts, mark(time.UnixMilli(f.from), time.UnixMilli(f.until)))
	}
	for _, g := range r.Coverage.Gaps {
		s.Gaps = append(s.Gaps, mark(g.From, g.Until))
	}
	return s
}

// stretch draws points from to until, all of them known.
func (s *spark) stretch(line, band *strings.Builder, p *Points, from, until int, x func(int) string, y func(Number) string) {
	if until == from+1 { // a dot
		fmt.Fprintf(line, "M%d %sh%d", from*pointWide, y(p.Avg[from]), pointWide)
		return
	}
	hasBand := true
	for i := from; i < until; i++ {
		verb := "L"
		if i == from {
			verb = "M"
		}
		line.WriteString(verb + x(i) + " " + y(p.Avg[i]))
		hasBand = hasBand && p.Min[i].Known() && p.Max[i].Known()
	}
	if !hasBand {
		return
	}
	for i := from; i < until; i++ {
		verb := "L"
		if i == from {
			verb = "M"
		}
		band.WriteString(verb + x(i) + " " + y(p.Max[i]))
	}
	for i := until - 1; i >= from; i-- {
		band.WriteString("L" + x(i) + " " + y(p.Min[i]))
	}
	band.WriteString("Z")
}
