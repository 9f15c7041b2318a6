package alertproc

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// positions remembers where in a file each key was read, so that checks made later can still name the line.
type positions struct {
	file string
	line map[string]int  // by path, such as groups[0].rules[2].warn.clear
	bad  map[string]bool // paths that already have a mistake reported
	// unknown holds the mappings that have a misspelt key, which may be the one that is missed there.
	unknown map[string]bool
}

// problem is one mistake in a Config.
type problem struct {
	path string // such as groups[0].rules[2].warn.clear
	text string
	// missing is set if the mapping at path lacks a key.
	missing bool
}

// loader walks the YAML tree and gathers every mistake instead of stopping at the first.
type loader struct {
	pos      positions
	mistakes []mistake
	rules    int
}

// mistake is a problem with its line.
type mistake struct {
	line int
	text string
}

func (l *loader) fail(n *yaml.Node, path, format string, args ...any) {
	l.pos.bad[path] = true
	l.mistakes = append(l.mistakes, mistake{n.Line, fmt.Sprintf(format, args...)})
}

// join makes one error of mistakes, in the order of their lines.
func (p *positions) join(mistakes []mistake) error {
	slices.SortStableFunc(mistakes, func(a, b mistake) int { return a.line - b.line })
	errs := make([]error, 0, len(mistakes))
	for _, m := range mistakes {
		errs = append(errs, fmt.Errorf("%s:%d: %s", p.file, m.line, m.text))
	}
	return fmt.Errorf("alertproc: %w", errors.Join(errs...))
}

func (l *loader) unknown(k key, path string, allowed []string) {
	l.pos.unknown[path] = true
	if len(allowed) == 0 {
		l.fail(k.at, k.path, "unknown key %q%s; no keys are allowed there", k.name, inside(path))
		return
	}
	l.fail(k.at, k.path, "unknown key %q%s; %s", k.name, inside(path), didYouMean(k.name, allowed))
}

// key is one entry of a mapping, on its way to being decoded.
type key struct {
	name  string
	path  string
	at    *yaml.Node // the key itself
	value *yaml.Node
}

// mapping calls decode for each entry of n whose key is among allowed, and reports the others. It reports false if n
// is no mapping at all.
func (l *loader) mapping(n *yaml.Node, path string, allowed []string, decode func(k key)) bool {
	entries, ok := l.entries(n, path)
	for _, k := range entries {
		if !slices.Contains(allowed, k.name) {
			l.unknown(k, path, allowed)
			continue
		}
		decode(k)
	}
	return ok
}

// entries lists the entries of a mapping with their own mistakes removed: keys that are no text, and repeated ones.
func (l *loader) entries(n *yaml.Node, path string) ([]key, bool) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		l.fail(n, path, "%s is %s, want a mapping", last(path), kindName(n))
		return nil, false
	}
	l.pos.line[path] = n.Line
	seen := make(map[string]int, len(n.Content)/2)
	keys := make([]key, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		kn := resolve(n.Content[i])
		if kn.Kind != yaml.ScalarNode {
			l.fail(kn, path, "a key%s is %s, want a word", inside(path), kindName(kn))
			continue
		}
		k := key{name: kn.Value, path: join(path, kn.Value), at: kn, value: resolve(n.Content[i+1])}
		if first, ok := seen[k.name]; ok {
			l.fail(kn, k.path, "key %q is given twice%s, first on line %d", k.name, inside(path), first)
			continue
		}
		seen[k.name] = kn.Line
		l.pos.line[k.path] = kn.Line
		keys = append(keys, k)
	}
	return keys, true
}

// list calls decode for each element of a sequence.
func (l *loader) list(k key, decode func(k key)) {
	if k.value.Kind != yaml.SequenceNode {
		if k.value.Tag == "!!null" {
			return // "rules:" with nothing after it is an empty list
		}
		l.fail(k.value, k.path, "%s is %s, want a list", k.name, kindName(k.value))
		return
	}
	for i, n := range k.value.Content {
		path := fmt.Sprintf("%s[%d]", k.path, i)
		n = resolve(n)
		l.pos.line[path] = n.Line
		decode(key{name: k.name, path: path, at: n, value: n})
	}
}

func (l *loader) text(k key) string {
	if k.value.Kind != yaml.ScalarNode {
		l.fail(k.value, k.path, "%s is %s, want a text", k.name, kindName(k.value))
		return ""
	}
	if k.value.Tag == "!!null" {
		return ""
	}
	return k.value.Value
}

// maxTexts bounds the lists and mappings of texts in a rule. By aliases ten thousand rules may name the same one.
const maxTexts = 100

func (l *loader) texts(k key) []string {
	if n := len(k.value.Content); n > maxTexts {
		l.fail(k.value, k.path, "%s has %d entries, want at most %d", k.name, n, maxTexts)
		return nil
	}
	var all []string
	l.list(k, func(k key) { all = append(all, l.text(k)) })
	return all
}

func (l *loader) textMap(k key) map[string]string {
	if n := len(k.value.Content) / 2; n > maxTexts {
		l.fail(k.value, k.path, "%s has %d entries, want at most %d", k.name, n, maxTexts)
		return nil
	}
	entries, ok := l.entries(k.value, k.path)
	if !ok || len(entries) == 0 {
		return nil
	}
	m := make(map[string]string, len(entries))
	for _, e := range entries {
		m[e.name] = l.text(e)
	}
	return m
}

func (l *loader) duration(k key) time.Duration {
	s := l.text(k)
	if l.pos.bad[k.path] {
		return 0
	}
	d, err := parseDuration(s)
	if err != nil {
		l.fail(k.value, k.path, "%s: %q %s; want a duration such as 30s, 1m30s, 5m, 1h or 1d", k.name, s, err)
	}
	return d
}

func (l *loader) number(k key) float64 {
	s := l.text(k)
	if l.pos.bad[k.path] {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
		return v
	}
	hint := ""
	if d, err := parseDuration(s); err == nil && d > 0 {
		hint = fmt.Sprintf(" (durations are measured in seconds: %s is %g)", s, d.Seconds())
	}
	l.fail(k.value, k.path, "%s: %q is not a number; want a number in the metric's unit%s", k.name, s, hint)
	return 0
}

func (l *loader) truth(k key) bool {
	s := l.text(k)
	v, err := strconv.ParseBool(s)
	if err != nil && !l.pos.bad[k.path] {
		l.fail(k.value, k.path, "%s: %q is neither true nor false", k.name, s)
	}
	return v
}

// resolve follows aliases. The parser refuses an anchor that contains itself, but a chain of them is still bounded.
func resolve(n *yaml.Node) *yaml.Node {
	for range 16 {
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return "empty"
	case n.Kind == yaml.ScalarNode:
		return strconv.Quote(n.Value)
	default:
		return "something else"
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// last returns the key a path ends with, for messages.
func last(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		path = path[i+1:]
	}
	if path == "" {
		return "the file"
	}
	return path
}

func inside(path string) string {
	name := last(path)
	switch {
	case path == "":
		return ""
	case strings.HasPrefix(name, "rules["):
		return " in a rule"
	case strings.HasPrefix(name, "groups["):
		return " in a group"
	default:
		return " in " + strings.TrimRight(name, "[0123456789]")
	}
}
