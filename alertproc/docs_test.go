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

// Every recipe is a whole file that loads, and the rule it is about is in it.
func TestCookbook(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "\n## Cookbook\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var recipes []string
	inside := false
	for line := range strings.Lines(text) {
		code, ok := strings.CutPrefix(line, "    ")
		switch {
		case ok && !inside:
			recipes = append(recipes, code)
		case ok:
			recipes[len(recipes)-1] += code
		}
		inside = ok
	}
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
