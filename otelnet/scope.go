package otelnet

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/internal/guard"
)

// scope is everything that feeds one MeterProvider: its instruments, the endpoints that share them, and the one
// callback that reads the registry when a reader collects. Listeners and dialers with the same provider share it, so
// that each series has one source.
type scope struct {
	ins *instruments

	sweptAt, sampledAt atomic.Int64 // nanoseconds since processStart, 0 for never
	samples            samples      // of connections that have ended

	mu        sync.Mutex
	endpoints map[endpointKey]*endpoint
	totals    map[totalsKey]*ioTotals
	targets   map[target]struct{} // those that have attributes of their own
	active    map[activeKey]*activeRequests

	// The same as slices that only grow, so that a collect can walk what it found without holding mu.
	endpointList []*endpoint
	totalsList   []*ioTotals
	activeList   []*activeRequests
}

var scopes struct {
	sync.Mutex
	byProvider map[metric.MeterProvider]*scope
	// delegate is the scope of the provider that otel hands out until SetMeterProvider; that provider passes
	// everything on to the one that is set, so both must lead to this scope.
	delegate *scope
}

// unsetProvider is what the global provider is before anyone sets one.
var unsetProvider = otel.GetMeterProvider()

// scopeFor returns the scope of mp, nil meaning the global provider. Scopes are never dropped: a service has one or
// two, and the sums of a closed listener have to stay.
func scopeFor(mp metric.MeterProvider) *scope {
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	scopes.Lock()
	defer scopes.Unlock()

	if !reflect.TypeOf(mp).Comparable() {
		return newScope(mp)
	}
	if s, ok := scopes.byProvider[mp]; ok {
		return s
	}
	var s *scope
	if scopes.delegate != nil && mp != unsetProvider && mp == otel.GetMeterProvider() {
		s, scopes.delegate = scopes.delegate, nil
	} else {
		s = newScope(mp)
		if mp == unsetProvider {
			scopes.delegate = s
		}
	}
	if scopes.byProvider == nil {
		scopes.byProvider = make(map[metric.MeterProvider]*scope)
	}
	scopes.byProvider[mp] = s
	return s
}

func newScope(mp metric.MeterProvider) *scope {
	ins, err := newInstruments(mp)
	report(err)
	s := &scope{
		ins:       ins,
		endpoints: make(map[endpointKey]*endpoint),
		totals:    make(map[totalsKey]*ioTotals),
		targets:   make(map[target]struct{}),
		active:    make(map[activeKey]*activeRequests),
	}
	observed := append(ins.observables(),
		ins.serverActive, ins.serverConnections, ins.clientActive, ins.clientConnections, ins.io,
		ins.httpServerActive, ins.httpClientActive, ins.httpClientOpenConns, ins.clientConnUses, ins.clientResends,
		ins.serverUpgraded)
	_, err = ins.meter.RegisterCallback(guard.Callback("otelnet: collect", s.collect), observed...)
	report(err)
	return s
}

// collect is called by each reader of the provider. The sweep first brings the totals up to date; what closes
// meanwhile has folded its own bytes in, so a total never goes back and never counts a byte twice.
func (s *scope) collect(_ context.Context, o metric.Observer) error {
	sweep(s)

	s.mu.Lock()
	endpoints, totals, active := s.endpointList, s.totalsList, s.activeList
	s.mu.Unlock()

	for _, ep := range endpoints {
		ep.observe(o)
	}
	for _, t := range totals {
		o.ObserveInt64(s.ins.io, int64(t.sent.Load()), t.sentOpts...)
		o.ObserveInt64(s.ins.io, int64(t.received.Load()), t.receivedOpts...)
		t.observeKernel(o, s.ins)
	}
	for _, a := range active {
		a.observe(o, s.ins)
	}
	return nil
}

// target is one place that is dialled. The zero target stands for all those over the limit.
type target struct {
	host string
	port int
}

// admit returns t, or the target that stands for the rest once limit others are known.
func (s *scope) admit(t target, limit int) target {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.targets[t]; ok {
		return t
	}
	if len(s.targets) >= limit {
		return target{host: other}
	}
	s.targets[t] = struct{}{}
	return t
}

// endpoint returns the endpoint for key, made at first use.
func (s *scope) endpoint(key endpointKey, attrs attribute.Set) *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	key.attrs = attrs.Equivalent()
	if ep, ok := s.endpoints[key]; ok {
		return ep
	}
	tk := totalsKey{side: key.side, name: key.name, attrs: key.attrs}
	t, ok := s.totals[tk]
	if !ok {
		t = newIOTotals(tk, attrs)
		s.totals[tk] = t
		s.totalsList = append(s.totalsList, t)
	}
	ep := newEndpoint(s, key, attrs, t)
	s.endpoints[key] = ep
	s.endpointList = append(s.endpointList, ep)
	return ep
}
