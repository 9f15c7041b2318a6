package runtimemetrics

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Option configures [Start].
type Option interface {
	applyStart(*config)
}

// ProducerOption configures [NewProducer].
type ProducerOption interface {
	applyProducer(*config)
}

// CommonOption configures both.
type CommonOption interface {
	Option
	ProducerOption
}

type startOption func(*config)

func (f startOption) applyStart(c *config) { f(c) }

type producerOption func(*config)

func (f producerOption) applyProducer(c *config) { f(c) }

type commonOption func(*config)

func (f commonOption) applyStart(c *config)    { f(c) }
func (f commonOption) applyProducer(c *config) { f(c) }

type config struct {
	provider       metric.MeterProvider
	details        bool
	withoutProcess bool
	all            bool      // what Start reports, by the producer
	producer       *Producer // which reports in place of Start
	root           string    // of the file system; tests play other machines with it
}

func newConfig(opts []Option) config {
	c := config{root: "/"}
	for _, o := range opts {
		if o != nil {
			o.applyStart(&c)
		}
	}
	if c.provider == nil {
		c.provider = otel.GetMeterProvider()
	}
	return c
}

func newProducerConfig(opts []ProducerOption) config {
	c := config{root: "/"}
	for _, o := range opts {
		if o != nil {
			o.applyProducer(&c)
		}
	}
	return c
}

// WithMeterProvider reports to provider. Nil, and leaving the option out, mean the global one.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return startOption(func(c *config) { c.provider = provider })
}

// WithDetails splits go.memory.used by go.memory.detailed_type and go.cpu.time by go.cpu.detailed_state, the opt-in
// attributes of the registry. Their values are the classes of the running Go version below /memory/classes/ and
// /cpu/classes/, such as "heap/objects" or "gc/mark/assist": 11 and 8 of them in Go 1.26. The sums stay the same.
func WithDetails() CommonOption {
	return commonOption(func(c *config) { c.details = true })
}

// WithoutProcess leaves the process and its container out, and with them the system calls: for those who have these
// numbers from somewhere else, such as the kubelet.
func WithoutProcess() CommonOption {
	return commonOption(func(c *config) { c.withoutProcess = true })
}

// WithProducer tells [Start] that p, made [WithAll] and given to every reader of the provider, already reports all that
// Start would. Start then registers nothing. What it does is to refuse, as ever, a second Start on the same provider,
// which would report everything twice; and Stop ends what p gives, but for the histograms. Nil means no producer; one
// without WithAll is an error. Other options have no effect beside it, but for [WithMeterProvider].
func WithProducer(p *Producer) Option {
	return startOption(func(c *config) { c.producer = p })
}

// WithAll makes the [Producer] give everything in the package comment. It takes the place of [Start], which must be left
// out for the same reader or be told by [WithProducer], or each metric comes twice. The SDK is then not asked to make points, which costs more than
// all readings together; its views do not see the metrics either.
func WithAll() ProducerOption {
	return producerOption(func(c *config) { c.all = true })
}
