package agent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/report"
)

// TestREADMECompiles vets README's program as it stands, and finds its other Go code in an example.
func TestREADMECompiles(t *testing.T) {
	examples := read(t, "example_test.go")
	blocks := regexp.MustCompile("(?s)\n```go\n(.*?)\n```\n").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md shows no code")
	}
	for _, block := range blocks {
		code := block[1]
		if strings.HasPrefix(code, "package main\n") {
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(code+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
				t.Errorf("README.md's program: %v\n%s", err, out)
			}
			_, code, _ = strings.Cut(code, "\nfunc run(") // main is called Example there
			code = "func run(" + code
		} else {
			code = "\t" + strings.ReplaceAll(code, "\n", "\n\t")
		}
		if !strings.Contains(examples, code) {
			t.Errorf("README.md shows what no example has:\n%s", code)
		}
	}
}

// TestREADMERulesAreGood loads the rules that README shows.
func TestREADMERulesAreGood(t *testing.T) {
	blocks := regexp.MustCompile("(?s)\n```yaml\n(groups:.*?)\n```\n").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md shows no rules")
	}
	for _, block := range blocks {
		if _, err := alertproc.Load("README.md", strings.NewReader(block[1])); err != nil {
			t.Error(err)
		}
	}
}

// TestLinks follows every link of the documents that leads into the repository, to its file and its heading.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := read(t, "README.md")
	for _, page := range pages {
		if !strings.Contains(readme, "]("+filepath.ToSlash(page)+")") {
			t.Errorf("README.md does not list %s", page)
		}
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range append(pages, "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md") {
		for _, match := range link.FindAllStringSubmatch(read(t, page), -1) {
			file, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
			} else if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s links to %s, where no heading is called so", page, match[1])
			}
		}
	}
}

// TestArchitectureNamesEveryFolder keeps its list of rooms complete.
func TestArchitectureNamesEveryFolder(t *testing.T) {
	doc := read(t, "docs/architecture.md")
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dirs := strings.Fields(string(out))
	modules, err := filepath.Glob("*/go.mod")
	if err != nil || len(modules) == 0 {
		t.Fatalf("modules of their own: %q, %v", modules, err)
	}
	for _, m := range modules {
		dirs = append(dirs, filepath.Dir(m))
	}
	for _, dir := range dirs[1:] { // but for the root
		if name := filepath.Base(dir); !regexp.MustCompile(`\b` + name + `\b`).MatchString(doc) {
			t.Errorf("docs/architecture.md does not name %s", dir)
		}
	}
}

// anchors are what GitHub makes of a document's headings.
func anchors(doc string) (names []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(doc, -1) {
		name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
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
	known := make(map[string]report.Metric)
	for _, m := range report.Known() {
		known[m.Name] = m
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
			metric, ok := known[m[1]]
			kind := metric.Kind
			if ok && !slices.Contains(strings.FieldsFunc(cells[2], func(r rune) bool { return strings.ContainsRune(" ,:;", r) }), metric.Unit) {
				t.Errorf("README.md gives %s the units%s, report/catalog.go %q", m[1], cells[2], metric.Unit)
			}
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
