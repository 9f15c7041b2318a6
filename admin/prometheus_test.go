package admin_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/alertproc"
)

type alerts struct{}

func (alerts) Alerts() []alertproc.Alert {
	return []alertproc.Alert{
		{
			Labels: map[string]string{"alertname": "Slow", "severity": "crit"}, Annotations: map[string]string{"summary": "p99 is 1.5 s"},
			State: alertproc.StateFiring, Value: 1.5, ActiveAt: epoch.In(time.FixedZone("x", 3600)),
		},
		{Labels: map[string]string{"alertname": "Gone"}, State: alertproc.StateInactive},
	}
}

func (a alerts) Rules() []alertproc.GroupStatus {
	return []alertproc.GroupStatus{
		{Name: "web", File: "rules.yaml", Interval: 5 * time.Second, Rules: []alertproc.RuleStatus{
			{
				Name: "Slow", Query: "p99 > 1", For: 90 * time.Second, KeepFiringFor: time.Minute, Labels: map[string]string{"team": "a"},
				State: alertproc.StateFiring, Health: "ok", LastEvaluation: at(5), EvaluationTime: 250 * time.Microsecond, Alerts: a.Alerts(),
			},
			{Name: "Broken", Query: "x > 1", Health: "err", LastError: "no such metric", LastEvaluation: at(6), EvaluationTime: 750 * time.Microsecond},
		}},
		{Name: "other", Interval: time.Minute},
	}
}

// The wanted documents are written as Prometheus 3 answers for the same rules.
const (
	wantAlert = `{"labels":{"alertname":"Slow","severity":"crit"},"annotations":{"summary":"p99 is 1.5 s"},"state":"firing",
		"activeAt":"2026-11-21T12:00:00Z","value":"1.5e+00"}`
	wantSlow = `{"state":"firing","name":"Slow","query":"p99 > 1","duration":90,"keepFiringFor":60,"labels":{"team":"a"},"annotations":{},
		"alerts":[` + wantAlert + `],"health":"ok","evaluationTime":0.00025,"lastEvaluation":"2026-11-21T12:00:05Z","type":"alerting"}`
	wantBroken = `{"state":"inactive","name":"Broken","query":"x > 1","duration":0,"keepFiringFor":0,"labels":{},"annotations":{},
		"alerts":[],"health":"err","lastError":"no such metric","evaluationTime":0.00075,"lastEvaluation":"2026-11-21T12:00:06Z","type":"alerting"}`
	wantOther = `{"name":"other","file":"","rules":[],"interval":60,"limit":0,"evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z"}`
)

func group(rules, evaluation, last string) string {
	return `{"name":"web","file":"rules.yaml","rules":[` + rules + `],"interval":5,"limit":0,"evaluationTime":` + evaluation + `,"lastEvaluation":"` + last + `"}`
}

func TestPrometheusAnswers(t *testing.T) {
	whole := group(wantSlow+","+wantBroken, "0.001", "2026-11-21T12:00:06Z")
	slow := group(wantSlow, "0.00025", "2026-11-21T12:00:05Z")
	groups := func(g string) string { return `{"status":"success","data":{"groups":[` + g + `]}}` }
	s, none := start(t, admin.Config{Alerts: alerts{}}), start(t, admin.Config{})
	for _, tc := range []struct {
		server     *admin.Server
		path, want string
	}{
		{s, "/api/v1/alerts", `{"status":"success","data":{"alerts":[` + wantAlert + `]}}`},
		{s, "/api/v1/rules", groups(whole + "," + wantOther)},
		{s, "/api/v1/rules?type=alert", groups(whole + "," + wantOther)},
		{s, "/api/v1/rules?type=record", groups("")},
		{s, "/api/v1/rules?rule_name[]=Slow", groups(slow)},
		{s, "/api/v1/rules?rule_group[]=other", groups(wantOther)},
		{s, "/api/v1/rules?file[]=rules.yaml&rule_name[]=Slow&rule_name[]=None", groups(slow)},
		{none, "/api/v1/alerts", `{"status":"success","data":{"alerts":[]}}`},
		{none, "/api/v1/rules", groups("")},
	} {
		var got, want any
		if err := json.Unmarshal([]byte(get(t, tc.server, tc.path).body), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.path, diff)
		}
	}
	var bare struct {
		Data struct {
			Groups []struct{ Rules []struct{ Alerts []any } }
		}
	}
	if err := json.Unmarshal([]byte(get(t, s, "/api/v1/rules?exclude_alerts=true").body), &bare); err != nil {
		t.Fatal(err)
	}
	if got := bare.Data.Groups[0].Rules[0].Alerts; len(got) != 0 {
		t.Errorf("exclude_alerts: got %v, want none", got)
	}
}
