package runtimemetrics

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Option configures [Start].
type Option interface {
	apply(*config)
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	provider metric.MeterProvider
	details  bool
	root     string // of the file system; tests play other machines with it
}

func newConfig(opts []Option) config {
	c := config{root: "/"}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	if c.provider == nil {
		c.provider = otel.GetMeterProvider()
	}
	return c
}

// WithMeterProvider reports to provider. Nil, and leaving the option out, mean the global one.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.provider = provider })
}

// WithDetails splits go.memory.used by go.memory.detailed_type and go.cpu.time by go.cpu.detailed_state, the opt-in
// attributes of the registry. Their values are the classes of the running Go version below /memory/classes/ and
// /cpu/classes/, such as "heap/objects" or "gc/mark/assist": 11 and 8 of them in Go 1.26. The sums stay the same.
func WithDetails() Option {
	return optionFunc(func(c *config) { c.details = true })
}
