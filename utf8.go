package agent

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
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
	return withEach(points, func(p *metricdata.DataPoint[N]) {
		p.Attributes, p.Exemplars = validSet(p.Attributes), validExemplars(p.Exemplars)
	})
}

func validHistograms[N int64 | float64](points []metricdata.HistogramDataPoint[N]) []metricdata.HistogramDataPoint[N] {
	return withEach(points, func(p *metricdata.HistogramDataPoint[N]) {
		p.Attributes, p.Exemplars = validSet(p.Attributes), validExemplars(p.Exemplars)
	})
}

func validExponentials[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N]) []metricdata.ExponentialHistogramDataPoint[N] {
	return withEach(points, func(p *metricdata.ExponentialHistogramDataPoint[N]) {
		p.Attributes, p.Exemplars = validSet(p.Attributes), validExemplars(p.Exemplars)
	})
}

func validExemplars[N int64 | float64](exemplars []metricdata.Exemplar[N]) []metricdata.Exemplar[N] {
	return withEach(exemplars, func(e *metricdata.Exemplar[N]) {
		e.FilteredAttributes = validAttributes(e.FilteredAttributes)
	})
}

func validSet(s attribute.Set) attribute.Set {
	return attribute.NewSet(validAttributes(s.ToSlice())...)
}

func validAttributes(kvs []attribute.KeyValue) []attribute.KeyValue {
	return withEach(kvs, func(kv *attribute.KeyValue) {
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
	})
}

// withEach returns a copy of s in which change has been at each element.
func withEach[T any](s []T, change func(*T)) []T {
	s = slices.Clone(s)
	for i := range s {
		change(&s[i])
	}
	return s
}
