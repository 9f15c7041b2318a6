package alertproc

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// recording writes export requests of a counter and a histogram, 10 s apart.
func recording(instance string, bad ...int) string {
	var b strings.Builder
	for i, v := range bad {
		at := start.Add(time.Duration(i) * 10 * time.Second).UnixNano()
		fmt.Fprintf(&b, `{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.instance.id","value":{"stringValue":%q}}]},`+
			`"scopeMetrics":[{"scope":{"name":"x"},"metrics":[{"name":"m","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,`+
			`"dataPoints":[{"attributes":[{"key":"a","value":{"intValue":"7"}}],"timeUnixNano":"%d","asInt":"%d"}]}},`+
			`{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"%d","count":"%d","sum":1,`+
			`"explicitBounds":[0.5,1],"bucketCounts":["0","%d","0"]}]}}]}]}]}`+"\n", instance, at, v, at, v, v)
	}
	return b.String()
}

func TestReplay(t *testing.T) {
	cfg := Config{Groups: []Group{{Name: "g", Every: 10 * time.Second, Rules: []Rule{
		{
			Alert: "Many", Metric: "m", Where: map[string]string{"a": "7"}, By: []string{"a"},
			Value: Value{Aggregation: Increase, Over: 20 * time.Second}, Warn: Above(5), For: 10 * time.Second,
		},
		{Alert: "Slow", Metric: "h", Value: Value{Aggregation: Quantile, Arg: 0.5, Over: 10 * time.Second}, Warn: Above(0.7)},
	}}}}
	changes, err := Replay(cfg, strings.NewReader(recording("1", 100, 100, 106, 107, 107, 107)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%s %s %s>%s", c.At.Sub(start), c.Alert.Rule, c.From, c.To))
	}
	want := []string{
		"20s Many inactive>pending", "20s Slow inactive>firing", "30s Many pending>firing",
		"40s Many firing>inactive", "40s Slow firing>inactive",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if v := changes[0].Alert.Value; v != 6 {
		t.Errorf("value: got %v, want 6", v)
	}
}

// Two processes in one recording are two, not one that counts to and fro.
func TestReplayTellsResourcesApart(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", Value: Value{Aggregation: Increase, Over: 10 * time.Second}, Warn: Above(50)})
	one, two := strings.SplitAfter(recording("1", 0, 1, 2), "\n"), strings.SplitAfter(recording("2", 100, 101, 102), "\n")
	changes, err := Replay(cfg, strings.NewReader(one[0]+two[0]+one[1]+two[1]+one[1]+one[2]+two[2]))
	if err != nil || len(changes) != 0 {
		t.Errorf("got %+v, %v; want nothing: nothing grew by more than 1", changes, err)
	}
}

func TestReplayMistakes(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", Value: Value{Aggregation: Increase, Over: 10 * time.Second}, Warn: Above(5)})
	good := recording("1", 0, 10)
	for _, tc := range []struct{ name, text, want string }{
		{"not JSON", good + "{", "alertproc: replay: line 3: not an OTLP export request in JSON"},
		{"no number", good + strings.Replace(recording("2", 1), `"asInt":"1"`, `"asInt":"x"`, 1), `line 3: not an OTLP export request in JSON: "x" is no whole number`},
		{"buckets", good + strings.Replace(recording("2", 1), `[0.5,1]`, `[1]`, 1), `line 3: metric "h": 1 bounds and 3 buckets`},
		{"temporality", good + strings.Replace(recording("2", 1), `"aggregationTemporality":2,"is`, `"is`, 1), `line 3: metric "m" has no aggregationTemporality`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			changes, err := Replay(cfg, strings.NewReader(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error: got %v, want %q", err, tc.want)
			}
			if len(changes) != 1 {
				t.Errorf("got %d changes, want the one before the mistake", len(changes))
			}
		})
	}
}
