package alertproc

import (
	"context"
	"log/slog"
)

// logNotifier writes one record for each change.
type logNotifier struct{ logger *slog.Logger }

func (n *logNotifier) deliver(ctx context.Context, m message) error {
	for _, t := range m.changes {
		level, text := slog.LevelWarn, "alert firing"
		switch {
		case t.To != StateFiring:
			level, text = slog.LevelInfo, "alert resolved"
		case t.Alert.Severity == levelNames[levelCrit]:
			level = slog.LevelError
		}
		labels := make([]any, 0, len(t.Alert.Labels))
		for _, name := range sortedKeys(t.Alert.Labels) {
			if name != "alertname" && name != "severity" {
				labels = append(labels, slog.String(name, t.Alert.Labels[name]))
			}
		}
		attrs := []slog.Attr{
			slog.String("alert", t.Alert.Rule), slog.String("severity", t.Alert.Severity),
			slog.String("reason", t.Reason), slog.Float64("value", t.Alert.Value),
			slog.Float64("threshold", t.Alert.Threshold), slog.Time("at", t.At), slog.Group("labels", labels...),
		}
		for _, name := range sortedKeys(t.Alert.Annotations) {
			attrs = append(attrs, slog.String(name, t.Alert.Annotations[name]))
		}
		n.logger.LogAttrs(ctx, level, text, attrs...)
	}
	return nil
}
