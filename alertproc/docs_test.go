package alertproc

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"
)

const reference = "../docs/alerting.md"

// The first example of the reference is a whole file, and every key is described there.
func TestReference(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	_, example, _ := strings.Cut(text, "    groups:\n")
	example, _, _ = strings.Cut(example, "\nA file with")
	example = strings.ReplaceAll("    groups:\n"+example, "\n    ", "\n")
	cfg, err := Load(reference, strings.NewReader(strings.TrimPrefix(example, "    ")))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Groups) != 1 || len(cfg.Groups[0].Rules) != 2 || len(cfg.Notify) != 2 {
		t.Errorf("the first example has %+v", cfg)
	}
	for _, key := range slices.Concat(groupKeys, ruleKeys, aggregations, notifyKeys, captures, []string{metricNotifications}) {
		if !strings.Contains(text, key) {
			t.Errorf("%s does not mention %s", reference, key)
		}
	}
	for name := range functions {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s does not mention the template function %s", reference, name)
		}
	}
}

func TestPackageCommentListsTheMetrics(t *testing.T) {
	data, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{metricState, metricNotifications, string(attrNotifier), string(attrOutcome)} {
		if !strings.Contains(string(data), name) {
			t.Errorf("doc.go does not mention %s", name)
		}
	}
}

// codeBlocks returns the indented blocks of a document.
func codeBlocks(text string) (blocks []string) {
	inside := false
	for line := range strings.Lines(text) {
		code, ok := strings.CutPrefix(line, "    ")
		switch {
		case ok && !inside:
			blocks = append(blocks, code)
		case ok:
			blocks[len(blocks)-1] += code
		}
		inside = ok
	}
	return blocks
}

// Every example before the cookbook is one that loads: whole files, lists of rules, and keys of a rule.
func TestExamples(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(data), "\n## Cookbook\n")
	load := func(what, file string) {
		t.Helper()
		if _, err := Load(reference, strings.NewReader(file)); err != nil {
			t.Errorf("%v\nof\n%s", err, what)
		}
	}
	for _, block := range codeBlocks(text) {
		switch {
		case strings.HasPrefix(block, "groups:"), strings.HasPrefix(block, "notify:"):
			load(block, block)
		case strings.HasPrefix(block, "- "):
			load(block, "groups:\n- name: g\n  rules:\n"+indented(block, "  "))
		case strings.HasPrefix(block, "alertproc."):
			if code := strings.ReplaceAll(block, "    ", "\t"); !strings.Contains(string(examples), strings.TrimSpace(indented(code, "\t"))) {
				t.Errorf("example_test.go, which is compiled, lacks\n%s", block)
			}
		default:
			for _, keys := range ruleParts(block) {
				rule := "- alert: A\n" + indented(keys, "  ")
				if !strings.Contains(keys, "ratio:") {
					rule += "  metric: m\n"
				}
				if !strings.Contains(keys, "warn:") && !strings.Contains(keys, "crit:") {
					rule += "  warn: {above: 0.5}\n"
				}
				load(block, "groups:\n- name: g\n  rules:\n"+indented(rule, "  "))
			}
		}
	}
}

// ruleParts takes the keys of a block apart: each is an example of its own, but for those that need the one before.
func ruleParts(block string) (parts []string) {
	for line := range strings.Lines(block) {
		if len(parts) == 0 || !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "over:") && !strings.HasPrefix(line, "after:") {
			parts = append(parts, "")
		}
		parts[len(parts)-1] += line
	}
	return parts
}

func indented(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return b.String()
}

// Every recipe is a whole file that loads, and the rule it is about is in it.
func TestCookbook(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "\n## Cookbook\n")
	text, _, _ = strings.Cut(text, "\n## ")
	recipes := codeBlocks(text)
	if len(recipes) != 8 {
		t.Fatalf("found %d recipes, want 8", len(recipes))
	}
	groups := map[string]bool{}
	for _, r := range recipes {
		cfg, err := Load(reference, strings.NewReader(r))
		if err != nil {
			t.Errorf("%v\nof\n%s", err, r)
			continue
		}
		if groups[cfg.Groups[0].Name] || len(cfg.Groups[0].Rules) == 0 {
			t.Errorf("group %s is there twice, or empty", cfg.Groups[0].Name)
		}
		groups[cfg.Groups[0].Name] = true
		if _, err := New(Config{Groups: cfg.Groups, MeterProvider: noop.NewMeterProvider()}); err != nil {
			t.Error(err)
		}
	}
}
