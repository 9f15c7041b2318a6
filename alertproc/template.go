package alertproc

import (
	"strings"
	"text/template"
)

// TextData is what label and annotation templates see as the dot.
type TextData struct {
	Alert     string            // the rule's name
	Group     string            // its group's name
	Value     float64           // the value that was compared, in the metric's unit
	Threshold float64           // the bound it was compared with
	Low, High float64           // of a quantile: between what the true one is, see Alert
	Severity  string            // "warn" or "crit"
	Labels    map[string]string // in annotations: all the alert's; in labels: those of the series
}

// variables lets texts written for Prometheus' rules work.
const variables = "{{$value := .Value}}{{$labels := .Labels}}"

// text is a label's or an annotation's value.
type text struct {
	name     string
	constant string
	template *template.Template // nil if it is constant
}

// parseText compiles s. An error says what is wrong without the preamble of package template.
func parseText(name, s string) (text, error) {
	if !strings.Contains(s, "{{") {
		return text{name: name, constant: s}, nil
	}
	t, err := template.New("text").Funcs(functions).Option("missingkey=zero").Parse(variables + s)
	if err != nil {
		return text{}, templateError{err}
	}
	return text{name: name, template: t}, nil
}

// expand returns the text for d. A mistake that only shows now becomes the text, so that the alert is told anyway.
func (t text) expand(d TextData) string {
	if t.template == nil {
		return t.constant
	}
	var b strings.Builder
	if err := t.template.Execute(&b, d); err != nil {
		return "<error expanding template: " + templateError{err}.Error() + ">"
	}
	return b.String()
}

// templateError cuts the position that package template puts first: it counts the preamble too.
type templateError struct{ err error }

func (e templateError) Error() string {
	s := strings.TrimPrefix(e.err.Error(), "template: ")
	if rest, ok := strings.CutPrefix(s, "text:"); ok {
		if _, message, ok := strings.Cut(rest, ": "); ok {
			s = message
		}
	}
	return s
}

func (e templateError) Unwrap() error { return e.err }

// parseTexts compiles a map of texts in the order of their names. Those that do not compile are left out: check has
// refused them before.
func parseTexts(m map[string]string) []text {
	var all []text
	for _, name := range sortedKeys(m) {
		if t, err := parseText(name, m[name]); err == nil {
			all = append(all, t)
		}
	}
	return all
}
