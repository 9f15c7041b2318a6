package alertproc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/embedded"
	"go.opentelemetry.io/otel/metric/noop"
)

func TestLogRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := &recorder{}
		cfg := oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10), Crit: Above(100), Annotations: map[string]string{"summary": "hot"}})
		cfg.LoggerProvider = recorder
		s := newScene(t, cfg)
		for i, v := range []float64{20, 200, 5} {
			s.at(float64(10*i), gauge(values{"a=1": v}))
		}
		synctest.Wait()
		var got []string
		if recorder.scope != ScopeName {
			t.Errorf("scope %q, want %q", recorder.scope, ScopeName)
		}
		for _, r := range recorder.records {
			attrs := map[string]string{}
			r.WalkAttributes(func(kv attribute.KeyValue) bool {
				attrs[string(kv.Key)] = kv.Value.String()
				return true
			})
			got = append(got, r.EventName()+" "+r.SeverityText()+" "+r.Timestamp().Sub(start).String()+" a="+attrs["a"]+
				" value="+attrs["otelnet.alert.value"]+" "+attrs["otelnet.alert.annotation.summary"]+" "+r.Body().AsString())
		}
		want := `otelnet.alert WARN 0s a=1 value=20 hot alert A firing: value 20 above 10
otelnet.alert ERROR 10s a=1 value=200 hot alert A firing: now crit: value 200, threshold 100
otelnet.alert INFO 20s a=1 value=200 hot alert A inactive: recovered: value 5`
		if strings.Join(got, "\n") != want {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
		}
	})
}

// recorder is a LoggerProvider and its only Logger. Its records are read when its notifier is at rest.
type recorder struct {
	embedded.LoggerProvider
	scope   string
	records []log.Record
}

func (r *recorder) Logger(name string, _ ...log.LoggerOption) log.Logger {
	r.scope = name
	return recordingLogger{r: r}
}

type recordingLogger struct {
	embedded.Logger
	r *recorder
}

func (l recordingLogger) Emit(_ context.Context, r log.Record)                { l.r.records = append(l.r.records, r) }
func (l recordingLogger) Enabled(context.Context, log.EnabledParameters) bool { return true }

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWebhookSignatureAndHeaders(t *testing.T) {
	calls := 0
	cfg := oneRule(Rule{Metric: "m", Warn: Above(10)})
	cfg.Notify = []Notify{{Webhook: &WebhookNotify{URL: "http://hook.invalid", Secret: "s3cret", Headers: map[string]string{"Authorization": "Bearer x"}}}}
	cfg.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		calls++
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, []byte("s3cret"))
		mac.Write(body)
		if got, want := r.Header.Get("X-Otelnet-Signature"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("signature: got %s, want %s", got, want)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer x" {
			t.Errorf("Authorization: got %q", got)
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})}
	cfg.MeterProvider = noop.NewMeterProvider()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Evaluate(t.Context(), start, snapshot(gauge(values{"": 20}))); err != nil {
		t.Error(err)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if calls != 1 {
		t.Errorf("%d requests, want 1", calls)
	}
}

func TestTransitions(t *testing.T) {
	s := newScene(t, oneRule(Rule{Metric: "m", By: []string{"a"}, Warn: Above(10)}))
	for i := range 60 {
		s.at(float64(10*i), gauge(values{"a=1": float64(20 * (i % 2)), "a=2": 20}))
	}
	past := s.p.Transitions("A")
	if len(past) != 51 {
		t.Fatalf("got %d changes, want the last 50 of one label set and 1 of the other", len(past))
	}
	if first, last := past[0], past[50]; first.Alert.Labels["a"] != "2" || !last.At.Equal(start.Add(590*1e9)) || last.Reason != "value 20 above 10" {
		t.Errorf("first %+v, last %+v; want that of a=2, and the newest", first, last)
	}
	if s.p.Transitions("B") != nil {
		t.Error("an unknown name has changes")
	}
}
