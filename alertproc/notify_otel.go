package alertproc

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"

	"github.com/otelnet/agent/internal/version"
)

// otelNotifier emits a log record for each change.
type otelNotifier struct{ logger log.Logger }

// eventAlert is the event name of the records.
const eventAlert = "otelnet.alert"

func newOTelNotifier(provider log.LoggerProvider) *otelNotifier {
	return &otelNotifier{provider.Logger(ScopeName, log.WithInstrumentationVersion(version.Module()))}
}

func (n *otelNotifier) deliver(ctx context.Context, m message) error {
	for _, t := range m.changes {
		var r log.Record
		r.SetTimestamp(t.At)
		r.SetEventName(eventAlert)
		r.SetSeverity(log.SeverityInfo)
		r.SetSeverityText("INFO")
		switch {
		case t.To != StateFiring:
		case t.Alert.Severity == levelNames[levelCrit]:
			r.SetSeverity(log.SeverityError)
			r.SetSeverityText("ERROR")
		default:
			r.SetSeverity(log.SeverityWarn)
			r.SetSeverityText("WARN")
		}
		r.SetBody(attribute.StringValue("alert " + t.Alert.Rule + " " + t.To.String() + ": " + t.Reason))
		r.AddAttributes(
			attribute.String("alert", t.Alert.Rule), attribute.String("severity", t.Alert.Severity),
			attribute.String("otelnet.alert.group", t.Alert.Group), attribute.String("otelnet.alert.from", t.From.String()),
			attribute.String("otelnet.alert.to", t.To.String()), attribute.String("otelnet.alert.reason", t.Reason),
			attribute.Float64("otelnet.alert.value", t.Alert.Value), attribute.Float64("otelnet.alert.threshold", t.Alert.Threshold),
		)
		for _, name := range sortedKeys(t.Alert.Labels) {
			if name != "alertname" && name != "severity" {
				r.AddAttributes(attribute.String(name, t.Alert.Labels[name]))
			}
		}
		for _, name := range sortedKeys(t.Alert.Annotations) {
			r.AddAttributes(attribute.String("otelnet.alert.annotation."+name, t.Alert.Annotations[name]))
		}
		n.logger.Emit(ctx, r)
	}
	return nil
}
