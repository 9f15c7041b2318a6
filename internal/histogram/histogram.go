package histogram

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Histogram is an instrument. It is safe for concurrent use.
type Histogram struct {
	embedded.Float64Histogram

	cfg                     *Config
	name, description, unit string
	start                   time.Time
	bounds                  []float64
	noMinMax                bool

	series sync.Map // attribute.Distinct to *series
	mu     sync.Mutex
	order  []*series // grows only, under mu
}

func newHistogram(cfg *Config, s sdkmetric.Stream, start time.Time) *Histogram {
	explicit := s.Aggregation.(sdkmetric.AggregationExplicitBucketHistogram)
	return &Histogram{
		cfg:         cfg,
		name:        s.Name,
		description: s.Description,
		unit:        s.Unit,
		start:       start,
		bounds:      slices.Clone(explicit.Boundaries),
		noMinMax:    explicit.NoMinMax,
	}
}

// Enabled is always true.
func (h *Histogram) Enabled(context.Context) bool { return true }

// Record adds a value to the series that the options name.
func (h *Histogram) Record(ctx context.Context, value float64, opts ...metric.RecordOption) {
	c := metric.NewRecordConfig(opts)
	attrs := c.Attributes()
	h.of(&attrs).record(ctx, value)
}

// overflow is what the SDK gives to the series that its limit turns away.
var overflow = attribute.NewSet(attribute.Bool("otel.metric.overflow", true))

// of finds or makes a series.
func (h *Histogram) of(attrs *attribute.Set) *series {
	if s, ok := h.series.Load(attrs.Equivalent()); ok {
		return s.(*series)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.series.Load(attrs.Equivalent()); ok {
		return s.(*series)
	}
	if limit := h.cfg.Limit; limit > 0 && len(h.order) >= limit-1 {
		// The last place is for everything else.
		attrs = &overflow
		if s, ok := h.series.Load(attrs.Equivalent()); ok {
			return s.(*series)
		}
	}
	s := newSeries(h, *attrs)
	h.series.Store(attrs.Equivalent(), s)
	h.order = append(h.order, s)
	return s
}

// snapshot adds up every series that has recorded anything.
func (h *Histogram) snapshot(now time.Time) metricdata.Histogram[float64] {
	h.mu.Lock()
	all := h.order
	h.mu.Unlock()
	data := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	data.DataPoints = make([]metricdata.HistogramDataPoint[float64], 0, len(all))
	buckets := len(h.bounds) + 1
	counts, bounds := make([]uint64, len(all)*buckets), slices.Clone(h.bounds)
	for _, s := range all {
		p := metricdata.HistogramDataPoint[float64]{
			Attributes: s.attrs, StartTime: h.start, Time: now,
			Bounds: bounds, BucketCounts: counts[:buckets:buckets],
		}
		if s.addTo(&p); p.Count > 0 {
			data.DataPoints = append(data.DataPoints, p)
			counts = counts[buckets:]
		}
	}
	return data
}
