package agent

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// isInvalidText tells the error of an encoder that met a text which is no UTF-8.
func isInvalidText(err error) bool {
	return err != nil && strings.Contains(err.Error(), "invalid UTF-8")
}

// withValidText returns a copy of rm in which attributes that are no UTF-8 are, with U+FFFD in place of the wrong bytes. One of them, in
// any point, would keep the whole process from exporting anything.
func withValidText(rm *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	out := &metricdata.ResourceMetrics{Resource: validResource(rm.Resource), ScopeMetrics: slices.Clone(rm.ScopeMetrics)}
	for i := range out.ScopeMetrics {
		sm := &out.ScopeMetrics[i]
		sm.Metrics = slices.Clone(sm.Metrics)
		for j := range sm.Metrics {
			m := &sm.Metrics[j]
			m.Description = validText(m.Description)
			m.Data = validData(m.Data)
		}
	}
	return out
}

// withValidSpans does the same for spans: what a stranger typed into a URL would take a whole batch with it.
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
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Name, events[i].Attributes = validText(events[i].Name), validAttributes(events[i].Attributes)
	}
	return events
}

func (s validSpan) Links() []sdktrace.Link {
	links := slices.Clone(s.ReadOnlySpan.Links())
	for i := range links {
		links[i].Attributes = validAttributes(links[i].Attributes)
	}
	return links
}

func (s validSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = validText(status.Description)
	return status
}

func (s validSpan) Resource() *resource.Resource { return validResource(s.ReadOnlySpan.Resource()) }

func validResource(r *resource.Resource) *resource.Resource {
	if r == nil {
		return nil
	}
	return resource.NewWithAttributes(r.SchemaURL(), validAttributes(r.Attributes())...)
}

func validText(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func validData(data metricdata.Aggregation) metricdata.Aggregation {
	switch d := data.(type) {
	case metricdata.Gauge[int64]:
		d.DataPoints = validPoints(d.DataPoints)
		return d
	case metricdata.Gauge[float64]:
		d.DataPoints = validPoints(d.DataPoints)
		return d
	case metricdata.Sum[int64]:
		d.DataPoints = validPoints(d.DataPoints)
		return d
	case metricdata.Sum[float64]:
		d.DataPoints = validPoints(d.DataPoints)
		return d
	case metricdata.Histogram[int64]:
		d.DataPoints = validHistograms(d.DataPoints)
		return d
	case metricdata.Histogram[float64]:
		d.DataPoints = validHistograms(d.DataPoints)
		return d
	case metricdata.ExponentialHistogram[int64]:
		d.DataPoints = validExponentials(d.DataPoints)
		return d
	case metricdata.ExponentialHistogram[float64]:
		d.DataPoints = validExponentials(d.DataPoints)
		return d
	}
	return data
}

func validPoints[N int64 | float64](points []metricdata.DataPoint[N]) []metricdata.DataPoint[N] {
	points = slices.Clone(points)
	for i := range points {
		points[i].Attributes, points[i].Exemplars = validSet(points[i].Attributes), validExemplars(points[i].Exemplars)
	}
	return points
}

func validHistograms[N int64 | float64](points []metricdata.HistogramDataPoint[N]) []metricdata.HistogramDataPoint[N] {
	points = slices.Clone(points)
	for i := range points {
		points[i].Attributes, points[i].Exemplars = validSet(points[i].Attributes), validExemplars(points[i].Exemplars)
	}
	return points
}

func validExponentials[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N]) []metricdata.ExponentialHistogramDataPoint[N] {
	points = slices.Clone(points)
	for i := range points {
		points[i].Attributes, points[i].Exemplars = validSet(points[i].Attributes), validExemplars(points[i].Exemplars)
	}
	return points
}

func validExemplars[N int64 | float64](exemplars []metricdata.Exemplar[N]) []metricdata.Exemplar[N] {
	exemplars = slices.Clone(exemplars)
	for i := range exemplars {
		exemplars[i].FilteredAttributes = validAttributes(exemplars[i].FilteredAttributes)
	}
	return exemplars
}

func validSet(s attribute.Set) attribute.Set {
	return attribute.NewSet(validAttributes(s.ToSlice())...)
}

func validAttributes(kvs []attribute.KeyValue) []attribute.KeyValue {
	kvs = slices.Clone(kvs)
	for i := range kvs {
		kv := &kvs[i]
		kv.Key = attribute.Key(validText(string(kv.Key)))
		switch kv.Value.Type() {
		case attribute.STRING:
			if text := kv.Value.AsString(); !utf8.ValidString(text) {
				kv.Value = attribute.StringValue(validText(text))
			}
		case attribute.STRINGSLICE:
			texts := kv.Value.AsStringSlice() // a copy
			for j := range texts {
				texts[j] = validText(texts[j])
			}
			kv.Value = attribute.StringSliceValue(texts)
		}
	}
	return kvs
}
