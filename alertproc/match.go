package alertproc

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// anyNonEmpty is the pattern for a value that is there at all.
const anyNonEmpty = "?*"

// pattern is one value of a where, parsed.
type pattern struct {
	any   bool     // any value that is not empty
	oneOf []string // otherwise one of these
}

func parsePattern(s string) (pattern, error) {
	if s == anyNonEmpty {
		return pattern{any: true}, nil
	}
	alternatives := strings.Split(s, "|")
	if len(alternatives) == 1 {
		return pattern{oneOf: alternatives}, nil
	}
	for _, a := range alternatives {
		switch a {
		case "":
			return pattern{}, errors.New(`an alternative between "|" is empty`)
		case anyNonEmpty:
			return pattern{}, errors.New(`"?*" stands alone, not beside "|"`)
		}
	}
	return pattern{oneOf: alternatives}, nil
}

func (p pattern) match(value string) bool {
	if p.any {
		return value != ""
	}
	return slices.Contains(p.oneOf, value)
}

// matcher is a where, parsed. It is asked once for each series, not each time the series is collected.
type matcher []attributePattern

type attributePattern struct {
	key string
	pattern
}

// newMatcher skips patterns that do not parse: check has refused them before.
func newMatcher(where map[string]string) matcher {
	var m matcher
	for _, key := range sortedKeys(where) {
		if p, err := parsePattern(where[key]); err == nil {
			m = append(m, attributePattern{key, p})
		}
	}
	return m
}

func (m matcher) match(l labelTexts) bool {
	for _, p := range m {
		if !p.match(l.get(p.key)) {
			return false
		}
	}
	return true
}

// labelTexts are the attributes of a series as text. A new series is matched against many rules; reading the values
// out of an attribute.Set each time was most of the work.
type labelTexts []labelText

type labelText struct{ key, value string }

func newLabelTexts(set *attribute.Set, scratch labelTexts) labelTexts {
	scratch = scratch[:0]
	for i := range set.Len() {
		kv, _ := set.Get(i)
		scratch = append(scratch, labelText{string(kv.Key), kv.Value.String()})
	}
	return scratch
}

// textsOf is the reverse of asMap.
func textsOf(m map[string]string) labelTexts {
	l := make(labelTexts, 0, len(m))
	for _, key := range sortedKeys(m) {
		l = append(l, labelText{key, m[key]})
	}
	return l
}

// asMap returns what an alert or a template works with. A map takes several times the room, so instances do without.
func (l labelTexts) asMap() map[string]string {
	if len(l) == 0 {
		return nil
	}
	m := make(map[string]string, len(l))
	for _, t := range l {
		m[t.key] = t.value
	}
	return m
}

// get returns the value of an attribute, "" if there is none.
func (l labelTexts) get(key string) string {
	for i := range l {
		if l[i].key == key {
			return l[i].value
		}
	}
	return ""
}

// overflow tells whether the series is what the SDK makes of all beyond the cardinality limit.
func (l labelTexts) overflow() bool { return l.get(overflowAttribute) == "true" }

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
