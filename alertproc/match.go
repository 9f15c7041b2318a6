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
	key attribute.Key
	pattern
}

// newMatcher skips patterns that do not parse: check has refused them before.
func newMatcher(where map[string]string) matcher {
	var m matcher
	for _, key := range sortedKeys(where) {
		if p, err := parsePattern(where[key]); err == nil {
			m = append(m, attributePattern{attribute.Key(key), p})
		}
	}
	return m
}

func (m matcher) match(set *attribute.Set) bool {
	for _, p := range m {
		if !p.match(attributeText(set, p.key)) {
			return false
		}
	}
	return true
}

// attributeText returns the attribute's value as text, "" if the set has none.
func attributeText(set *attribute.Set, key attribute.Key) string {
	v, ok := set.Value(key)
	if !ok {
		return ""
	}
	return v.String()
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
