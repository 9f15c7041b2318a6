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

	"github.com/otelnet/agent/report"
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

// TestReportKnowsEveryMetric keeps the report's list of metrics equal to README's table: from a store with other names it finds only
// what it knows.
func TestReportKnowsEveryMetric(t *testing.T) {
	kinds := make(map[string]report.Kind)
	for _, m := range report.Known() {
		kinds[m.Name] = m.Kind
	}
	_, table, _ := strings.Cut(read(t, "README.md"), "\n## Metrics")
	table, _, _ = strings.Cut(table, "\n## ")
	name := regexp.MustCompile("`([a-z_.]+)`")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			kind, ok := kinds[m[1]]
			if !ok {
				t.Errorf("report/catalog.go does not know %s: add a line with its unit and kind", m[1])
			} else if text := strings.TrimSpace(strings.Split(cells[2], ",")[0]); text == "histogram" && kind != report.Histogram ||
				text == "counter" && kind != report.Counter || text == "updowncounter" && kind != report.Gauge {
				if !strings.Contains(cells[2], "counter, ") || !strings.Contains(cells[2], "updowncounter") { // a line for both
					t.Errorf("report/catalog.go has %s as another kind than README's %s", m[1], text)
				}
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
