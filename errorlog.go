package agent

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// How often the error log repeats an error, and how many different ones it remembers.
const (
	errorRepeat   = time.Minute
	errorsToldMax = 100
)

// errorLog is OpenTelemetry's error handler while the agent owns the globals: one line for an error, and no second one
// of the same text within a minute, however often the SDK meets it.
type errorLog struct {
	logger func() *slog.Logger

	mu   sync.Mutex
	told map[string]time.Time
}

// Handle implements otel.ErrorHandler.
func (l *errorLog) Handle(err error) {
	if err != nil && l.news(err.Error(), time.Now()) {
		l.logger().Warn("otelnet: telemetry", "error", err)
	}
}

// news tells whether text has not been told lately. Beyond the errors it can remember it stays silent: something is
// then producing texts without end.
func (l *errorLog) news(text string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, found := l.told[text]; found && now.Sub(at) < errorRepeat {
		return false
	}
	if len(l.told) >= errorsToldMax {
		maps.DeleteFunc(l.told, func(_ string, at time.Time) bool { return now.Sub(at) >= errorRepeat })
		if len(l.told) >= errorsToldMax {
			return false
		}
	}
	if l.told == nil {
		l.told = map[string]time.Time{}
	}
	l.told[text] = now
	return true
}
