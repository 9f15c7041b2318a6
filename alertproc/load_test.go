package alertproc

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestLoadFileReadsEveryKey(t *testing.T) {
	got, err := LoadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Groups: []Group{
			{
				Name: "checkout", File: "testdata/good.yaml", Every: 5 * time.Second,
				Rules: []Rule{
					{
						Alert: "HighLatency", Metric: "http.server.request.duration",
						Where: map[string]string{"http.route": "/checkout"}, By: []string{"http.route"},
						Value: Value{Aggregation: Quantile, Arg: 0.99, Over: time.Minute}, MinCount: 100,
						Warn: Above(0.5).WithClear(0.4), Crit: Above(1).WithClear(0.8),
						For: 30 * time.Second, KeepFiringFor: time.Minute, NoData: NoDataKeep,
						Labels:      map[string]string{"team": "payments"},
						Annotations: map[string]string{"summary": `p99 is {{ humanizeDuration .Value }} on {{ index .Labels "http.route" }}`},
						Capture:     []string{"trace", "cpu", "heap", "goroutine"},
					},
					{
						Alert: "Errors",
						Ratio: &Ratio{
							Bad:   Selector{Metric: "http.server.request.duration", Where: map[string]string{"error.type": "?*"}},
							Total: Selector{Metric: "http.server.request.duration"}, Over: time.Minute, MinTotal: 50,
						},
						Warn: Above(0.01),
					},
					{
						Alert: "SlowShare", Metric: "http.server.request.duration",
						Value: Value{Aggregation: FractionAbove, Arg: 0.25, Over: 5 * time.Minute}, Warn: Above(0.05),
						Match: Match{3, 5},
					},
				},
			},
			{
				Name: "connections", File: "testdata/good.yaml",
				Rules: []Rule{
					{
						Alert: "ManyConnections", Metric: "otelnet.server.active_connections", Value: Value{Aggregation: Last},
						By: []string{"otelnet.listener"}, MaxInstances: 50, Crit: Above(10000), For: 90 * time.Second,
					},
					{
						Alert: "Resets", Metric: "otelnet.connection.errors",
						Where: map[string]string{"error.type": "reset|timeout"},
						Value: Value{Aggregation: Rate, Over: time.Minute}, Warn: Above(5), NoData: NoDataFire, After: 2 * time.Minute,
					},
					{
						Alert: "Starved", Metric: "otelnet.connection.io",
						Value: Value{Aggregation: Increase, Over: 24 * time.Hour},
						Warn:  Below(1).WithClear(10), NoData: NoDataResolve,
					},
				},
			},
		},
		Notify: []Notify{
			{Log: &LogNotify{}},
			{Webhook: &WebhookNotify{URL: "http://127.0.0.1:9/hook", Timeout: 5 * time.Second}},
			{
				Alertmanager: &AlertmanagerNotify{URL: "http://127.0.0.1:9093", Resend: time.Minute, KeepDots: true},
				Delay:        &Delay{Up: 10 * time.Second, Down: 15 * time.Minute, Multiplier: 1.5, Max: time.Hour},
			},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{})); diff != "" {
		t.Errorf("loaded config differs (-want +got):\n%s", diff)
	}
}

// The golden file is what a user sees: every mistake of the file, with its line, in the order of the lines.
func TestLoadFileNamesEveryMistake(t *testing.T) {
	_, err := LoadFile("testdata/bad.yaml")
	if err == nil {
		t.Fatal("LoadFile accepted testdata/bad.yaml")
	}
	got := err.Error() + "\n"
	const golden = "testdata/bad.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("error text differs (-want +got):\n%s", diff)
	}
}

// rule puts the lines of one rule into a whole file, in which they begin on line 4.
func ruleFile(lines ...string) string {
	return "groups:\n- name: g\n  rules:\n  - " + strings.Join(lines, "\n    ") + "\n"
}

func TestLoadMistakes(t *testing.T) {
	good := []string{"alert: A", "metric: m", "warn: {above: 1}"}
	with := func(lines ...string) string { return ruleFile(append(append([]string{}, good...), lines...)...) }
	for _, tc := range []struct {
		name, file, want string
	}{
		{"empty file", "", "f:1: the file is empty, want the key groups"},
		{"no mapping", "- a", "f:1: the file is a list, want a mapping"},
		{"not YAML", "groups: [", "f:1: not YAML: did not find expected node content"},
		{"groups no list", "groups: {name: x}", "f:1: groups is a mapping, want a list"},
		{"group without name", "groups:\n- rules: []", "f:2: a group needs a name"},
		{"duplicate group", "groups:\n- name: a\n- name: a", `f:3: duplicate group "a"`},
		{"unknown key", with("treshold: 1"), `f:7: unknown key "treshold" in a rule; allowed: alert,`},
		{"misspelt key", with("keep_fireing_for: 1m"), `f:7: unknown key "keep_fireing_for" in a rule; did you mean "keep_firing_for"?`},
		{"slo without burn", ruleFile("slo: a", "warn: {above: 1}"), `f:4: an slo needs burn: google`},
		{"burn of another kind", ruleFile("slo: a", "objective: 99", "burn: aws", "ratio: {bad: {metric: b}, total: {metric: t}}"), `f:6: burn: unknown windows "aws"`},
		{"burn without objective", ruleFile("slo: a", "burn: google", "ratio: {bad: {metric: b}, total: {metric: t}}"), `f:4: rule "a": objective 0 is not between 0 and 100 percent`},
		{"burn with thresholds", ruleFile("slo: a", "objective: 99", "burn: google", "warn: {above: 1}", "ratio: {bad: {metric: b}, total: {metric: t}}"), `f:6: rule "a": burn has bounds of its own`},
		{"burn with over", ruleFile("slo: a", "objective: 99", "burn: google", "over: 1m", "ratio: {bad: {metric: b}, total: {metric: t}}"), `f:7: rule "a": burn has windows of its own`},
		{"burn of a metric", ruleFile("slo: a", "objective: 99", "burn: google", "metric: m"), `f:4: rule "a": burn needs a ratio`},
		{"objective alone", ruleFile("alert: a", "objective: 99", "metric: m", "warn: {above: 1}"), "f:4: objective and period go with burn: google"},
		{"short period", ruleFile("slo: a", "objective: 99", "period: 1d", "burn: google", "ratio: {bad: {metric: b}, total: {metric: t}}"), `f:6: rule "a": period 24h is shorter than the longest window of 3d`},
		{"absent with thresholds", ruleFile("alert: a", "metric: m", "absent: 5m", "warn: {above: 1}"), `f:6: rule "a": absent has bounds of its own`},
		{"absent with no_data", ruleFile("alert: a", "metric: m", "absent: 5m", "no_data: keep"), `f:6: rule "a": absent says how long to wait`},
		{"match form", with("match: 3"), `f:7: match: "3" is not of the form 3/5`},
		{"match range", with("match: 5/3"), `f:7: rule "A": match 5/3: want at least 1 of at most 64 evaluations`},
		{"match and for", with("match: 1/3", "for: 1m"), `f:7: rule "A": match and for are two ways to wait`},
		{"later key", with("absent: true"), `f:7: absent: "true" is not a duration`},
		{"no name", ruleFile("metric: m", "warn: {above: 1}"), "f:4: a rule needs a name: alert"},
		{"nothing measured", ruleFile("alert: A", "warn: {above: 1}"), `f:4: rule "A" needs metric or ratio`},
		{"two sources", with("ratio: {bad: {metric: a}, total: {metric: b}}", "over: 1m"), `f:4: rule "A" has metric and ratio, want one of them`},
		{"metric name", ruleFile("alert: A", "metric: rate(x[1m])", "warn: {above: 1}"), `f:5: rule "A": "rate(x[1m])" is not a metric name`},
		{"no threshold", ruleFile("alert: A", "metric: m"), `f:4: rule "A" needs a threshold: warn or crit`},
		{"threshold empty", ruleFile("alert: A", "metric: m", "warn: {}"), `f:6: rule "A": warn needs above or below`},
		{"threshold two ways", ruleFile("alert: A", "metric: m", "warn: {above: 1, below: 2}"), `f:6: rule "A": warn has both above and below, want one`},
		{"threshold a scalar", ruleFile("alert: A", "metric: m", "warn: 5"), `f:6: warn is "5", want a mapping`},
		{"threshold NaN", ruleFile("alert: A", "metric: m", "warn: {above: .nan}"), `f:6: above: ".nan" is not a number`},
		{"clear beyond above", ruleFile("alert: A", "metric: m", "warn: {above: 1, clear: 2}"), "warn clears at 2, which is above its bound 1"},
		{"clear beyond below", ruleFile("alert: A", "metric: m", "warn: {below: 2, clear: 1}"), "warn clears at 1, which is below its bound 2"},
		{"crit not beyond", with("crit: {above: 1}"), `f:7: rule "A": crit above 1 is not beyond warn above 1`},
		{"opposite", with("crit: {below: 0}"), `f:7: rule "A": warn and crit look in opposite directions`},
		{"crit clears last", with("crit: {above: 2, clear: 0}"), `f:7: rule "A": crit clears at 0, beyond warn, which clears at 1`},
		{"never crossed", ruleFile("alert: A", "metric: m", "value: {rate, over: 1m}", "warn: {below: 0}"), "a count is never below 0; warn can never be crossed"},
		{"fraction never crossed", ruleFile("alert: A", "metric: m", "value: {fraction_above: 1, over: 1m}", "warn: {above: 1}"), "a fraction is never above 1"},
		{"unknown aggregation", with("value: {avg, over: 1m}"), `f:7: unknown aggregation "avg" in value; allowed: last, rate`},
		{"misspelt aggregation", with("value: increse"), `f:7: unknown aggregation "increse" in value; did you mean "increase"?`},
		{"two aggregations", with("value: {rate, mean, over: 1m}"), "f:7: value has both rate and mean, want one"},
		{"argument", with("value: {rate: 5m}"), "f:7: rate takes no argument; write value: {rate, over: 1m}"},
		{"no window", with("value: {rate: }"), `f:7: rule "A" needs a window: over`},
		{"window of last", with("value: {last, over: 1m}"), `f:7: rule "A": last takes no window (over)`},
		{"short window", with("value: {rate, over: 1s}"), `f:7: rule "A": over 1s is shorter than the group's interval of 5s`},
		{"over beside metric", with("over: 1m"), "f:7: over stands beside ratio only; with metric, write it inside value"},
		{"bad q", with("value: {quantile: 1.5, over: 1m}"), `f:7: rule "A": quantile 1.5 is not between 0 and 1 (for p1.5 write 0.015)`},
		{"q no number", with("value: {quantile: p99, over: 1m}"), `f:7: quantile: "p99" is not a number`},
		{"bad duration", with("for: 5x"), `f:7: for: "5x" has the unknown unit "x"; want a duration such as`},
		{"no unit", with("for: 30"), `f:7: for: "30" has no unit`},
		{"negative", with("for: -30s"), `f:7: for: "-30s" is negative`},
		{"where alternatives", with(`where: {a: "b|?*"}`), `f:7: rule "A": where a: "?*" stands alone, not beside "|"`},
		{"where nested", with("where: {a: {b: c}}"), "f:7: a is a mapping, want a text"},
		{"by twice", with("by: [a, a]"), `f:7: rule "A": by lists "a" twice`},
		{"no_data", with("no_data: fires"), `f:7: rule "A": unknown no_data "fires"; did you mean "fire"?`},
		{"after keep", with("after: 1m"), `f:7: rule "A": after goes with no_data: resolve or no_data: fire`},
		{"reserved label", with("labels: {alertname: x}"), `f:7: rule "A": the label alertname is the rule's name already`},
		{"template", with("annotations: {a: '{{ .Value | humanise }}'}"), `f:7: rule "A": annotation a: function "humanise" not defined`},
		{"capture", with("capture: [traces]"), `f:7: rule "A": unknown capture "traces"; did you mean "trace"?`},
		{"anchor in itself", "groups: &a [*a]", "f:1: groups[0] is a list, want a mapping"},
		{"max_instances", with("max_instances: 0"), `f:7: max_instances: "0" is not a whole number of at least 1`},
		{"notify url", "notify:\n- webhook: {url: ftp://secret@x}", "f:2: webhook: url is not a full http or https address"},
		{"delay of nothing", "notify:\n- log: {}\n  delay: {}", "f:3: delay needs up, down or both"},
		{"delay misspelt", "notify:\n- log: {}\n  delay: {upp: 10s}", `f:3: unknown key "upp" in delay; did you mean "up"?`},
		{"delay alone", "notify:\n- delay: {up: 10s}", "f:2: an entry of notify needs one of log, webhook, alertmanager"},
		{"delay shrinks", "notify:\n- log: {}\n  delay: {up: 10s, multiplier: 0.5}", "f:3: delay: multiplier 0.5 is not a number of at least 1"},
		{"delay longer than max", "notify:\n- log: {}\n  delay: {up: 10s, down: 2h, max: 1h}", "f:3: delay: max 1h is shorter than the delay of 2h"},
		{"delay negative", "notify:\n- log: {}\n  delay: {up: -10s}", `f:3: up: "-10s" is negative`},
		{"notify nothing", "notify:\n- {}", "f:2: an entry of notify needs one of log, webhook, alertmanager"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load("f", strings.NewReader(tc.file))
			if err == nil {
				t.Fatal("Load accepted the file")
			}
			if got := strings.TrimPrefix(err.Error(), "alertproc: "); !strings.Contains(got, tc.want) {
				t.Errorf("error\n got %s\nwant %s", got, tc.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error repeats the URL: %s", err)
			}
			if n := strings.Count(err.Error(), "\n"); n > 0 {
				t.Errorf("one mistake is reported %d times:\n%s", n+1, err)
			}
		})
	}
}

func TestLoadReportsUnreadableInput(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := Load("f", failingReader{broken}); !errors.Is(err, broken) {
		t.Errorf("got %v, want it to wrap %v", err, broken)
	}
	if _, err := LoadFile("testdata/none.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want it to wrap %v", err, os.ErrNotExist)
	}
	if _, err := Load("f", strings.NewReader(strings.Repeat("#", maxFileBytes+1))); err == nil {
		t.Error("Load accepted a file above the limit")
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1m30s": 90 * time.Second, "5m": 5 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour,
		"1d12h": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond,
		"10us": 10 * time.Microsecond, "0": 0, "0s": 0,
	} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "5", "s", "-1s", "1s2", "1.2.3s", "1x", "300000y", "1 s"} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", in, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/good.yaml", "testdata/bad.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("groups: &a [*a]")
	f.Add("a: &a [*b]\nb: &b [*a]")
	f.Add(ruleFile("alert: A", "metric: m", "warn: {above: 1e999}"))
	f.Add("{? [a]: b}")
	f.Fuzz(func(t *testing.T, file string) {
		cfg, err := Load("f", strings.NewReader(file))
		if err != nil {
			return
		}
		// What Load accepts, New accepts. Its parts are called without the goroutines, which would make what is
		// covered differ from run to run.
		if err := verify(cfg); err != nil {
			t.Fatalf("Load accepted what New refuses: %v", err)
		}
		newEngine(cfg, new(sync.Mutex))
	})
}

// Aliases let a small file ask for a lot: every list in it is bounded.
func TestLoadBoundsWhatAliasesMultiply(t *testing.T) {
	var file strings.Builder
	file.WriteString("groups:\n- name: g\n  rules:\n  - {alert: a0, metric: m, warn: {above: 1}, by: &by [" + strings.Repeat("a,", 100_000) + "a]}\n")
	for i := range 9_000 {
		fmt.Fprintf(&file, "  - {alert: a%d, metric: m, warn: {above: 1}, by: *by}\n", i+1)
	}
	_, err := Load("rules.yaml", strings.NewReader(file.String()))
	if err == nil || !strings.Contains(err.Error(), "by has 100001 entries, want at most 100") {
		t.Errorf("got error %.300v", err)
	}
}

func TestLabelsOfTheRuleDoNotTellInstancesApart(t *testing.T) {
	for _, name := range []string{"severity", "alertname"} {
		problems := check(oneRule(Rule{Metric: "m", By: []string{name}, Warn: Above(1)}))
		if len(problems) != 1 || !strings.Contains(problems[0].text, "the label "+name+" of an alert is set by the rule") {
			t.Errorf("by %s: got %+v", name, problems)
		}
	}
}
