package alertproc

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/internal/guard"
	"github.com/otelnet/agent/internal/version"
)

// ScopeName is the instrumentation scope of every instrument this package creates.
const ScopeName = "github.com/otelnet/agent/alertproc"

// The instruments. docs/alerting.md lists them.
const (
	metricState         = "otelnet.alert.state"
	metricNotifications = "otelnet.agent.notifications"

	attrNotifier = attribute.Key("otelnet.notifier")
	attrOutcome  = attribute.Key("otelnet.outcome")
)

// meters are the instruments of one Processor.
type meters struct {
	state         metric.Int64ObservableGauge
	notifications metric.Int64Counter
	registration  metric.Registration
}

func newMeters(mp metric.MeterProvider, observe metric.Callback) (*meters, error) {
	meter := mp.Meter(ScopeName, metric.WithInstrumentationVersion(version.Module()))
	var m meters
	var err error
	if m.state, err = meter.Int64ObservableGauge(metricState, metric.WithUnit("{state}"), // "1" would make it otelnet_alert_state_ratio in Prometheus
		metric.WithDescription("State of an alert rule: 0 inactive, 1 pending, 2 firing.")); err != nil {
		return nil, err
	}
	if m.notifications, err = meter.Int64Counter(metricNotifications, metric.WithUnit("{notification}"),
		metric.WithDescription("Notifications about alerts, by what became of them.")); err != nil {
		return nil, err
	}
	if m.registration, err = meter.RegisterCallback(guard.Callback("alertproc: collect", observe), m.state); err != nil {
		return nil, err
	}
	return &m, nil
}

// stateAttributes prepares what otelnet.alert.state carries for each level of a rule: alert, severity, and the rule's
// labels as far as they are constant.
func stateAttributes(r *Rule) (options [2][]metric.ObserveOption) {
	for level := range options {
		attrs := []attribute.KeyValue{
			attribute.String("alert", r.Alert), attribute.String("severity", levelNames[level]),
		}
		for _, name := range sortedKeys(r.Labels) {
			if value := r.Labels[name]; value != "" && name != "alert" && !strings.Contains(value, "{{") {
				attrs = append(attrs, attribute.String(name, value))
			}
		}
		options[level] = []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
	}
	return options
}

// observeStates runs inside a Collect, which is never inside an evaluation's state changes, so mu is free or soon will be.
func (p *Processor) observeStates(_ context.Context, o metric.Observer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.current.rules {
		if r.group.hidden() {
			continue
		}
		var states [2]State
		for _, inst := range r.order {
			state, level := inst.state.shown()
			states[level] = max(states[level], state)
		}
		for level, t := range r.levels {
			if t != nil {
				o.ObserveInt64(p.meters.state, int64(states[level]), r.observe[level]...)
			}
		}
	}
	return nil
}
