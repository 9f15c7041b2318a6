package agent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A metric of the agent's own that is not listed would be warned of as unknown in the rules that watch it.
func TestOwnMetricsAreKnown(t *testing.T) {
	known := knownMetrics()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "metric") {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			name, err := strconv.Unquote(literal.Value)
			if err == nil && strings.HasPrefix(name, "otelnet.") {
				found++
				if !slices.Contains(known, name) {
					t.Errorf("%s: %s is not among knownMetrics", e.Name(), name)
				}
			}
			return true
		})
	}
	if found < 3 {
		t.Errorf("found only %d metrics", found)
	}
}
