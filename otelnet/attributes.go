package otelnet

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Attribute keys of our own. The others come from the semantic conventions.
const (
	keyListener    = attribute.Key("otelnet.listener")
	keyTarget      = attribute.Key("otelnet.target")
	keySide        = attribute.Key("otelnet.side")
	keyCloseReason = attribute.Key("otelnet.close_reason")
)

// other stands for every value outside a closed set.
const other = "_OTHER"

// noPort is what an optional port attribute is when there is none.
const noPort = 0

// withServer appends server.address and, if there is a port, server.port.
func withServer(attrs []attribute.KeyValue, address string, port int) []attribute.KeyValue {
	attrs = append(attrs, semconv.ServerAddress(address))
	if port != noPort {
		attrs = append(attrs, semconv.ServerPort(port))
	}
	return attrs
}

// withErrorType appends error.type unless there was no error.
func withErrorType(attrs []attribute.KeyValue, errorType string) []attribute.KeyValue {
	if errorType == "" {
		return attrs
	}
	return append(attrs, semconv.ErrorTypeKey.String(errorType))
}

// tlsVersions has tls.protocol.version for each of Go's version numbers.
func tlsVersionName(version uint16) string {
	switch version {
	case 0x0301:
		return "1.0"
	case 0x0302:
		return "1.1"
	case 0x0303:
		return "1.2"
	case 0x0304:
		return "1.3"
	default:
		return ""
	}
}

// optionSet is one attribute set in the three forms that recording asks for, made once.
type optionSet struct {
	record  []metric.RecordOption
	add     []metric.AddOption
	observe []metric.ObserveOption
}

// keyedSet is an option set in a cache, with its key: its strings are kept alive once instead of for each request.
type keyedSet[K comparable] struct {
	*optionSet
	key   K
	bound metric.Float64Histogram // nil if the cache's histogram is none that can be bound
}

// recordIn records in the histogram of the cache.
func (s *keyedSet[K]) recordIn(ctx context.Context, h metric.Float64Histogram, value float64) {
	if s.bound != nil {
		s.bound.Record(ctx, value)
		return
	}
	h.Record(ctx, value, s.record...)
}

// binder is a histogram that can be bound to attributes once, so that a record need not resolve them: an interface of
// go.opentelemetry.io/otel/metric/x. The agent's provider has such histograms; the SDK does not, so far.
type binder interface {
	Bind(...attribute.KeyValue) metric.Float64Histogram
}

func newOptionSet(attrs ...attribute.KeyValue) *optionSet {
	// WithAttributeSet keeps the set as it is; a slice passed later with "..." costs no allocation.
	o := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return &optionSet{
		record:  []metric.RecordOption{o},
		add:     []metric.AddOption{o},
		observe: []metric.ObserveOption{o},
	}
}

// maxOptionSets bounds one cache. The SDK keeps 2,000 series a stream by default, so more would only be held in vain.
const maxOptionSets = 2000

// optionCache makes the option set of a key the first time and finds it again without a lock or an allocation. The
// keys come from closed sets, so it is written a few times in the life of a service.
type optionCache[K comparable] struct {
	build func(K) []attribute.KeyValue
	bind  metric.Float64Histogram // what is mostly recorded with the sets, nil for none

	sets atomic.Pointer[map[K]*keyedSet[K]]
	mu   sync.Mutex // serialises writers
}

func (c *optionCache[K]) get(key K) *keyedSet[K] {
	if m := c.sets.Load(); m != nil {
		if set, ok := (*m)[key]; ok {
			return set
		}
	}
	return c.add(key)
}

func (c *optionCache[K]) add(key K) *keyedSet[K] {
	attrs := c.build(key)
	set := &keyedSet[K]{optionSet: newOptionSet(attrs...), key: key}
	if b, ok := c.bind.(binder); ok {
		set.bound = b.Bind(attrs...)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	old := map[K]*keyedSet[K]{}
	if m := c.sets.Load(); m != nil {
		old = *m
	}
	if found, ok := old[key]; ok {
		return found
	}
	if len(old) >= maxOptionSets {
		return set
	}
	next := make(map[K]*keyedSet[K], len(old)+1)
	for k, v := range old {
		next[k] = v
	}
	next[key] = set
	c.sets.Store(&next)
	return set
}

// join returns a and b in a slice of its own.
func join(a []attribute.KeyValue, b ...attribute.KeyValue) []attribute.KeyValue {
	return append(slices.Clip(slices.Clone(a)), b...)
}
