package agent

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// withValidSpans does for spans what withValidText does for metrics: what a stranger typed into a URL would take a whole batch with it.
func withValidSpans(spans []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	out := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		out[i] = validSpan{s}
	}
	return out
}

type validSpan struct{ sdktrace.ReadOnlySpan }

func (s validSpan) Name() string { return validText(s.ReadOnlySpan.Name()) }

func (s validSpan) Attributes() []attribute.KeyValue {
	return validAttributes(s.ReadOnlySpan.Attributes())
}

func (s validSpan) Events() []sdktrace.Event {
	return withEach(s.ReadOnlySpan.Events(), func(e *sdktrace.Event) {
		e.Name, e.Attributes = validText(e.Name), validAttributes(e.Attributes)
	})
}

func (s validSpan) Links() []sdktrace.Link {
	return withEach(s.ReadOnlySpan.Links(), func(l *sdktrace.Link) {
		l.Attributes = validAttributes(l.Attributes)
	})
}

func (s validSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = validText(status.Description)
	return status
}

func (s validSpan) Resource() *resource.Resource { return validResource(s.ReadOnlySpan.Resource()) }
