package alertproc

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// told lists what a webhook gets: the time of each message and its alerts.
func told(t *testing.T, to *receiver, at func() string) (lines []string) {
	t.Helper()
	for _, r := range to.all() {
		var m webhookMessage
		if err := json.Unmarshal([]byte(r.body), &m); err != nil {
			t.Fatal(err)
		}
		var alerts []string
		for _, a := range m.Alerts {
			alerts = append(alerts, a.Status+" "+a.Labels["severity"])
		}
		lines = append(lines, at()+" "+strings.Join(alerts, ", "))
	}
	to.mu.Lock()
	to.requests = nil
	to.mu.Unlock()
	return lines
}

func TestDelay(t *testing.T) {
	const (
		off  = 0.
		warn = 20.
		crit = 200.
	)
	// One value for each 10 s; a value that is repeated is left to last.
	tests := []struct {
		name   string
		delay  Delay
		values []float64
		want   []string
	}{
		{
			"up and down wait",
			Delay{Up: 20 * time.Second, Down: 40 * time.Second},
			[]float64{warn, warn, warn, off, off, off, off, off, off},
			[]string{"20s firing warn", "1m10s resolved warn"},
		},
		{
			"without up it is told at once",
			Delay{Down: 20 * time.Second},
			[]float64{warn, off, off, off},
			[]string{"0s firing warn", "30s resolved warn"},
		},
		{
			"what is over before it was told is not told",
			Delay{Up: 20 * time.Second},
			[]float64{warn, off, off, off, off, off},
			nil,
		},
		{
			"what comes back before its end was told did not end",
			Delay{Up: 0, Down: time.Minute},
			[]float64{warn, off, off, warn, off, off, warn, warn, warn, warn, warn, warn, warn, warn},
			[]string{"0s firing warn"},
		},
		{
			"worse while it waits",
			Delay{Up: 20 * time.Second, Down: 20 * time.Second},
			[]float64{warn, crit, crit, crit, crit},
			[]string{"30s firing crit"}, // the second change begins the wait anew
		},
		{
			"up to crit and back to warn",
			Delay{Up: 10 * time.Second, Down: 20 * time.Second},
			[]float64{warn, warn, crit, crit, warn, warn, warn, off, off, off},
			[]string{"10s firing warn", "30s firing crit, resolved warn", "1m0s firing warn, resolved crit", "1m30s resolved warn"},
		},
		{
			"it resolves as what was told",
			Delay{Up: 20 * time.Second, Down: 30 * time.Second},
			[]float64{warn, warn, warn, warn, crit, off, off, off, off, off},
			[]string{"20s firing warn", "1m20s resolved warn"},
		},
		{
			// 10 s, then 20 s from the third change, and 40 s from the fourth: at 10+40 s and not at 20 s.
			"each change makes it longer",
			Delay{Up: 10 * time.Second, Down: 10 * time.Second, Multiplier: 2},
			[]float64{warn, warn, off, warn, off, off, off, off, off, off},
			[]string{"10s firing warn", "1m20s resolved warn"},
		},
		{
			"but never longer than max",
			Delay{Up: 10 * time.Second, Down: 20 * time.Second, Multiplier: 10, Max: 30 * time.Second},
			[]float64{warn, warn, off, warn, off, off, off, off, off, off},
			[]string{"10s firing warn", "50s resolved warn"},
		},
		{
			"an alert that never rests is told of in the end",
			Delay{Up: 20 * time.Second, Max: 50 * time.Second},
			[]float64{warn, crit, warn, crit, warn, crit, crit},
			[]string{"50s firing crit"},
		},
		{
			"delays are short again after a rest",
			Delay{Up: 10 * time.Second, Multiplier: 3},
			[]float64{warn, off, warn, warn, warn, warn, warn, off, off, warn, warn},
			// The first one ends as its end, which has no delay, is told with it: the alert was never told of.
			[]string{"30s firing warn", "1m10s resolved warn", "1m40s firing warn"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &receiver{}
				cfg := notifying(Rule{Metric: "m", Warn: Above(10), Crit: Above(100)}, to,
					Notify{Webhook: &WebhookNotify{URL: "http://hook/"}, Delay: &test.delay})
				sc := newScene(t, cfg)
				var got []string
				for i := range len(test.values) + 30 {
					v := test.values[min(i, len(test.values)-1)]
					sc.at(float64(10*i), gauge(values{"": v}))
					synctest.Wait()
					got = append(got, told(t, to, func() string { return (time.Duration(10*i) * time.Second).String() })...)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The alert itself, and places without a delay, know at once.
func TestDelayIsOfOnePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := &receiver{}, &receiver{}
		cfg := notifying(Rule{Metric: "m", Warn: Above(10)}, quick,
			Notify{Webhook: &WebhookNotify{URL: "http://hook/"}},
			Notify{Delay: &Delay{Up: time.Minute}, Notifier: NotifierFunc(func(_ context.Context, changes []Transition) error {
				for _, c := range changes {
					slow.requests = append(slow.requests, received{body: fmt.Sprint(c.From, " ", c.To, " ", c.At.Sub(start), " ", c.Alert.Value)})
				}
				return nil
			})})
		sc := newScene(t, cfg)
		for i := range 7 {
			sc.at(float64(10*i), gauge(values{"": 20 + float64(i)}))
			synctest.Wait()
			if n := len(quick.all()); n != 1 {
				t.Fatalf("after %d s the webhook has %d messages, want 1", 10*i, n)
			}
			if got := len(sc.p.Alerts()); got != 1 {
				t.Fatalf("%d alerts, want 1", got)
			}
		}
		// The time is that of the change, the value that of now.
		want := "inactive firing 0s 26"
		if len(slow.requests) != 1 || slow.requests[0].body != want {
			t.Errorf("got %+v, want %q", slow.requests, want)
		}
	})
}

// An Alertmanager is not told of the end before it is sure, and the alert does not lapse there meanwhile.
func TestDelayOfAlertmanager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		cfg := notifying(Rule{Metric: "m", Warn: Above(10), Crit: Above(100)}, to, Notify{
			Alertmanager: &AlertmanagerNotify{URL: "http://am/", Resend: 30 * time.Second},
			Delay:        &Delay{Up: 20 * time.Second, Down: 3 * time.Minute},
		})
		sc := newScene(t, cfg)
		var got []string
		run := func(from, to2 int, v float64) {
			for i := from; i < to2; i++ {
				sc.at(float64(10*i), gauge(values{"": v}))
				synctest.Wait()
				for _, r := range to.all() {
					var alerts []postableAlert
					if err := json.Unmarshal([]byte(r.body), &alerts); err != nil {
						t.Fatal(err)
					}
					for _, a := range alerts {
						got = append(got, fmt.Sprintf("%ds %s until %s", 10*i, a.Labels["severity"], a.EndsAt.Sub(start)))
					}
				}
				to.mu.Lock()
				to.requests = nil
				to.mu.Unlock()
			}
		}
		run(0, 6, 20)
		run(6, 8, 200)  // too short to be told
		run(8, 12, 20)  // back at what was told
		run(12, 20, 5)  // its end waits
		run(20, 22, 20) // and was none
		run(22, 42, 5)  // this one is
		run(42, 140, 5) // and is repeated for 15 minutes from when it was told
		want := []string{
			"20s warn until 2m20s", "60s warn until 3m0s", "100s warn until 3m40s", "140s warn until 4m20s", "180s warn until 5m0s",
			"220s warn until 5m40s", "260s warn until 6m20s", "300s warn until 7m0s", "340s warn until 7m40s", "380s warn until 8m20s",
			"400s warn until 3m40s",
		}
		if len(got) < len(want) {
			t.Fatalf("got %q", got)
		}
		if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		last := got[len(got)-1]
		if !strings.HasSuffix(last, "warn until 3m40s") || !strings.HasPrefix(last, "12") && !strings.HasPrefix(last, "13") {
			t.Errorf("the last repetition is %q, want the resolve about 15 minutes after 400s", last)
		}
		sc.p.mu.Lock()
		defer sc.p.mu.Unlock()
		if d := sc.p.senders[0].delay; len(d.alerts)+len(d.order) != 0 {
			t.Errorf("still remembers %d alerts", len(d.alerts))
		}
	})
}

// Nothing that waits is lost by a reload, by which the alert goes on, or a shutdown.
func TestDelayEndsWithReloadAndShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		place := Notify{Webhook: &WebhookNotify{URL: "http://hook/"}, Delay: &Delay{Up: time.Hour, Down: time.Minute}}
		am := Notify{Alertmanager: &AlertmanagerNotify{URL: "http://am/"}, Delay: &Delay{Up: time.Hour}}
		cfg := notifying(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10)}, to, place, am)
		sc := newScene(t, cfg)
		bodies := func() (hook, manager []string) {
			synctest.Wait()
			for _, r := range to.all() {
				if strings.Contains(r.url, "//am/") {
					manager = append(manager, r.body)
				} else {
					hook = append(hook, r.body)
				}
			}
			to.mu.Lock()
			to.requests = nil
			to.mu.Unlock()
			return hook, manager
		}
		one := func(v float64) metricdata.Metrics { return gauge(values{"a=1": v, "a=2": 0}) }
		sc.at(0, one(20))
		if hook, manager := bodies(); len(hook)+len(manager) != 0 {
			t.Fatalf("told at once: %q %q", hook, manager)
		}
		if err := sc.p.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		hook, manager := bodies()
		if len(hook) != 1 || !strings.Contains(hook[0], `"status":"firing"`) || len(manager) != 1 {
			t.Errorf("told by the reload: %q and %q, want the alert", hook, manager)
		}
		sc.at(10, one(20))
		if hook, manager = bodies(); len(hook) != 0 || len(manager) != 1 {
			t.Errorf("told after the reload: %q and %q, want the new Alertmanager notifier to repeat", hook, manager)
		}
		sc.at(20, one(0))
		if hook, _ = bodies(); len(hook) != 0 {
			t.Errorf("the end was told at once: %q", hook)
		}
		if err := sc.p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if hook, _ = bodies(); len(hook) != 1 || !strings.Contains(hook[0], `"status":"resolved"`) {
			t.Errorf("told by the shutdown: %q, want the end", hook)
		}
	})
}

// A snapshot between two evaluations is a time to tell, too.
func TestDelayEndsBetweenEvaluations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		cfg := notifying(Rule{Metric: "m", Warn: Above(10)}, to,
			Notify{Webhook: &WebhookNotify{URL: "http://hook/"}, Delay: &Delay{Up: 15 * time.Second}})
		cfg.Groups[0].Every = time.Minute
		sc := newScene(t, cfg)
		for i := range 4 {
			sc.at(float64(5*i), gauge(values{"": 20}))
			synctest.Wait()
			if got, want := len(to.all()), i/3; got != want {
				t.Errorf("after %d s: %d messages, want %d", 5*i, got, want)
			}
		}
	})
}

// An alert that was told and goes on costs nothing, with a delay either.
func TestDelayedAlertDoesNotAllocate(t *testing.T) {
	cfg := oneRule(Rule{Metric: "m", Warn: Above(10)})
	cfg.Notify = []Notify{{Notifier: NotifierFunc(func(context.Context, []Transition) error { return nil }), Delay: &Delay{Up: 10 * time.Second, Down: time.Minute}}}
	sc := newScene(t, cfg)
	at, rm := start, snapshot(gauge(values{"": 20}))
	step := func() {
		at = at.Add(10 * time.Second)
		if err := sc.p.Evaluate(context.Background(), at, rm); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		step()
	}
	if got := testing.AllocsPerRun(100, step); got != 0 {
		t.Errorf("an evaluation allocates %v times, want 0", got)
	}
}
