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
	out := &metricdata.ResourceMetrics{ScopeMetrics: slices.Clone(rm.ScopeMetrics)}
	if rm.Resource != nil {
		out.Resource = resource.NewWithAttributes(rm.Resource.SchemaURL(), validAttributes(rm.Resource.Attributes())...)
	}
	for i := range out.ScopeMetrics {
		sm := &out.ScopeMetrics[i]
		sm.Metrics = slices.Clone(sm.Metrics)
		for j := range sm.Metrics {
			m := &sm.Metrics[j]
			m.Description = strings.ToValidUTF8(m.Description, "\uFFFD")
			m.Data = validData(m.Data)
		}
	}
	return out
}

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
		kv.Key = attribute.Key(strings.ToValidUTF8(string(kv.Key), "\uFFFD"))
		switch kv.Value.Type() {
		case attribute.STRING:
			if text := kv.Value.AsString(); !utf8.ValidString(text) {
				kv.Value = attribute.StringValue(strings.ToValidUTF8(text, "\uFFFD"))
			}
		case attribute.STRINGSLICE:
			texts := kv.Value.AsStringSlice() // a copy
			for j := range texts {
				texts[j] = strings.ToValidUTF8(texts[j], "\uFFFD")
			}
			kv.Value = attribute.StringSliceValue(texts)
		}
	}
	return kvs
}
