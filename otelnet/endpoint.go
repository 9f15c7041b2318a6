package otelnet

import (
	"net"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// endpoint is a listener, or a target that is dialled: what its connections have in common.
type endpoint struct {
	scope *scope
	key   endpointKey
	attrs []attribute.KeyValue // what every metric of its connections carries
	io    *ioTotals
	errs  optionCache[errorClass]                 // of otelnet.connection.errors
	kinds [numConnKinds]atomic.Pointer[connGroup] // by transport and address family, made at first use

	queues     listenQueues // of a listener
	handshakes optionCache[handshakeKey]
	http       atomic.Pointer[httpConns] // dialled endpoints that carry HTTP only, made at first use
}

type endpointKey struct {
	side   Side
	name   string // of the listener or target, as it shows in the table
	target target // dialled endpoints only
	attrs  attribute.Distinct
}

func newEndpoint(s *scope, key endpointKey, extra attribute.Set, io *ioTotals) *endpoint {
	ep := &endpoint{scope: s, key: key, io: io}
	ep.errs.build = func(class errorClass) []attribute.KeyValue {
		return withErrorType(join(extra.ToSlice(), keySide.String(string(key.side))), class.String())
	}
	switch key.side {
	case SideServer:
		ep.attrs = join(extra.ToSlice(), keyListener.String(key.name))
	case SideClient:
		ep.attrs = withServer(join(extra.ToSlice()), key.target.host, key.target.port)
	}
	ep.handshakes.build = func(k handshakeKey) []attribute.KeyValue { return k.attributes(ep.attrs) }
	return ep
}

func (ep *endpoint) observe(o metric.Observer) {
	active, opened := ep.scope.ins.serverActive, ep.scope.ins.serverConnections
	if ep.key.side == SideClient {
		active, opened = ep.scope.ins.clientActive, ep.scope.ins.clientConnections
	}
	ep.queues.observe(o, ep.scope.ins)
	for i := range ep.kinds {
		if g := ep.kinds[i].Load(); g != nil {
			o.ObserveInt64(active, g.active.Load(), g.opts.observe...)
			o.ObserveInt64(opened, g.opened.Load(), g.opts.observe...)
			if ep.key.side == SideServer {
				o.ObserveInt64(ep.scope.ins.serverUpgraded, max(0, g.upgraded.Load()), g.opts.observe...)
			}
		}
	}
	if h := ep.http.Load(); h != nil {
		h.observe(o, ep.scope.ins.httpClientOpenConns)
	}
}

// ioTotals are the bytes of all connections with one otelnet.listener or otelnet.target, closed ones included.
type ioTotals struct {
	sent, received         atomic.Uint64
	sentOpts, receivedOpts []metric.ObserveOption
	kernel                 kernelTotals
}

type totalsKey struct {
	side  Side
	name  string
	attrs attribute.Distinct
}

func newIOTotals(key totalsKey, extra attribute.Set) *ioTotals {
	named := keyListener
	if key.side == SideClient {
		named = keyTarget
	}
	attrs := join(extra.ToSlice(), keySide.String(string(key.side)), named.String(key.name))
	return &ioTotals{
		kernel:       kernelTotals{opts: newOptionSet(attrs...)},
		sentOpts:     newOptionSet(join(attrs, semconv.NetworkIODirectionTransmit)...).observe,
		receivedOpts: newOptionSet(join(attrs, semconv.NetworkIODirectionReceive)...).observe,
	}
}

// connGroup counts the connections of an endpoint that share a transport and an address family.
type connGroup struct {
	active, opened atomic.Int64
	upgraded       atomic.Int64 // servers only
	opts           *optionSet
	attrs          []attribute.KeyValue
	closes         optionCache[closeKey]
}

// closeKey is what a connection's end adds to the attributes of its group.
type closeKey struct {
	reason     closeReason
	err        errorClass
	tlsVersion uint16
}

// group returns the counters for kind.
func (ep *endpoint) group(kind connKind) *connGroup {
	if g := ep.kinds[kind].Load(); g != nil {
		return g
	}
	g := &connGroup{attrs: kind.appendAttrs(join(ep.attrs))}
	g.opts = newOptionSet(g.attrs...)
	g.closes.build = func(k closeKey) []attribute.KeyValue {
		attrs := withErrorType(join(g.attrs, keyCloseReason.String(k.reason.String())), k.err.String())
		if v := tlsVersionName(k.tlsVersion); v != "" {
			attrs = append(attrs, semconv.TLSProtocolVersion(v))
		}
		return attrs
	}
	if ep.kinds[kind].CompareAndSwap(nil, g) {
		return g
	}
	return ep.kinds[kind].Load()
}

// connKind is the pair of network.transport and network.type.
type connKind uint8

const (
	kindOther connKind = iota
	kindTCP4
	kindTCP6
	kindUDP4
	kindUDP6
	kindTCP // of a family that is not known
	kindUnix
	kindPipe
	numConnKinds
)

// kindOf tells the kind of a connection by one of its addresses.
func kindOf(addr net.Addr) connKind {
	switch a := addr.(type) {
	case *net.TCPAddr:
		if a != nil && a.IP.To4() != nil {
			return kindTCP4
		}
		return kindTCP6
	case *net.UDPAddr:
		if a != nil && a.IP.To4() != nil {
			return kindUDP4
		}
		return kindUDP6
	case *net.UnixAddr:
		return kindUnix
	case nil:
		return kindOther
	}
	if addr.Network() == "pipe" {
		return kindPipe
	}
	return kindOther
}

// kindAt tells the kind of what a listener with this address accepts. One for all addresses takes both families.
func kindAt(addr net.Addr) connKind {
	if a, ok := addr.(*net.TCPAddr); ok && a != nil && a.IP.IsUnspecified() && a.IP.To4() == nil {
		return kindTCP
	}
	return kindOf(addr)
}

// transport is the value of network.transport.
func (k connKind) transport() string {
	switch k {
	case kindTCP4, kindTCP6, kindTCP:
		return semconv.NetworkTransportTCP.Value.AsString()
	case kindUDP4, kindUDP6:
		return semconv.NetworkTransportUDP.Value.AsString()
	case kindUnix:
		return semconv.NetworkTransportUnix.Value.AsString()
	case kindPipe:
		return semconv.NetworkTransportPipe.Value.AsString()
	default:
		return other
	}
}

// appendAttrs appends network.transport and network.type.
func (k connKind) appendAttrs(attrs []attribute.KeyValue) []attribute.KeyValue {
	return k.appendNetworkType(append(attrs, semconv.NetworkTransportKey.String(k.transport())))
}

// appendNetworkType appends network.type, unless it is not known.
func (k connKind) appendNetworkType(attrs []attribute.KeyValue) []attribute.KeyValue {
	switch k {
	case kindTCP4, kindUDP4:
		return append(attrs, semconv.NetworkTypeIPv4)
	case kindTCP6, kindUDP6:
		return append(attrs, semconv.NetworkTypeIPv6)
	default:
		return attrs
	}
}
