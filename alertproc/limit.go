package alertproc

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The alert that tells of rules with more label sets than Config.MaxInstances. Its group is listed only while it fires.
const (
	limitGroup = "otelnet"
	limitAlert = "TooManyAlertInstances"
)

// limitRule watches the engine's own rules.
func (e *engine) limitRule() Rule {
	return Rule{
		Alert: limitAlert,
		Func: func(context.Context, *metricdata.ResourceMetrics) ([]Sample, error) {
			var samples []Sample
			for _, r := range e.rules {
				if n := len(r.skipped); n > 0 && !r.group.own {
					samples = append(samples, Sample{
						Labels: map[string]string{"group": r.group.name, "rule": r.Alert}, Value: float64(n),
					})
				}
			}
			return samples, nil
		},
		Warn: Above(0), NoData: NoDataResolve,
		Annotations: map[string]string{"summary": `{{ .Value }} or more label sets of the rule {{ .Labels.rule }} are not watched: ` +
			`it has more than the limit allows. Name fewer attributes in by, or raise MaxInstances.`},
	}
}

// addLimitRule puts the rule into a group of its own, evaluated last.
func (e *engine) addLimitRule(cfg Config) {
	g := Group{Name: limitGroup}
	for _, other := range cfg.Groups {
		if g.Every == 0 || other.interval() < g.Every {
			g.Every = other.interval()
		}
		if other.Name == g.Name || strings.HasPrefix(other.Name, limitGroup+" ") {
			g.Name += " limits" // whatever the user's groups are called
		}
	}
	c := &group{name: g.Name, every: g.interval(), slot: -1, own: true}
	c.rules = []*rule{newRule(e.limitRule(), c, DefaultMaxInstances, e.mu)}
	e.groups = append(e.groups, c)
	e.rules = append(e.rules, c.rules...)
}

// hidden tells whether nobody needs to see the group: it is not the user's, and has nothing to say.
func (g *group) hidden() bool {
	if !g.own {
		return false
	}
	for _, r := range g.rules {
		for _, inst := range r.order {
			if state, _ := inst.state.shown(); state != StateInactive {
				return false
			}
		}
	}
	return true
}
