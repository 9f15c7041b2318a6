package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Format is how a report is written.
type Format string

// The formats. All have the same rows.
const (
	Text Format = "text" // aligned columns
	HTML Format = "html" // one file without scripts
	JSON Format = "json" // the Report itself
	CSV  Format = "csv"  // numbers without rounding
)

// ParseFormat reads the name of a format.
func ParseFormat(text string) (Format, error) {
	switch f := Format(text); f {
	case Text, HTML, JSON, CSV:
		return f, nil
	}
	return "", fmt.Errorf("format: %.40q is unknown; allowed are html, text, json and csv", text)
}

// ContentType is the format's media type.
func (f Format) ContentType() string {
	switch f {
	case HTML:
		return "text/html; charset=utf-8"
	case JSON:
		return "application/json"
	case CSV:
		return "text/csv; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

// Write writes r as f.
func (r *Report) Write(w io.Writer, f Format) error {
	var err error
	switch f {
	case Text:
		err = r.writeText(w)
	case HTML:
		err = r.writeHTML(w)
	case CSV:
		err = r.writeCSV(w)
	case JSON:
		err = json.NewEncoder(w).Encode(r)
	default:
		_, err = ParseFormat(string(f))
	}
	if err != nil {
		return fmt.Errorf("report: write: %w", err)
	}
	return nil
}

var csvHead = []string{
	"metric", "part", "stat", "unit", "avg", "min", "max", "previous_avg", "previous_min", "previous_max",
	"change_avg", "change_min", "change_max", "slope_avg_per_hour", "slope_min_per_hour", "slope_max_per_hour", "step", "step_at",
	"from", "until", "coverage", "previous_coverage",
}

// writeCSV writes the table. What the report lacks stands before it, in lines that begin with "# ".
func (r *Report) writeCSV(w io.Writer) error {
	for _, m := range r.Missing {
		if _, err := fmt.Fprintf(w, "# %s\r\n", oneLine(m)); err != nil {
			return err
		}
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHead); err != nil {
		return err
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		record := []string{csvText(row.Metric), csvText(row.Part), string(row.Stat), csvText(row.Unit)}
		for _, n := range []Number{
			row.Avg, row.Min, row.Max, row.PrevAvg, row.PrevMin, row.PrevMax, row.ChangeAvg, row.ChangeMin, row.ChangeMax,
			row.SlopeAvg, row.SlopeMin, row.SlopeMax, row.Step,
		} {
			record = append(record, csvNumber(n))
		}
		at := ""
		if !row.StepAt.IsZero() {
			at = row.StepAt.Format(time.RFC3339)
		}
		record = append(record, at, r.From.Format(time.RFC3339), r.Until.Format(time.RFC3339),
			csvNumber(r.Coverage.Share), csvNumber(r.Previous.Share))
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func csvNumber(n Number) string {
	if !n.Known() {
		return ""
	}
	return strconv.FormatFloat(float64(n), 'g', -1, 64)
}

// csvText keeps a spreadsheet from taking a name for a formula, and a terminal from taking it for a command.
func csvText(s string) string {
	s = oneLine(s)
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// oneLine keeps foreign text within its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}
