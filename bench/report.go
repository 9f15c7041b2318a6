package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/otelnet/agent/bench/internal/tables"
)

// report is the table, as it grows.
type report struct {
	effort effort
	took   time.Duration
	parts  []part
}

// part is what one group gave.
type part struct {
	title string
	lines [][]string // the first is the heading
}

func newReport(e effort) *report { return &report{effort: e} }

// add appends the rows of one scenario.
func (r *report) add(g group, s scenario, res results) {
	if len(r.parts) == 0 || r.parts[len(r.parts)-1].title != g.title {
		heading := append([]string{g.title}, g.subjects...)
		r.parts = append(r.parts, part{title: g.title, lines: [][]string{append(heading, "spread", "to reach")}})
	}
	p := &r.parts[len(r.parts)-1]
	for _, row := range s.rows {
		p.lines = append(p.lines, line(g, s, row, res))
	}
}

func line(g group, s scenario, r row, res results) []string {
	cells := []string{r.label}
	var verdicts []string
	spread := ""
	base := s.subjects[0]
	relative := r.show != absoluteMicroseconds && r.show != absoluteCount
	for _, subject := range g.subjects {
		if !slices.Contains(s.subjects, subject) || !res.has(subject, r.of) {
			cells = append(cells, "")
			continue
		}
		n := r.number(res, subject, base)
		if relative && subject == base {
			rounds := res.of(base, r.of)
			x := median(rounds)
			if r.best {
				x = slices.Min(rounds)
			}
			cells = append(cells, r.base(x))
			continue
		}
		cells = append(cells, r.cell(n))
		if subject == ours && !r.best && (r.of == cpuTime || r.of == wallTime) {
			spread = fmt.Sprintf("±%.1f%%", 100*n.spread())
		}
		if goal := r.goal(subject, n); goal != "" {
			if subject != ours {
				goal = strings.TrimPrefix(subject, "otelnet ") + " " + goal
			}
			verdicts = append(verdicts, goal)
		}
	}
	return append(cells, spread, strings.Join(verdicts, "; "))
}

// text is the table for a terminal.
func (r *report) text() string {
	var b strings.Builder
	for _, p := range r.parts {
		widths := make([]int, len(p.lines[0]))
		for _, l := range p.lines {
			for i, cell := range l {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
		for _, l := range p.lines {
			var out strings.Builder
			for i, cell := range l {
				pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
				switch {
				case i == 0:
					out.WriteString(cell + pad)
				case i == len(l)-1:
					out.WriteString("  " + cell)
				default:
					out.WriteString("  " + pad + cell)
				}
			}
			b.WriteString(strings.TrimRight(out.String(), " ") + "\n")
		}
		b.WriteString("\n")
	}
	b.WriteString(r.circumstances() + "\n")
	return b.String()
}

// markdown is the same for a document.
func (r *report) markdown() string {
	var b strings.Builder
	for _, p := range r.parts {
		for i, l := range p.lines {
			b.WriteString("| " + strings.Join(l, " | ") + " |\n")
			if i == 0 {
				b.WriteString("|---|" + strings.Repeat("---:|", len(l)-2) + "---|\n")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString(r.circumstances() + "\n")
	return b.String()
}

// circumstances says where and how the numbers were taken.
func (r *report) circumstances() string {
	return fmt.Sprintf("%s; up to %d rounds of %v or more for each subject, in turn; %v in all.",
		tables.Machine(), r.effort.rounds, r.effort.round, r.took.Round(time.Second))
}

// place is where the document has the table.
var place = tables.Place{Begin: "<!-- table: make bench writes what follows -->\n", End: "<!-- end of table -->\n"}
