package histogram

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
)

// bound is a Histogram bound to one set of attributes.
type bound struct {
	embedded.Float64Histogram

	of     *Histogram
	attrs  attribute.Set
	series atomic.Pointer[series] // nil before the first record: only what is recorded takes a place under the limit
}

// Bind returns the instrument with attributes that every record has. Such a record costs some 30 ns.
func (h *Histogram) Bind(attrs ...attribute.KeyValue) metric.Float64Histogram {
	// NewSet sorts what it is given.
	return &bound{of: h, attrs: attribute.NewSet(append([]attribute.KeyValue(nil), attrs...)...)}
}

// Enabled is always true.
func (b *bound) Enabled(context.Context) bool { return true }

// Record adds a value. Options add attributes, which makes it as slow as a record of the Histogram itself.
func (b *bound) Record(ctx context.Context, value float64, opts ...metric.RecordOption) {
	if len(opts) > 0 {
		c := metric.NewRecordConfig(opts)
		more := c.Attributes()
		set := attribute.NewSet(append(b.attrs.ToSlice(), more.ToSlice()...)...)
		b.of.of(&set).record(ctx, value)
		return
	}
	s := b.series.Load()
	if s == nil {
		s = b.of.of(&b.attrs)
		b.series.Store(s)
	}
	s.record(ctx, value)
}
