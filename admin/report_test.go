package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/report"
)

// lived is a history of ten minutes with requests, and an alert that fires in the last.
func lived(t *testing.T) *history.Store {
	h := newHistory(t)
	for i := range 121 {
		state := int64(0)
		if i > 110 {
			state = 2
		}
		h.Append(at(5*i), snapshot(
			requests([]uint64{uint64(10 * i), uint64(i), 0}, attribute.Int("http.response.status_code", 200)),
			metricdata.Metrics{Name: "otelnet.alert.state", Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{
				{Attributes: attribute.NewSet(attribute.String("alert", "Slow"), attribute.String("severity", "warn")), Value: state},
			}}},
		))
	}
	return h
}

// past is an alert source that remembers.
type past struct{ alerts }

func (past) Transitions(alert string) []alertproc.Transition {
	return []alertproc.Transition{
		{At: at(10), To: alertproc.StateFiring, Reason: alert + " of long ago", Alert: alertproc.Alert{Severity: "warn"}},
		{At: at(550), To: alertproc.StateFiring, Reason: alert + " was slow", Alert: alertproc.Alert{Severity: "warn"}},
		{At: at(551), To: alertproc.StateFiring, Reason: "another level", Alert: alertproc.Alert{Severity: "crit"}},
	}
}

func TestReport(t *testing.T) {
	s := start(t, admin.Config{History: lived(t), Service: admin.Service{Name: "checkout", Instance: "one"}, Alerts: past{}})
	query := fmt.Sprintf("/report?range=5m&until=%d", at(600).UnixMilli())
	for format, want := range map[string]struct{ kind, text string }{
		"":     {"text/html; charset=utf-8", "<title>Network performance report · checkout"},
		"html": {"text/html; charset=utf-8", "Slow was slow"},
		"text": {"text/plain; charset=utf-8", "1 alert fired, 45 s in alert"},
		"csv":  {"text/csv; charset=utf-8", "http.server.request.duration,,rate,/s,2.2,2.2,2.2,"},
		"json": {"application/json", `"service":"checkout"`},
	} {
		res := get(t, s, query+"&format="+format)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != want.kind || !strings.Contains(res.body, want.text) {
			t.Errorf("%s: got %d %s, want %s with %q:\n%.600s", format, res.StatusCode, res.Header.Get("Content-Type"), want.kind, want.text, res.body)
		}
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", format, policy)
		}
		if html := strings.HasPrefix(want.kind, "text/html"); html && policy != report.Policy() {
			t.Errorf("%s: policy %q, want the report's own", format, policy)
		}
	}
	var r report.Report
	if err := json.Unmarshal([]byte(get(t, s, query+"&format=json").body), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Alerts) != 1 || r.Alerts[0].Why != "Slow was slow" || r.Instances[0] != "one" || !r.From.Equal(at(300)) || !r.Until.Equal(at(600)) {
		t.Errorf("got %+v, %v to %v", r.Alerts, r.From, r.Until)
	}
}

// evidence is what was recorded for an alert, for another one that had to share it, and long before.
type evidence struct{ admin.CaptureSource }

func (evidence) Captures() []capture.Manifest {
	return []capture.Manifest{
		{
			ID: "b", At: at(556), Alert: "Other", Attached: []capture.Attachment{{At: at(557), Alert: "Slow"}},
			Artefacts: []capture.Artefact{{Kind: capture.Heap, File: "heap.pb.gz", Status: capture.StatusOK}, {Kind: capture.CPU, Status: capture.StatusSkipped}},
		},
		{ID: "a", At: at(20), Alert: "Slow"},
		{ID: "c", At: at(558), Alert: "Other"},
	}
}

func TestReportLinksToCaptures(t *testing.T) {
	s := start(t, admin.Config{History: lived(t), Captures: evidence{}})
	page := get(t, s, "/report?range=5m&until="+ms).body
	for _, want := range []string{`<a href="/captures/b">capture of `, `<a href="/api/captures/b/heap.pb.gz">heap</a>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Count(page, "/captures/") != 2 {
		t.Errorf("%d links, want the two of one capture", strings.Count(page, "/captures/"))
	}
}

func TestReportRefuses(t *testing.T) {
	s := start(t, admin.Config{History: lived(t)})
	for query, want := range map[string]struct {
		code int
		text string
	}{
		"range=1s":                   {400, "range 1s: want 1m to 744h"},
		"range=soon":                 {400, `range: "soon" is not a duration such as 15m or 1h`},
		"format=pdf":                 {400, `format: "pdf" is unknown; allowed are html, text, json and csv`},
		"until=noon":                 {400, `until: "noon" is not a time`},
		"metric=nothing&until=" + ms: {400, `has no metric "nothing"`},
		"until=2020-01-01T00:00:00Z": {404, "no samples between 2019-12-31T23:00:00Z and 2020-01-01T00:00:00Z"},
		"until=2999-01-01T00:00:00Z": {400, "still to come"},
		strings.Repeat("metric=x&", 33) + "until=" + ms: {400, "33 names; at most 32 are allowed"},
	} {
		res := get(t, s, "/report?"+query)
		if res.StatusCode != want.code || !strings.Contains(res.failure(t), want.text) {
			t.Errorf("%s: got %d %s, want %d with %q", query, res.StatusCode, res.body, want.code, want.text)
		}
	}
}

var ms = fmt.Sprint(at(600).UnixMilli())

// Reports asked for at once are made one after the other, and all are made.
func TestReportsTakeTurns(t *testing.T) {
	s := start(t, admin.Config{History: lived(t)})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if res := get(t, s, "/report?format=csv&range=5m&until="+ms); res.StatusCode != http.StatusOK {
				t.Errorf("got %d: %s", res.StatusCode, res.body)
			}
		})
	}
	wg.Wait()
}
