package alertproc

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
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
	for _, part := range t.Templates() {
		if part.Tree != nil {
			countTurns(part.Root)
		}
	}
	return text{name: name, template: t}, nil
}

// countTurns puts an empty text at the beginning of every loop and of the list itself, so that each turn and each call is
// a write, which boundedText counts. Package template has no other way to stop one that is running.
func countTurns(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.RangeNode:
			countTurns(n.List)
			countTurns(n.ElseList)
		case *parse.IfNode:
			countTurns(n.List)
			countTurns(n.ElseList)
		case *parse.WithNode:
			countTurns(n.List)
			countTurns(n.ElseList)
		}
	}
	list.Nodes = append([]parse.Node{&parse.TextNode{NodeType: parse.NodeText, Pos: list.Pos}}, list.Nodes...)
}

// What bounds an expanded text.
const (
	maxTextBytes  = 64 << 10
	maxTextWrites = 10_000
)

var (
	errTextLong   = fmt.Errorf("the text is longer than %d bytes", maxTextBytes)
	errTextWrites = errors.New("it takes too many steps")
)

// boundedText fails a template that has no end in sight. Templates run within an evaluation.
type boundedText struct {
	text   strings.Builder
	writes int
}

func (b *boundedText) Write(p []byte) (int, error) {
	if b.writes++; b.writes > maxTextWrites {
		return 0, errTextWrites
	}
	if b.text.Len()+len(p) > maxTextBytes {
		return 0, errTextLong
	}
	return b.text.Write(p)
}

// expand returns the text for d. A mistake that only shows now becomes the text, so that the alert is told anyway.
func (t text) expand(d TextData) string {
	if t.template == nil {
		return t.constant
	}
	var b boundedText
	if err := t.template.Execute(&b, d); err != nil {
		return "<error expanding template: " + templateError{err}.Error() + ">"
	}
	return b.text.String()
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
