package alertproc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// receiver is an HTTP server's side as a RoundTripper, so that it follows the fake clock of synctest.
type receiver struct {
	mu       sync.Mutex
	requests []received
	answer   func(n int, r *http.Request) (status int, err error) // n counts from 0; nil answers 200
}

type received struct {
	at   time.Time
	url  string
	body string
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	n := len(r.requests)
	r.requests = append(r.requests, received{time.Now(), req.URL.String(), string(body)})
	r.mu.Unlock()
	status := 200
	if r.answer != nil {
		if status, err = r.answer(n, req); err != nil {
			return nil, err
		}
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader("no")), Request: req,
	}, nil
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

func notifying(rule Rule, to *receiver, list ...Notify) Config {
	cfg := oneRule(rule)
	cfg.Notify = list
	cfg.HTTPClient = &http.Client{Transport: to}
	cfg.ExternalURL = "http://127.0.0.1:6060/"
	return cfg
}

func TestWebhookMessage(t *testing.T) {
	bodies := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type is %q", got)
		}
		if user, password, _ := r.BasicAuth(); user != "u" || password != "secret" {
			t.Errorf("basic auth is %q %q, want that of the URL", user, password)
		}
		bodies <- string(body)
	}))
	defer server.Close()
	cfg := oneRule(Rule{
		Metric: "m", By: []string{"http.route"}, Warn: Above(10), Crit: Above(100), For: 10 * time.Second,
		Annotations: map[string]string{"summary": "{{.Value}}"},
	})
	cfg.Notify = []Notify{{Webhook: &WebhookNotify{URL: strings.Replace(server.URL, "http://", "http://u:secret@", 1)}}}
	cfg.ExternalURL = "http://here/"
	client := server.Client()
	defer client.CloseIdleConnections()
	cfg.HTTPClient = client
	sc := newScene(t, cfg)
	for i, v := range []float64{20, 30, 200, 200, 5} {
		sc.at(float64(10*i), gauge(values{"http.route=/a": v}))
	}
	next := func() (m webhookMessage) {
		t.Helper()
		select {
		case body := <-bodies:
			decoder := json.NewDecoder(strings.NewReader(body))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&m); err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no message came")
		}
		return m
	}
	labels := func(severity string) map[string]string {
		return map[string]string{"alertname": "A", "http.route": "/a", "severity": severity}
	}
	fired := start.Add(10 * time.Second)
	alert := func(status, severity, summary string, ends time.Time) webhookAlert {
		return webhookAlert{
			Status: status, Labels: labels(severity), Annotations: map[string]string{"summary": summary},
			StartsAt: fired, EndsAt: ends, GeneratorURL: "http://here/", Fingerprint: fingerprint(labels(severity)),
		}
	}
	message := func(status string, common map[string]string, alerts ...webhookAlert) webhookMessage {
		return webhookMessage{
			Version: "4", GroupKey: `{}:{alertname="A"}`, Status: status, Receiver: "otelnet",
			GroupLabels: map[string]string{"alertname": "A"}, CommonLabels: common, ExternalURL: "http://here/",
			CommonAnnotations: alerts[0].Annotations, Alerts: alerts,
		}
	}
	for _, want := range []webhookMessage{
		message("firing", labels("warn"), alert("firing", "warn", "30", time.Time{})),
		// The crit alert has other labels than the warning, which is told to be over.
		message("firing", map[string]string{"alertname": "A", "http.route": "/a"},
			alert("firing", "crit", "200", time.Time{}), alert("resolved", "warn", "200", start.Add(30*time.Second))),
		message("resolved", labels("crit"), alert("resolved", "crit", "200", start.Add(40*time.Second))),
	} {
		if diff := cmp.Diff(want, next()); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	}
}

// Everything Alertmanager gets over an alert's life, by the clock of the evaluations.
func TestAlertmanagerResends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		cfg := notifying(Rule{Metric: "m", By: []string{"http.route"}, Warn: Above(10), Crit: Above(100)}, to,
			Notify{Alertmanager: &AlertmanagerNotify{URL: "http://am/prefix/"}})
		sc := newScene(t, cfg)
		type sent struct {
			At, Severity string
			Starts, Ends string
		}
		var got []sent
		second := func(at time.Time) string { return at.Sub(start).String() }
		step := func(from, to2 int, v float64) {
			for i := from; i < to2; i++ {
				sc.at(float64(10*i), gauge(values{"http.route=/a": v}))
				synctest.Wait()
				for _, r := range to.all() {
					if r.url != "http://am/prefix/api/v2/alerts" {
						t.Errorf("posted to %s", r.url)
					}
					var alerts []postableAlert
					if err := json.Unmarshal([]byte(r.body), &alerts); err != nil {
						t.Fatal(err)
					}
					for _, a := range alerts {
						if a.Labels["http_route"] != "/a" || a.Labels["alertname"] != "A" || a.GeneratorURL != "http://127.0.0.1:6060/" {
							t.Errorf("got alert %+v", a)
						}
						got = append(got, sent{second(start.Add(time.Duration(10*i) * time.Second)), a.Labels["severity"], second(a.StartsAt), second(a.EndsAt)})
					}
				}
				to.mu.Lock()
				to.requests = nil
				to.mu.Unlock()
			}
		}
		step(0, 10, 20)    // fires at 0; repeated once more than 60 s have gone by, so at 70 s
		step(10, 11, 200)  // crit: the warning ends
		step(11, 12, 20)   // and back: the crit alert ends, the warning's own resolve is forgotten
		step(12, 13, 5)    // all over
		step(13, 14, 20)   // fires again while its resolve would still be repeated
		step(14, 15, 5)    //
		step(15, 15+91, 5) // resolves are repeated for 15 minutes
		step(106, 130, 5)
		want := []sent{
			{"0s", "warn", "0s", "4m0s"},
			{"1m10s", "warn", "0s", "5m10s"},
			{"1m40s", "warn", "0s", "1m40s"},
			{"1m40s", "crit", "0s", "5m40s"},
			{"1m50s", "crit", "0s", "1m50s"},
			{"1m50s", "warn", "0s", "5m50s"},
			{"2m0s", "warn", "0s", "2m0s"},
			{"2m10s", "warn", "2m10s", "6m10s"},
			{"2m20s", "warn", "2m10s", "2m20s"},
		}
		if len(got) < len(want) {
			t.Fatalf("got %d alerts sent: %+v", len(got), got)
		}
		if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		lastSeen := map[string]string{}
		for _, s := range got[len(want):] {
			if s.Ends != "2m20s" && s.Ends != "1m50s" {
				t.Errorf("after the end %+v was sent, want resolves only", s)
			}
			lastSeen[s.Severity] = s.At
		}
		// The crit alert ended at 110 s, the warning at 140 s: 15 minutes later they are forgotten. The last
		// repetition is the last step of 70 s that is not beyond.
		if diff := cmp.Diff(map[string]string{"warn": "16m20s", "crit": "15m50s"}, lastSeen); diff != "" {
			t.Errorf("last repetition (-want +got):\n%s", diff)
		}
	})
}

func TestErrorsKeepResending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{}
		sc := newScene(t, notifying(Rule{Metric: "m", Warn: Above(10)}, to,
			Notify{Alertmanager: &AlertmanagerNotify{URL: "http://am", Resend: 20 * time.Second}}))
		sc.step(0, "20")
		for i := 1; i <= 9; i++ {
			sc.step(i, "e")
		}
		synctest.Wait()
		if got := len(to.all()); got != 4 { // at 0, 30, 60 and 90 s
			t.Errorf("sent %d times in 90 s of failed collections, want 4", got)
		}
	})
}

func TestLabelNamesForAlertmanager(t *testing.T) {
	for in, want := range map[string]string{"http.route": "http_route", "a-b/c": "a_b_c", "9x": "_9x", "é": "_", "ok_1": "ok_1"} {
		if got := underscored(in); got != want {
			t.Errorf("underscored(%q) = %q, want %q", in, got, want)
		}
	}
	n := alertmanager{keepDots: true}
	if got := n.names(map[string]string{"http.route": "x"}); got["http.route"] != "x" {
		t.Errorf("with KeepDots got %v", got)
	}
}

func TestLogNotifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := oneRule(Rule{
			Metric: "m", By: []string{"zone"}, Warn: Above(10), Crit: Above(100),
			Annotations: map[string]string{"summary": "it is {{.Value}}"},
		})
		cfg.Notify = []Notify{{Log: &LogNotify{}}}
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		sc := newScene(t, cfg)
		for i, v := range []float64{20, 200, 5} {
			sc.at(float64(10*i), gauge(values{"zone=eu": v}))
		}
		synctest.Wait()
		want := `level=WARN msg="alert firing" alert=A severity=warn reason="value 20 above 10" value=20 threshold=10 at=2026-03-01T12:00:00.000Z labels.zone=eu summary="it is 20"
level=ERROR msg="alert firing" alert=A severity=crit reason="now crit: value 200, threshold 100" value=200 threshold=100 at=2026-03-01T12:00:10.000Z labels.zone=eu summary="it is 200"
level=INFO msg="alert resolved" alert=A severity=crit reason="recovered: value 5" value=200 threshold=100 at=2026-03-01T12:00:20.000Z labels.zone=eu summary="it is 200"
`
		if diff := cmp.Diff(want, log.String()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestGoNotifierGetsEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []State
		cfg := oneRule(Rule{Metric: "m", Warn: Above(10), For: 10 * time.Second})
		cfg.Notify = []Notify{{Notifier: NotifierFunc(func(_ context.Context, changes []Transition) error {
			for _, c := range changes {
				got = append(got, c.To)
			}
			panic("after all")
		})}}
		sc := newScene(t, cfg)
		sc.step(0, "20")
		sc.step(1, "20")
		// A panic is an error like others, and tried again: five attempts for each of the two messages.
		time.Sleep(time.Hour)
		synctest.Wait()
		want := []State{1, 1, 1, 1, 1, 2, 2, 2, 2, 2}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}

// Attempts are made at once, then after 1, 2, 4 and 8 s; after that the message is given up.
func TestRetries(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(int, *http.Request) (int, error)
		want   []time.Duration
		sent   int64
		failed int64
	}{
		{"works", nil, []time.Duration{0}, 1, 0},
		{"recovers", func(n int, _ *http.Request) (int, error) { return map[bool]int{true: 503, false: 200}[n < 2], nil }, []time.Duration{0, 1, 3}, 1, 0},
		{"does not recover", func(int, *http.Request) (int, error) { return 500, nil }, []time.Duration{0, 1, 3, 7, 15}, 0, 1},
		{"unreachable", func(int, *http.Request) (int, error) { return 0, errors.New("no route") }, []time.Duration{0, 1, 3, 7, 15}, 0, 1},
		{"too many requests", func(n int, _ *http.Request) (int, error) { return map[bool]int{true: 429, false: 200}[n < 1], nil }, []time.Duration{0, 1}, 1, 0},
		{"refused", func(int, *http.Request) (int, error) { return 400, nil }, []time.Duration{0}, 0, 1},
		{"hangs", func(_ int, r *http.Request) (int, error) { <-r.Context().Done(); return 0, r.Context().Err() }, []time.Duration{0, 3, 7, 13, 23}, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &receiver{answer: tc.answer}
				cfg := notifying(Rule{Metric: "m", Warn: Above(10)}, to,
					Notify{Webhook: &WebhookNotify{URL: "http://u:secret@hook/token", Timeout: 2 * time.Second}})
				reader := sdk.NewManualReader()
				cfg.MeterProvider = sdk.NewMeterProvider(sdk.WithReader(reader))
				sc := newScene(t, cfg)
				begin := time.Now()
				sc.step(0, "20")
				if took := time.Since(begin); took != 0 {
					t.Errorf("Evaluate took %s, want it not to wait", took)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				var got []time.Duration
				for _, r := range to.all() {
					got = append(got, r.at.Sub(begin)/time.Second)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("seconds of the attempts (-want +got):\n%s", diff)
				}
				if sent, failed := outcomes(t, reader, "sent"), outcomes(t, reader, "failed"); sent != tc.sent || failed != tc.failed {
					t.Errorf("got %d sent and %d failed, want %d and %d", sent, failed, tc.sent, tc.failed)
				}
			})
		})
	}
}

// outcomes returns the value of otelnet.agent.notifications for one outcome.
func outcomes(t *testing.T, reader sdk.Reader, outcome string) (n int64) {
	t.Helper()
	for attrs, v := range metricValues(t, reader, metricNotifications) {
		if got, _ := attrs.Value(attrOutcome); got.AsString() == outcome {
			n += v
		}
	}
	return n
}

// metricValues collects, and returns the points of an int64 metric by attributes.
func metricValues(t *testing.T, reader sdk.Reader, name string) map[attribute.Set]int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	all := map[attribute.Set]int64{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					all[p.Attributes] = p.Value
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					all[p.Attributes] = p.Value
				}
			}
		}
	}
	return all
}

// A receiver that hangs costs its own queue and nothing else. The oldest messages go; the newest arrive.
func TestHangingReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		to := &receiver{answer: func(int, *http.Request) (int, error) { <-release; return 200, nil }}
		cfg := notifying(Rule{Metric: "m", Warn: Above(10)}, to,
			Notify{Webhook: &WebhookNotify{URL: "http://hook", Timeout: time.Hour}})
		reader := sdk.NewManualReader()
		cfg.MeterProvider = sdk.NewMeterProvider(sdk.WithReader(reader))
		sc := newScene(t, cfg)
		begin := time.Now()
		const extra = 7
		for i := range 1 + queueLength + extra { // each evaluation is a change
			sc.step(i, []string{"20", "5"}[i%2])
			if i == 0 {
				synctest.Wait() // the first message is on its way
			}
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("evaluations took %s, want no waiting", took)
		}
		if got := outcomes(t, reader, "dropped"); got != extra {
			t.Errorf("got %d dropped, want %d", got, extra)
		}
		close(release)
		synctest.Wait()
		got := to.all()
		if len(got) != 1+queueLength {
			t.Fatalf("got %d messages, want %d", len(got), 1+queueLength)
		}
		var second webhookMessage
		if err := json.Unmarshal([]byte(got[1].body), &second); err != nil {
			t.Fatal(err)
		}
		// Message 0 fired at 0 s; 1 to 7 were dropped; 8 is the next.
		if want := start.Add((1 + extra) * 10 * time.Second); !second.Alerts[0].StartsAt.Equal(want) {
			t.Errorf("the message after the gap began at %s, want %s", second.Alerts[0].StartsAt, want)
		}
	})
}

func TestShutdownDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{answer: func(int, *http.Request) (int, error) { time.Sleep(time.Second); return 200, nil }}
		sc := newScene(t, notifying(Rule{Metric: "m", Warn: Above(10)}, to, Notify{Webhook: &WebhookNotify{URL: "http://hook"}}))
		for i := range 3 {
			sc.step(i, []string{"20", "5"}[i%2])
		}
		begin := time.Now()
		if err := sc.p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(to.all()); got != 3 || time.Since(begin) != 3*time.Second {
			t.Errorf("delivered %d in %s, want 3 in 3s", got, time.Since(begin))
		}
		if err := sc.p.Shutdown(t.Context()); err != nil {
			t.Errorf("second Shutdown: %v", err)
		}
		if err := sc.try(100, gauge(values{"": 20})); !errors.Is(err, ErrShutdown) {
			t.Errorf("Evaluate after Shutdown returned %v, want ErrShutdown", err)
		}
		if err := sc.p.Reload(Config{}); !errors.Is(err, ErrShutdown) {
			t.Errorf("Reload after Shutdown returned %v, want ErrShutdown", err)
		}
	})
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{answer: func(_ int, r *http.Request) (int, error) { <-r.Context().Done(); return 0, r.Context().Err() }}
		sc := newScene(t, notifying(Rule{Metric: "m", Warn: Above(10)}, to,
			Notify{Webhook: &WebhookNotify{URL: "http://hook", Timeout: time.Hour}}))
		for i := range 3 {
			sc.step(i, []string{"20", "5"}[i%2])
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := sc.p.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 notifications still queued") {
			t.Errorf("got error %v", err)
		}
	})
}

// A message in its pause between two attempts is tried once more at Shutdown, not for as long as usual.
func TestShutdownCutsPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{answer: func(int, *http.Request) (int, error) { return 500, nil }}
		sc := newScene(t, notifying(Rule{Metric: "m", Warn: Above(10)}, to, Notify{Webhook: &WebhookNotify{URL: "http://hook"}}))
		sc.step(0, "20")
		synctest.Wait()
		begin := time.Now()
		if err := sc.p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(to.all()); got != 2 || time.Since(begin) != 0 {
			t.Errorf("made %d attempts, in %s after Shutdown; want 2 at once", got, time.Since(begin))
		}
	})
}

func TestErrorsOfDeliveryHideTheAddress(t *testing.T) {
	e := newEndpoint(&http.Client{Transport: &receiver{answer: func(n int, _ *http.Request) (int, error) {
		return 500, map[bool]error{true: errors.New("no route"), false: nil}[n == 0]
	}}}, "http://user:secret@host:99/path/secret?key=secret")
	for range 2 {
		err := e.post(t.Context(), 1)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "host:99") {
			t.Errorf("got error %v, want one that names the host and nothing else of the address", err)
		}
	}
}
