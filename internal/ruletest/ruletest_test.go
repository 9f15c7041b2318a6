package ruletest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rules is the file that the example of docs/alerting.md fits.
const rules = "../../cmd/otelnet/testdata/rules.yaml"

func run(t *testing.T, tests string) (int, error) {
	t.Helper()
	absolute, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(tests, "rules: rules.yaml", "rules: "+absolute)), 0o600); err != nil {
		t.Fatal(err)
	}
	return Run(path)
}

func TestTheExampleOfTheReference(t *testing.T) {
	data, err := os.ReadFile("../../docs/alerting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(data), "    rules: rules.yaml\n")
	example, _, end := strings.Cut(example, "\n\n")
	if !ok || !end {
		t.Fatal("docs/alerting.md has no example of a test")
	}
	n, err := run(t, "rules: rules.yaml\n"+strings.ReplaceAll("\n"+example, "\n    ", "\n")+"\n")
	if err != nil || n != 1 {
		t.Errorf("%d tests, error %v", n, err)
	}
}

// A test that says nothing must not pass for one that found nothing wrong.
func TestMistakesInTests(t *testing.T) {
	const queue = "{metric: queue, kind: gauge, values: 95}"
	for tests, want := range map[string]string{
		"":           "there is no test in it",
		"tests: []":  "there is no test in it",
		"tests: [1]": "cannot unmarshal",
		"tests: [{every: 1s, series: [" + queue + "]}]":                                                                             "it expects nothing",
		"tests: [{every: 1s, series: [" + queue + "], expect: [{alert: Full}]}]":                                                    "Full: no states are expected",
		"tests: [{every: 1s, series: [" + queue + "], expect: [{alert: Full, states: '- maybe'}]}]":                                 `"maybe" is no state`,
		"tests: [{every: 1s, series: [" + queue + "], expect: [{alert: Fill, states: warn}]}]":                                      `there is no rule "Fill"`,
		"tests: [{every: 1s, series: [" + queue + ", " + queue + "], expect: [{alert: Full, states: warn}]}]":                       "series 2 (queue) is the same as series 1",
		"tests: [{every: 1s, series: [null], expect: [{alert: Full, states: warn}]}]":                                               "series 1 is empty",
		"tests: [{series: [" + queue + "], expect: [{alert: Full, states: warn}]}]":                                                 "every, the time between two collections, is missing",
		"tests: [{every: 1s, series: [{metric: queue, kind: gauge, values: 1x100000 1x9}], expect: [{alert: Full, states: warn}]}]": "more than 100000 values",
	} {
		if _, err := run(t, "rules: rules.yaml\n"+tests+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s in it", tests, err, want)
		}
	}
}
