package alertproc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestNewNamesEveryMistake(t *testing.T) {
	_, err := New(Config{Groups: []Group{{Name: "g", Rules: []Rule{
		{Alert: "A", Metric: "m", Warn: &Threshold{}},
		{Alert: "B", Func: func(context.Context, *metricdata.ResourceMetrics) ([]Sample, error) { return nil, nil }, By: []string{"a"}, Warn: Above(1)},
	}}}, Notify: []Notify{{Log: &LogNotify{}, Webhook: &WebhookNotify{URL: "http://x"}}}, MaxInstances: -1})
	if err == nil {
		t.Fatal("New accepted the Config")
	}
	want := `alertproc: groups[0].rules[0]: rule "A": warn needs above or below
groups[0].rules[1]: rule "B": Where, By, Value and MinCount have no meaning beside Func
notify[0]: an entry of notify names 2 places; give each its own entry
MaxInstances is negative: -1`
	want = strings.Replace(want, "groups[0].rules[0]: rule", "groups[0].rules[0].warn: rule", 1)
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestStateMetric(t *testing.T) {
	cfg := oneRule(Rule{
		Metric: "m", By: []string{"a"}, Warn: Above(10), Crit: Above(100), For: 10 * time.Second,
		Labels: map[string]string{"team": "net", "shown": "{{.Value}}", "empty": ""},
	})
	reader := sdk.NewManualReader()
	cfg.MeterProvider = sdk.NewMeterProvider(sdk.WithReader(reader))
	sc := newScene(t, cfg)
	key := func(severity string) attribute.Set {
		return attribute.NewSet(attribute.String("alert", "A"), attribute.String("severity", severity), attribute.String("team", "net"))
	}
	for i, step := range []struct {
		a, b       float64
		warn, crit int64
	}{
		{5, 5, 0, 0}, {20, 5, 1, 0}, {20, 200, 2, 1}, {20, 200, 2, 2}, {5, 200, 0, 2}, {5, 5, 0, 0},
	} {
		sc.at(float64(10*i), gauge(values{"a=1": step.a, "a=2": step.b}))
		want := map[attribute.Set]int64{key("warn"): step.warn, key("crit"): step.crit}
		if got := metricValues(t, reader, metricState); !sameValues(got, want) {
			t.Errorf("step %d: got %v, want %v", i, got, want)
		}
	}
	if err := sc.p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := metricValues(t, reader, metricState); len(got) != 0 {
		t.Errorf("after Shutdown got %v, want none", got)
	}
}

func sameValues(a, b map[attribute.Set]int64) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func TestSubscribe(t *testing.T) {
	sc := newScene(t, oneRule(Rule{Metric: "m", Warn: Above(10)}))
	var seen []string
	sc.p.Subscribe(func(Transition) { panic("of a subscriber") })
	cancel := sc.p.Subscribe(func(tr Transition) {
		// The change is visible, and no lock is held.
		seen = append(seen, fmt.Sprintf("%s to %s, %d active", tr.From, tr.To, len(sc.p.Alerts())))
		if err := sc.p.Reload(oneRule(Rule{Metric: "m", Warn: Above(10)})); err != nil {
			t.Error(err)
		}
	})
	sc.step(0, "20")
	sc.step(1, "5")
	cancel()
	cancel()
	sc.step(2, "20")
	if diff := cmp.Diff([]string{"inactive to firing, 1 active", "firing to inactive, 0 active"}, seen); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
}

func TestGroupsHaveTheirOwnInterval(t *testing.T) {
	rule := func(name string) []Rule { return []Rule{{Alert: name, Metric: "m", Warn: Above(10)}} }
	sc := newScene(t, Config{Groups: []Group{
		{Name: "fast", Every: time.Second, Rules: rule("F")},
		{Name: "slow", Every: 10 * time.Second, Rules: rule("S")},
		{Name: "usual", Rules: rule("U")},
	}})
	evaluated := map[string][]int{}
	for i := range 21 {
		sc.at(float64(i), gauge(values{"": 0}))
		for _, g := range sc.p.Rules() {
			if g.Rules[0].LastEvaluation.Equal(start.Add(time.Duration(i) * time.Second)) {
				evaluated[g.Name] = append(evaluated[g.Name], i)
			}
		}
	}
	if got := len(evaluated["fast"]); got != 21 {
		t.Errorf("fast: evaluated %d times, want 21", got)
	}
	want := map[string][]int{"slow": {0, 10, 20}, "usual": {0, 5, 10, 15, 20}}
	delete(evaluated, "fast")
	if diff := cmp.Diff(want, evaluated); diff != "" {
		t.Errorf("seconds of evaluation (-want +got):\n%s", diff)
	}
	// After a gap missed intervals are skipped, and the next is at its usual time.
	for _, at := range []float64{64, 69, 69.6} { // half a second early is in time
		sc.at(at, gauge(values{"": 0}))
	}
	if got, want := sc.p.Rules()[1].Rules[0].LastEvaluation, start.Add(69600*time.Millisecond); !got.Equal(want) {
		t.Errorf("slow: last evaluated at %s, want %s", got, want)
	}
}

func TestReload(t *testing.T) {
	base := Rule{Metric: "m", Warn: Above(10), For: 20 * time.Second}
	rate := Rule{Metric: "m", Value: Value{Aggregation: Increase, Over: time.Minute}, Warn: Above(10)}
	with := func(r Rule, change func(*Rule)) Rule { change(&r); return r }
	for _, tc := range []struct {
		name     string
		old, new Rule
		in       string // "R" is the reload
		want     string
	}{
		{"unchanged", base, base, "20 20 R 20", "p p p w"},
		{"for raised", base, with(base, func(r *Rule) { r.For = time.Minute }), "20 20 20 R 20 20 20 20", "p p w w p p p w"},
		{"for lowered", base, with(base, func(r *Rule) { r.For = 0 }), "20 R 20", "p p w"},
		{"threshold moved", base, with(base, func(r *Rule) { r.Warn = Above(30) }), "20 20 20 R 20", "p p w w -"},
		{"renamed", base, with(base, func(r *Rule) { r.Alert = "B" }), "20 20 20 R 20", "p p w - p"},
		{"other labels", base, with(base, func(r *Rule) { r.Labels = map[string]string{"a": "b"} }), "20 20 20 R 20", "p p w - p"},
		{"other annotations", base, with(base, func(r *Rule) { r.Annotations = map[string]string{"a": "b"} }), "20 R 20 20", "p p p w"},
		{"crit taken away", with(base, func(r *Rule) { r.Crit, r.For = Above(15), 0 }), with(base, func(r *Rule) { r.For = 0 }), "20 R 20", "c c w"},
		{"crit added", with(base, func(r *Rule) { r.For = 0 }), with(base, func(r *Rule) { r.Crit, r.For = Above(15), 0 }), "20 R 20", "w w c"},
		{"window goes on", rate, with(rate, func(r *Rule) { r.Warn = Above(15) }), "+0 +20 R +0", "- w w w"},
		{"window is new, counting is not", rate, with(rate, func(r *Rule) { r.Value.Over = 2 * time.Minute }), "+0 +20 R +5 +11", "- w w w w"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sc := newScene(t, oneRule(tc.old))
			var got []string
			total := 0.0
			step := 0
			for _, in := range strings.Fields(tc.in) {
				switch {
				case in == "R":
					if err := sc.p.Reload(oneRule(tc.new)); err != nil {
						t.Fatal(err)
					}
				case in[0] == '+':
					var v float64
					fmt.Sscan(in[1:], &v)
					total += v
					sc.at(float64(10*step), counter(values{"": total}))
					step++
				default:
					sc.step(step, in)
					step++
				}
				got = append(got, sc.letter())
			}
			if diff := cmp.Diff(strings.Fields(tc.want), got); diff != "" {
				t.Errorf("states of %q (-want +got):\n%s", tc.in, diff)
			}
		})
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	sc := newScene(t, oneRule(Rule{Metric: "m", Warn: Above(10)}))
	sc.step(0, "20")
	bad := oneRule(Rule{Metric: "m", Warn: Above(10)})
	bad.Groups[0].Rules = append(bad.Groups[0].Rules, Rule{Alert: "B"})
	if err := sc.p.Reload(bad); err == nil || !strings.Contains(err.Error(), `rule "B" needs metric or ratio`) {
		t.Fatalf("got error %v", err)
	}
	if got := sc.p.Rules(); len(got[0].Rules) != 1 || got[0].Rules[0].State != StateFiring {
		t.Errorf("after a refused reload got %+v", got)
	}
}

func TestReloadResolvesWhatItRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		list := []Notify{{Webhook: &WebhookNotify{URL: "http://hook"}}, {Alertmanager: &AlertmanagerNotify{URL: "http://am"}}}
		cfg := notifying(Rule{Metric: "m", Warn: Above(10)}, to, list...)
		sc := newScene(t, cfg)
		sc.step(0, "20")
		synctest.Wait()
		if err := sc.p.Reload(Config{Notify: list}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		last := sc.changes[len(sc.changes)-1]
		if last.To != StateInactive || last.Reason != "the rule was removed" || !last.At.Equal(start) {
			t.Errorf("got transition %+v", last)
		}
		resolved := map[string]bool{}
		for _, r := range to.all()[2:] {
			resolved[r.url] = strings.Contains(r.body, `"endsAt":"2026-03-01T12:00:00Z"`)
		}
		if want := map[string]bool{"http://hook": true, "http://am/api/v2/alerts": true}; !cmp.Equal(want, resolved) {
			t.Errorf("resolves by address: got %v, want %v", resolved, want)
		}
	})
}

// Many callers at once, under the race detector.
func TestConcurrentUse(t *testing.T) {
	reader := sdk.NewManualReader()
	cfg := oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10), Annotations: map[string]string{"s": "{{.Value}}"}})
	cfg.MeterProvider = sdk.NewMeterProvider(sdk.WithReader(reader))
	cfg.Notify = []Notify{{Notifier: NotifierFunc(func(context.Context, []Transition) error { return nil })}}
	sc := newScene(t, cfg)
	var group sync.WaitGroup
	stop := make(chan struct{})
	for _, f := range []func(){
		func() { sc.p.Alerts() },
		func() { sc.p.Rules() },
		func() { sc.p.Subscribe(func(Transition) {})() },
		func() {
			if err := sc.p.Reload(cfg); err != nil {
				t.Error(err)
			}
		},
		func() {
			var rm metricdata.ResourceMetrics
			if err := reader.Collect(context.Background(), &rm); err != nil {
				t.Error(err)
			}
		},
	} {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	for i := range 60 {
		sc.at(float64(10*i), gauge(values{fmt.Sprintf("a=%d", i%20): float64(i%3) * 10}))
	}
	close(stop)
	group.Wait()
}

// source is a Source whose counter says how often it was collected.
type source struct {
	n    atomic.Int64
	fail func(n int64) error
}

func (s *source) Collect(_ context.Context, rm *metricdata.ResourceMetrics) error {
	n := s.n.Add(1)
	if s.fail != nil {
		if err := s.fail(n); err != nil {
			return err
		}
	}
	*rm = *snapshot(counter(values{"": float64(n)}))
	return nil
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := windowed(Increase, 0, time.Minute)
		sc := newScene(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		src := &source{fail: func(n int64) error {
			if n == 4 {
				return errors.New("not now")
			}
			return nil
		}}
		done := make(chan error)
		go func() { done <- sc.p.Run(ctx, src) }()
		time.Sleep(35 * time.Second) // collections at 0, 10, 20 and 30 s
		synctest.Wait()
		if got := src.n.Load(); got != 4 {
			t.Errorf("collected %d times in 35 s, want 4", got)
		}
		sc.wantValue(2)
		if got := sc.status(); got.Health != "err" {
			t.Errorf("after a failed collection the health is %s, want err", got.Health)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		sc.wantValue(4)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestRunEndsWithShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, windowed(Increase, 0, time.Minute))
		done := make(chan error)
		go func() { done <- sc.p.Run(t.Context(), &source{}) }()
		time.Sleep(5 * time.Second)
		if err := sc.p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, ErrShutdown) {
			t.Errorf("Run returned %v, want ErrShutdown", err)
		}
	})
}

// realistic makes rules of every kind on histograms, counters and gauges with many series each.
func realistic(rules, series int) (Config, *metricdata.ResourceMetrics) {
	each := series / 3
	var counts, gauges values = map[string]float64{}, map[string]float64{}
	obs := observations{}
	for i := range each {
		key := fmt.Sprintf("route=/%d status=%d", i%(each/4+1), i%4)
		counts[key], gauges[key], obs[key] = float64(i), float64(i), []float64{0.3}
	}
	rm := snapshot(named("c", counter(counts)), named("g", gauge(gauges)), named("h", histogramOf(secondBounds[5:19], obs)))
	cfg := Config{MeterProvider: noop.NewMeterProvider(), MaxInstances: series}
	g := Group{Name: "g", Every: 5 * time.Second}
	for i := range rules {
		where := map[string]string{"route": fmt.Sprintf("/%d", i%(each/4+1))}
		r := Rule{Alert: fmt.Sprintf("r%d", i), Where: where, By: []string{"status"}, Warn: Above(1e12)}
		switch i % 5 {
		case 0:
			r.Metric, r.Value = "c", Value{Aggregation: Rate, Over: time.Minute}
		case 1:
			r.Metric, r.Value = "h", Value{Aggregation: Quantile, Arg: 0.99, Over: time.Minute}
		case 2:
			r.Metric, r.Value = "g", Value{Aggregation: Max, Over: time.Minute}
		case 3:
			r.Metric = "g"
		case 4:
			r.Where = nil
			r.Ratio = &Ratio{Bad: Selector{"h", where}, Total: Selector{"h", where}, Over: time.Minute}
		}
		g.Rules = append(g.Rules, r)
	}
	cfg.Groups = []Group{g}
	return cfg, rm
}

// advance makes all counters of rm grow.
func advance(rm *metricdata.ResourceMetrics) {
	for _, m := range rm.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[float64]:
			for i := range data.DataPoints {
				data.DataPoints[i].Value++
			}
		case metricdata.Histogram[float64]:
			for i := range data.DataPoints {
				p := &data.DataPoints[i]
				p.Count++
				p.Sum += 0.3
				p.BucketCounts[i%len(p.BucketCounts)]++
			}
		}
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	cfg, rm := realistic(50, 300)
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	at := start
	step := func() {
		advance(rm)
		at = at.Add(5 * time.Second)
		if err := p.Evaluate(context.Background(), at, rm); err != nil {
			t.Fatal(err)
		}
	}
	for range 30 {
		step()
	}
	if got := testing.AllocsPerRun(100, step); got != 0 {
		t.Errorf("an evaluation allocates %v times, want 0", got)
	}
}

// The first evaluation matches every series against every rule of its metric.
func BenchmarkFirstEvaluate(b *testing.B) {
	cfg, rm := realistic(1000, 10000)
	for b.Loop() {
		p, err := New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Evaluate(context.Background(), start, rm); err != nil {
			b.Fatal(err)
		}
		p.Shutdown(context.Background())
	}
}

func BenchmarkEvaluate(b *testing.B) {
	for _, size := range []struct{ rules, series int }{{10, 100}, {100, 1000}, {1000, 10000}} {
		b.Run(fmt.Sprintf("rules=%d/series=%d", size.rules, size.series), func(b *testing.B) {
			cfg, rm := realistic(size.rules, size.series)
			p, err := New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Shutdown(context.Background())
			at := start
			step := func() {
				at = at.Add(5 * time.Second)
				if err := p.Evaluate(context.Background(), at, rm); err != nil {
					b.Fatal(err)
				}
			}
			for range 20 { // until the windows are full
				advance(rm)
				step()
			}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				advance(rm)
				b.StartTimer()
				step()
			}
		})
	}
}

var _ Source = (*sdk.ManualReader)(nil)

var _ metric.MeterProvider = (*sdk.MeterProvider)(nil)
