package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorded is a file of export requests with a gauge, a minute apart.
func recorded(t *testing.T, values ...float64) string {
	t.Helper()
	var b bytes.Buffer
	for i, v := range values {
		fmt.Fprintf(&b, `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"queue","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":%v}]}}]}]}]}`+"\n",
			1_767_225_600_000_000_000+int64(i)*60_000_000_000, v)
	}
	return write(t, b.String())
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommands(t *testing.T) {
	const rules, tests = "testdata/rules.yaml", "testdata/tests.yaml"
	recording := recorded(t, 50, 99, 99, 10)
	absolute, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	failing := write(t, "rules: "+absolute+`
tests:
- name: too hopeful
  every: 10s
  series: [{metric: queue, kind: gauge, values: 95x3}]
  expect:
  - {alert: Full, states: "- - -"}
  - {alert: Errors, states: "- - -"}
`)
	badSeries := write(t, "rules: "+absolute+"\ntests: [{every: 1s, series: [{metric: m, kind: gauge, values: 1 two}]}]")
	badKey := write(t, "rules: "+absolute+"\ntests: [{evry: 1s}]")
	badRules := write(t, "groups:\n- name: g\n  rules:\n  - alert: A\n    metrc: m\n    wran: {above: 1}\n")
	replayed := `2026-01-01T00:01:00Z  Full  inactive -> firing (warn)  {}  value 99 above 90
2026-01-01T00:03:00Z  Full  firing -> inactive  {}  recovered: value 10
2 changes
`
	for _, tc := range []struct {
		args   string
		status int
		stdout string // all of it
		stderr string // part of it
	}{
		{"rules check " + rules, 0, rules + ": 3 rules in 1 group, good\n" +
			rules + ":7: rule \"Errors\": unknown metric \"requests\" (right if the service records it itself)\n" +
			rules + ":15: rule \"Slow\": unknown metric \"duration\" (right if the service records it itself)\n" +
			rules + ":20: rule \"Full\": unknown metric \"queue\" (right if the service records it itself)\n", ""},
		{"rules check " + badRules, 1, "", badRules + `:6: unknown key "wran" in a rule; did you mean "warn"?`},
		{"rules check missing.yaml", 1, "", "missing.yaml: no such file"},
		{"rules test " + tests, 0, tests + ": 3 tests passed\n", ""},
		{"rules test " + failing, 1, "", "test too hopeful: Full is warn at step 0, want -; all: warn warn warn warn"},
		{"rules test " + badSeries, 1, "", `test number 1: series 1 (m): "two": no number; want 5, _ or 0+10x3`},
		{"rules test " + badKey, 1, "", "line 2: field evry not found"},
		{"rules replay " + rules + " -from " + recording, 0, replayed, ""},
		{"rules replay --from=" + recording + " " + rules, 0, replayed, ""},
		{"rules replay " + rules + " -from " + rules, 1, "", rules + ": alertproc: replay: line 1: not an OTLP export request in JSON"},
		{"help", 0, "usage:\n" + rulesUsage + topUsage + reportUsage, ""},
		{"-h", 0, "usage:\n" + rulesUsage + topUsage + reportUsage, ""},
		{"help top", 0, "usage:\n" + topUsage, ""},
		{"top -h", 0, "usage:\n" + topUsage, ""},
		{"report -from x --help", 0, "usage:\n" + reportUsage, ""},
		{"rules -h", 0, "usage:\n" + rulesUsage, ""},
		{"rules check --help", 0, "usage:\n" + rulesUsage, ""},
		{"", 2, "", "a command is missing"},
		{"dance", 2, "", `there is no command "dance"`},
		{"rules", 2, "", "want check, test or replay"},
		{"rules mend x", 2, "", `there is no "mend"`},
		{"rules check", 2, "", "name a file"},
		{"rules check -x", 2, "", "there is no option -x"},
		{"rules replay " + rules, 2, "", "a recording with -from"},
		{"rules replay " + rules + " -from", 2, "", "-from names a recording"},
		{"rules replay a b -from c", 2, "", "name one file of rules"},
		{"rules replay a -to c", 2, "", "there is no option -to"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(strings.Fields(tc.args), &stdout, &stderr); got != tc.status {
				t.Errorf("status: got %d, want %d", got, tc.status)
			}
			if stdout.String() != tc.stdout {
				t.Errorf("stdout: got %q, want %q", stdout.String(), tc.stdout)
			}
			if !strings.Contains(stderr.String(), tc.stderr) || tc.stderr == "" && stderr.Len() > 0 {
				t.Errorf("stderr: got %q, want %q in it", stderr.String(), tc.stderr)
			}
		})
	}
}

// A mistake on the command line is one line that says what, where and what is allowed, one that says where help is, and
// nothing that anyone would pipe on.
func TestUsageErrors(t *testing.T) {
	const top, report, rules = "otelnet help top shows how it is used", "otelnet help report shows how it is used", "otelnet help rules shows how it is used"
	const all = "otelnet help shows the commands"
	for _, tc := range []struct{ args, want, hint string }{
		{"", "a command is missing: want rules, top, report", all},
		{"dance", `there is no command "dance": want rules, top, report`, all},
		{"help dance", `there is no command "dance": want rules, top, report`, all},
		{"top -x", "top: there is no option -x", top},
		{"top -sort", "top: -sort needs a value", top},
		{"top -every 2", `top: -every "2": want a duration such as 2s or 1m`, top},
		{"top -every 1ms", "top: -every 1ms: want 200ms to 1h", top},
		{"top -rows many", `top: -rows "many": want a whole number`, top},
		{"top -rows 99999999999999999999", `top: -rows "99999999999999999999": too large a number`, top},
		{"top a b", `top: unexpected argument "b"`, top},
		{"report", "report: name a source with -from: agent=URL, prometheus=URL or influxdb=URL", report},
		{"report -x=1", "report: there is no option -x", report},
		{"report -range", "report: -range needs a value", report},
		{"report -partial=perhaps", `report: -partial "perhaps": want true or false`, report},
		{"report -select x", `report: -select "x": want ATTRIBUTE=VALUE`, report},
		{"report -timeout 1", `report: -timeout "1": want a duration such as 2s or 1m`, report},
		{"rules", "rules: want check, test or replay", rules},
		{"rules mend", `rules: there is no "mend"; want check, test or replay`, rules},
		{"rules check -x", "rules check: there is no option -x", rules},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(strings.Fields(tc.args), &stdout, &stderr); got != 2 {
				t.Errorf("status: got %d, want 2", got)
			}
			if want := "otelnet: " + tc.want + "\n" + tc.hint + "\n"; stderr.String() != want {
				t.Errorf("stderr: got %q, want %q", stderr.String(), want)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout: got %q, want nothing", stdout.String())
			}
		})
	}
}
