package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/otelnet/agent/alertproc"
)

// promAlert is an alert as Prometheus' /api/v1/alerts gives it.
type promAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    *time.Time        `json:"activeAt,omitempty"`
	Value       string            `json:"value"`
}

// promRule is an alerting rule as Prometheus' /api/v1/rules gives it. Durations are seconds.
type promRule struct {
	State          string            `json:"state"`
	Name           string            `json:"name"`
	Query          string            `json:"query"`
	Duration       float64           `json:"duration"`
	KeepFiringFor  float64           `json:"keepFiringFor"`
	Labels         map[string]string `json:"labels"`
	Annotations    map[string]string `json:"annotations"`
	Alerts         []promAlert       `json:"alerts"`
	Health         string            `json:"health"`
	LastError      string            `json:"lastError,omitempty"`
	EvaluationTime float64           `json:"evaluationTime"`
	LastEvaluation time.Time         `json:"lastEvaluation"`
	Type           string            `json:"type"`
}

type promGroup struct {
	Name           string     `json:"name"`
	File           string     `json:"file"`
	Rules          []promRule `json:"rules"`
	Interval       float64    `json:"interval"`
	Limit          int        `json:"limit"`
	EvaluationTime float64    `json:"evaluationTime"`
	LastEvaluation time.Time  `json:"lastEvaluation"`
}

type promAnswer struct {
	Status string `json:"status"`
	Data   any    `json:"data"`
}

// promAlerts answers /api/v1/alerts.
func (s *Server) promAlerts(w http.ResponseWriter, r *http.Request) {
	respond(w, r, promAnswer{"success", map[string]any{"alerts": s.activeAlerts()}})
}

func (s *Server) activeAlerts() []promAlert {
	if s.cfg.Alerts == nil {
		return []promAlert{}
	}
	return promActive(s.cfg.Alerts.Alerts())
}

// promActive keeps pending and firing alerts, as Prometheus does.
func promActive(alerts []alertproc.Alert) []promAlert {
	out := []promAlert{}
	for _, a := range alerts {
		if a.State == alertproc.StateInactive {
			continue
		}
		pa := promAlert{
			Labels: orEmpty(a.Labels), Annotations: orEmpty(a.Annotations), State: a.State.String(),
			Value: strconv.FormatFloat(a.Value, 'e', -1, 64),
		}
		if !a.ActiveAt.IsZero() {
			at := a.ActiveAt.UTC()
			pa.ActiveAt = &at
		}
		out = append(out, pa)
	}
	return out
}

// promRules answers /api/v1/rules. Of Prometheus' parameters it knows those that narrow the answer by name.
func (s *Server) promRules(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	kind := query.Get("type")
	if kind != "" && kind != "alert" && kind != "record" {
		badParameter(w, fmt.Errorf("type: %.40q is unknown; allowed are alert and record", kind))
		return
	}
	bare, err := parseBool("exclude_alerts", query.Get("exclude_alerts"))
	if err != nil {
		badParameter(w, err)
		return
	}
	groups := []promGroup{}
	if s.cfg.Alerts != nil && kind != "record" { // there are no recording rules here
		for _, g := range s.cfg.Alerts.Rules() {
			if !listed(query["rule_group[]"], g.Name) || !listed(query["file[]"], g.File) {
				continue
			}
			if pg := newPromGroup(g, query["rule_name[]"], bare); len(pg.Rules) > 0 || !query.Has("rule_name[]") {
				groups = append(groups, pg)
			}
		}
	}
	respond(w, r, promAnswer{"success", map[string]any{"groups": groups}})
}

// listed reports whether name is asked for: nothing named means everything.
func listed(names []string, name string) bool {
	return len(names) == 0 || slices.Contains(names, name)
}

func newPromGroup(g alertproc.GroupStatus, names []string, bare bool) promGroup {
	pg := promGroup{Name: g.Name, File: g.File, Interval: g.Interval.Seconds(), Rules: []promRule{}}
	for _, rule := range g.Rules {
		if !listed(names, rule.Name) {
			continue
		}
		pr := promRule{
			State: rule.State.String(), Name: rule.Name, Query: rule.Query,
			Duration: rule.For.Seconds(), KeepFiringFor: rule.KeepFiringFor.Seconds(),
			Labels: orEmpty(rule.Labels), Annotations: orEmpty(rule.Annotations), Alerts: []promAlert{},
			Health: rule.Health, LastError: rule.LastError,
			EvaluationTime: rule.EvaluationTime.Seconds(), LastEvaluation: rule.LastEvaluation.UTC(), Type: "alerting",
		}
		if !bare {
			pr.Alerts = promActive(rule.Alerts)
		}
		pg.EvaluationTime += pr.EvaluationTime
		if pr.LastEvaluation.After(pg.LastEvaluation) {
			pg.LastEvaluation = pr.LastEvaluation
		}
		pg.Rules = append(pg.Rules, pr)
	}
	return pg
}

// orEmpty makes nil an empty object, as Prometheus sends it.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
