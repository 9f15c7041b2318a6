package otelnet

import (
	"net/http"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// method is an HTTP method of the closed set; a stranger may send any word.
type method uint8

const (
	methodOther method = iota
	methodGet
	methodHead
	methodPost
	methodPut
	methodDelete
	methodConnect
	methodOptions
	methodTrace
	methodPatch
	methodQuery
	numMethods
)

var methodNames = [numMethods]string{
	other, http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodConnect,
	http.MethodOptions, http.MethodTrace, http.MethodPatch, "QUERY",
}

func (m method) String() string { return methodNames[m] }

// methodOf sorts a method as it stands in a request. A client's empty one means GET.
func methodOf(name string) method {
	if name == "" {
		return methodGet
	}
	for m := methodGet; m < numMethods; m++ {
		if methodNames[m] == name {
			return m
		}
	}
	return methodOther
}

// activeRequests counts the requests under way that differ in nothing but the method. It is read at collect, so that a
// request touches no instrument.
type activeRequests struct {
	uses       *connUses // of a client's connections, nil for a server
	instrument metric.Int64ObservableUpDownCounter
	methods    [numMethods]activeCounter
}

// activeCounter is shown once it has counted anything.
type activeCounter struct {
	n    atomic.Int64
	seen atomic.Bool
	opts []metric.ObserveOption
	_    [24]byte // one to a cache line: all requests meet here
}

func (c *activeCounter) begin() {
	c.n.Add(1)
	if !c.seen.Load() {
		c.seen.Store(true)
	}
}

func (c *activeCounter) end() { c.n.Add(-1) }

type activeKey struct {
	side  Side
	attrs attribute.Distinct
}

// activeRequests returns the counters for a side and what its requests have in common.
func (s *scope) activeRequests(side Side, attrs []attribute.KeyValue) *activeRequests {
	set := attribute.NewSet(attrs...)
	key := activeKey{side: side, attrs: set.Equivalent()}

	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.active[key]; ok {
		return a
	}
	a := &activeRequests{instrument: s.ins.httpServerActive}
	if side == SideClient {
		a.instrument = s.ins.httpClientActive
		a.uses = newConnUses(attrs)
	}
	for m := range a.methods {
		a.methods[m].opts = newOptionSet(join(attrs, semconv.HTTPRequestMethodKey.String(method(m).String()))...).observe
	}
	s.active[key] = a
	s.activeList = append(s.activeList, a)
	return a
}

func (a *activeRequests) observe(o metric.Observer, ins *instruments) {
	if a.uses != nil {
		a.uses.observe(o, ins)
	}
	for m := range a.methods {
		if c := &a.methods[m]; c.seen.Load() {
			o.ObserveInt64(a.instrument, c.n.Load(), c.opts...)
		}
	}
}
