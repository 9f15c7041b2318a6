// Package otlpjson reads metrics in the JSON form of OTLP, one export request a line, as the Collector's file exporter
// writes them. It decodes what rules can be evaluated on and passes over the rest. It exists so that reading a
// recording does not bring the protobuf runtime into a service.
package otlpjson

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// maxLine bounds one export request.
const maxLine = 64 << 20

// Snapshot is the metrics of one resource in one export request.
type Snapshot struct {
	Line     int
	Resource string    // its attributes, for telling resources apart
	At       time.Time // of the newest point
	Metrics  *metricdata.ResourceMetrics
}

// Read calls f for every snapshot that has a point, in the order of the file. It stops at the first error, of f or its
// own, which names the line.
func Read(r io.Reader, f func(Snapshot) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var req request
		if err := json.Unmarshal(lines.Bytes(), &req); err != nil {
			return fmt.Errorf("line %d: not an OTLP export request in JSON: %w", n, err)
		}
		for _, rm := range req.ResourceMetrics {
			s, err := rm.snapshot()
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if s.At.IsZero() {
				continue
			}
			s.Line = n
			if err := f(s); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d: longer than %d bytes", n+1, maxLine)
	}
	return lines.Err()
}

// The messages of opentelemetry/proto/metrics/v1/metrics.proto, as far as they are needed.
type (
	request struct {
		ResourceMetrics []resourceMetrics `json:"resourceMetrics"`
	}
	resourceMetrics struct {
		Resource struct {
			Attributes []keyValue `json:"attributes"`
		} `json:"resource"`
		ScopeMetrics []struct {
			Scope struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"scope"`
			Metrics []metric `json:"metrics"`
		} `json:"scopeMetrics"`
	}
	metric struct {
		Name                 string `json:"name"`
		Description          string `json:"description"`
		Unit                 string `json:"unit"`
		Gauge                *data  `json:"gauge"`
		Sum                  *data  `json:"sum"`
		Histogram            *data  `json:"histogram"`
		ExponentialHistogram *data  `json:"exponentialHistogram"`
	}
	data struct {
		DataPoints  []point     `json:"dataPoints"`
		Temporality temporality `json:"aggregationTemporality"`
		IsMonotonic bool        `json:"isMonotonic"`
	}
	point struct {
		Attributes     []keyValue  `json:"attributes"`
		Time           integer     `json:"timeUnixNano"`
		Start          integer     `json:"startTimeUnixNano"`
		Flags          integer     `json:"flags"`
		AsDouble       *float      `json:"asDouble"`
		AsInt          *integer    `json:"asInt"`
		Count          integer     `json:"count"`
		Sum            float       `json:"sum"`
		BucketCounts   []integer   `json:"bucketCounts"`
		ExplicitBounds []float     `json:"explicitBounds"`
		Scale          int32       `json:"scale"`
		ZeroCount      integer     `json:"zeroCount"`
		ZeroThreshold  float       `json:"zeroThreshold"`
		Positive       expoBuckets `json:"positive"`
		Negative       expoBuckets `json:"negative"`
	}
	expoBuckets struct {
		Offset       int32     `json:"offset"`
		BucketCounts []integer `json:"bucketCounts"`
	}
	keyValue struct {
		Key   string   `json:"key"`
		Value anyValue `json:"value"`
	}
	anyValue struct {
		String *string  `json:"stringValue"`
		Bool   *bool    `json:"boolValue"`
		Int    *integer `json:"intValue"`
		Double *float   `json:"doubleValue"`
		Array  *struct {
			Values []anyValue `json:"values"`
		} `json:"arrayValue"`
	}
)

// integer is a 64-bit number, which the JSON form of protobuf writes as a text.
type integer int64

func (i *integer) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		// Times after 2262 and fixed64 counts do not fit; neither does anything that is no number.
		u, uerr := strconv.ParseUint(text, 10, 64)
		if uerr != nil {
			return fmt.Errorf("%s is no whole number", b)
		}
		v = int64(u)
	}
	*i = integer(v)
	return nil
}

// float is a number, or the text NaN, Infinity or -Infinity.
type float float64

func (f *float) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil {
		return fmt.Errorf("%s is no number", b)
	}
	*f = float(v)
	return nil
}

// temporality is an enum: a number in OTLP's own JSON, a name in protobuf's.
type temporality metricdata.Temporality

func (t *temporality) UnmarshalJSON(b []byte) error {
	switch text := strings.Trim(string(b), `"`); text {
	case "2", "AGGREGATION_TEMPORALITY_CUMULATIVE":
		*t = temporality(metricdata.CumulativeTemporality)
	case "1", "AGGREGATION_TEMPORALITY_DELTA":
		*t = temporality(metricdata.DeltaTemporality)
	default:
		return fmt.Errorf("aggregationTemporality %s is neither cumulative (2) nor delta (1)", b)
	}
	return nil
}

// noRecordedValue is the flag of a point that says that its series has ended.
const noRecordedValue = 1

func (rm *resourceMetrics) snapshot() (Snapshot, error) {
	resource := attributes(rm.Resource.Attributes)
	s := Snapshot{Resource: resource.Encoded(attribute.DefaultEncoder()), Metrics: &metricdata.ResourceMetrics{}}
	newest := integer(0)
	for _, sm := range rm.ScopeMetrics {
		out := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: sm.Scope.Name, Version: sm.Scope.Version}}
		for _, m := range sm.Metrics {
			one := metricdata.Metrics{Name: m.Name, Description: m.Description, Unit: m.Unit}
			for _, d := range []*data{m.Gauge, m.Sum, m.Histogram, m.ExponentialHistogram} {
				if d == nil {
					continue
				}
				for _, p := range d.DataPoints {
					newest = max(newest, p.Time)
				}
				if d != m.Gauge && d.Temporality == 0 {
					return s, fmt.Errorf("metric %q has no aggregationTemporality", m.Name)
				}
			}
			switch {
			case m.Gauge != nil:
				one.Data = metricdata.Gauge[float64]{DataPoints: m.Gauge.numbers()}
			case m.Sum != nil:
				one.Data = metricdata.Sum[float64]{
					DataPoints: m.Sum.numbers(), Temporality: metricdata.Temporality(m.Sum.Temporality), IsMonotonic: m.Sum.IsMonotonic,
				}
			case m.Histogram != nil:
				h, err := m.Histogram.histogram()
				if err != nil {
					return s, fmt.Errorf("metric %q: %w", m.Name, err)
				}
				one.Data = h
			case m.ExponentialHistogram != nil:
				one.Data = m.ExponentialHistogram.exponential()
			default:
				continue
			}
			out.Metrics = append(out.Metrics, one)
		}
		s.Metrics.ScopeMetrics = append(s.Metrics.ScopeMetrics, out)
	}
	if newest != 0 {
		s.At = time.Unix(0, int64(newest)).UTC()
	}
	return s, nil
}

// recorded calls f for each point that has a value.
func (d *data) recorded(f func(p *point, attrs attribute.Set)) {
	for i := range d.DataPoints {
		if p := &d.DataPoints[i]; p.Flags&noRecordedValue == 0 {
			f(p, attributes(p.Attributes))
		}
	}
}

func (d *data) numbers() (points []metricdata.DataPoint[float64]) {
	d.recorded(func(p *point, attrs attribute.Set) {
		one := metricdata.DataPoint[float64]{Attributes: attrs}
		if p.AsDouble != nil {
			one.Value = float64(*p.AsDouble)
		} else if p.AsInt != nil {
			one.Value = float64(*p.AsInt)
		}
		points = append(points, one)
	})
	return points
}

func (d *data) histogram() (metricdata.Histogram[float64], error) {
	h := metricdata.Histogram[float64]{Temporality: metricdata.Temporality(d.Temporality)}
	var err error
	d.recorded(func(p *point, attrs attribute.Set) {
		if n := len(p.BucketCounts); n > 0 && n != len(p.ExplicitBounds)+1 {
			err = fmt.Errorf("%d bounds and %d buckets, want one bucket more than bounds", len(p.ExplicitBounds), n)
		}
		one := metricdata.HistogramDataPoint[float64]{Attributes: attrs, Count: uint64(p.Count), Sum: float64(p.Sum), BucketCounts: counts(p.BucketCounts)}
		for _, b := range p.ExplicitBounds {
			one.Bounds = append(one.Bounds, float64(b))
		}
		h.DataPoints = append(h.DataPoints, one)
	})
	return h, err
}

func (d *data) exponential() metricdata.ExponentialHistogram[float64] {
	h := metricdata.ExponentialHistogram[float64]{Temporality: metricdata.Temporality(d.Temporality)}
	d.recorded(func(p *point, attrs attribute.Set) {
		h.DataPoints = append(h.DataPoints, metricdata.ExponentialHistogramDataPoint[float64]{
			Attributes: attrs, Count: uint64(p.Count), Sum: float64(p.Sum), Scale: p.Scale,
			ZeroCount: uint64(p.ZeroCount), ZeroThreshold: float64(p.ZeroThreshold),
			PositiveBucket: p.Positive.bucket(), NegativeBucket: p.Negative.bucket(),
		})
	})
	return h
}

func (b expoBuckets) bucket() metricdata.ExponentialBucket {
	return metricdata.ExponentialBucket{Offset: b.Offset, Counts: counts(b.BucketCounts)}
}

func counts(in []integer) []uint64 {
	out := make([]uint64, len(in))
	for i, n := range in {
		out[i] = uint64(n)
	}
	return out
}

func attributes(in []keyValue) attribute.Set {
	kvs := make([]attribute.KeyValue, 0, len(in))
	for _, kv := range in {
		kvs = append(kvs, attribute.KeyValue{Key: attribute.Key(kv.Key), Value: kv.Value.value()})
	}
	return attribute.NewSet(kvs...)
}

// value keeps the kind of plain values. Lists become texts: rules compare values as text anyway.
func (v anyValue) value() attribute.Value {
	switch {
	case v.String != nil:
		return attribute.StringValue(*v.String)
	case v.Bool != nil:
		return attribute.BoolValue(*v.Bool)
	case v.Int != nil:
		return attribute.Int64Value(int64(*v.Int))
	case v.Double != nil:
		return attribute.Float64Value(float64(*v.Double))
	case v.Array != nil:
		var texts []string
		for _, one := range v.Array.Values {
			texts = append(texts, one.value().String())
		}
		return attribute.StringSliceValue(texts)
	default:
		return attribute.StringValue("")
	}
}
