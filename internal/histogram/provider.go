// Package histogram records explicit-bucket histograms in place of the OpenTelemetry SDK's own, for instruments that
// are recorded for each request of a service.
//
// The SDK resolves the attributes of each record anew: it goes over all of them by reflection, which for the six of a
// request is most of what a record costs. Its API has no way around that; binding attributes to an instrument
// beforehand is proposed (go.opentelemetry.io/otel/metric/x, the Binder interfaces), and not implemented. A [Provider]
// here is the SDK's, but for the histograms of one scope: they implement that interface, and a reader gets them by an
// sdk/metric Producer. What the reader gives is the same, point by point, as a test has it: bounds by advice or by a
// View, names changed by a View, extremes, exemplars, the cardinality limit, the start time.
//
// Whatever else is asked of a histogram (another aggregation, two views, a filter of attributes) is left to the SDK. So
// must be a provider with two readers, or one whose histograms are of delta temporality.
package histogram

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Config is what the SDK is told too.
type Config struct {
	Scope       string                        // name of the scope whose histograms are recorded here
	Views       []sdkmetric.View              // all of the provider's
	Limit       int                           // of the series of one instrument; 0 or less for none
	Exemplars   exemplar.Filter               // nil for none at all
	Aggregation sdkmetric.AggregationSelector // of the reader; nil for the default
}

// Histograms are those of one reader. It is a Producer: give it to the reader, and the reader's provider to
// [Histograms.Provider].
type Histograms struct {
	cfg Config

	mu     sync.Mutex
	meters map[instrumentation.Scope]*meter
	order  []*meter
}

// New returns a Histograms without any instrument.
func New(cfg Config) *Histograms {
	return &Histograms{cfg: cfg, meters: map[instrumentation.Scope]*meter{}}
}

// Produce returns what has been recorded, as one cumulative snapshot that is the caller's. It is called by a reader.
func (h *Histograms) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	h.mu.Lock()
	meters := h.order
	h.mu.Unlock()
	var all []metricdata.ScopeMetrics
	now := time.Now()
	for _, m := range meters {
		if metrics := m.snapshot(now); len(metrics) > 0 {
			all = append(all, metricdata.ScopeMetrics{Scope: m.scope, Metrics: metrics})
		}
	}
	return all, nil
}

// Provider returns inner with the histograms of one scope recorded in h.
func (h *Histograms) Provider(inner *sdkmetric.MeterProvider) *Provider {
	return &Provider{MeterProvider: inner, histograms: h}
}

// Provider is the SDK's MeterProvider but for some histograms.
type Provider struct {
	*sdkmetric.MeterProvider
	histograms *Histograms
}

// Meter returns the SDK's Meter, or for the scope of [Config] one that makes histograms of this package.
func (p *Provider) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	inner := p.MeterProvider.Meter(name, opts...)
	h := p.histograms
	if name != h.cfg.Scope {
		return inner
	}
	cfg := metric.NewMeterConfig(opts...)
	scope := instrumentation.Scope{
		Name:       name,
		Version:    cfg.InstrumentationVersion(),
		SchemaURL:  cfg.SchemaURL(),
		Attributes: cfg.InstrumentationAttributes(),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, ok := h.meters[scope]; ok {
		return m
	}
	m := &meter{Meter: inner, cfg: &h.cfg, scope: scope, made: map[string]*Histogram{}}
	h.meters[scope] = m
	h.order = append(h.order, m)
	return m
}
