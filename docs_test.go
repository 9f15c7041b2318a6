package agent

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestREADMEShowsTheExample keeps README's code the body of an example that compiles.
func TestREADMEShowsTheExample(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "example_test.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	readme := read(t, "README.md")
	source := read(t, "example_test.go")
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Name.Name == "Example" { // which only calls run
			continue
		}
		body := source[fset.Position(f.Body.Lbrace).Offset+1 : fset.Position(f.Body.Rbrace).Offset]
		formatted, err := format.Source([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(bytes.TrimSpace(formatted))) {
			line = strings.TrimRight(strings.TrimPrefix(line, "\t"), "\n")
			if !strings.Contains(readme, line) {
				t.Errorf("README.md lacks a line of %s:\n%s", f.Name.Name, line)
			}
		}
	}
}

// TestConfigurationIsDocumented keeps docs/configuration.md complete.
func TestConfigurationIsDocumented(t *testing.T) {
	doc := read(t, "docs/configuration.md")
	for _, v := range envVars {
		general := strings.NewReplacer("OTLP_METRICS_", "OTLP_", "OTLP_TRACES_", "OTLP_").Replace(v.name)
		switch {
		case strings.Contains(doc, "`"+v.name+"`"), strings.Contains(doc, "`"+general+"`"):
		case strings.HasPrefix(v.name, "OTEL_BSP_"), strings.HasSuffix(v.name, "_LIMIT"), strings.HasSuffix(v.name, "CLIENT_KEY"):
		default:
			t.Errorf("docs/configuration.md does not tell of %s", v.name)
		}
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "option.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "With") &&
			!strings.Contains(doc, "`"+f.Name.Name+"`") {
			t.Errorf("docs/configuration.md does not tell of %s", f.Name.Name)
		}
	}
}

// TestMetricsAreInREADME keeps its table complete: every metric that a package names in its list is there.
func TestMetricsAreInREADME(t *testing.T) {
	readme := read(t, "README.md")
	line := regexp.MustCompile(`(?m)^//\t((?:otelnet|http|dns|go|process)\.[a-z_.]+) `)
	constant := regexp.MustCompile(`(?m)^\tmetric\w+ += "([a-z_.]+)"`)
	for file, pattern := range map[string]*regexp.Regexp{
		"otelnet/doc.go":         line,
		"otelnet/instruments.go": constant,
		"runtimemetrics/doc.go":  line,
		"alertproc/meters.go":    constant,
		"capture/meters.go":      constant,
		"instruments.go":         constant,
	} {
		found := pattern.FindAllStringSubmatch(read(t, file), -1)
		if len(found) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, match := range found {
			if !strings.Contains(readme, "`"+match[1]+"`") {
				t.Errorf("README.md does not tell of %s of %s", match[1], file)
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
