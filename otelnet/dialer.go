package otelnet

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Dialer dials as a net.Dialer does, and counts every connection it makes, how long its parts took, and how it failed.
// It is safe for concurrent use. The connections it returns are those of [NewListener].
type Dialer struct {
	inner net.Dialer
	scope *scope
	attrs attribute.Set
	name  string // of all targets, "" for each its own
	limit int
	mode  counting

	tlsConfig *tls.Config // of DialTLSContext, nil for an empty one

	dials    optionCache[dialKey]
	connects optionCache[connectKey]
	lookups  optionCache[lookupKey]
}

type dialKey struct {
	target target
	kind   connKind
	err    errorClass
}

type lookupKey struct {
	name string
	err  errorClass
}

type connectKey struct {
	kind connKind
	err  errorClass
}

// NewDialer returns a Dialer that dials with a copy of inner; nil means the zero net.Dialer. The error tells of options
// with bad values.
func NewDialer(inner *net.Dialer, opts ...DialerOption) (*Dialer, error) {
	c := newConfig()
	for _, o := range opts {
		if o != nil {
			o.applyDialer(&c)
		}
	}
	if err := c.err("NewDialer"); err != nil {
		return nil, err
	}
	return newDialer(inner, c), nil
}

func newDialer(inner *net.Dialer, c config) *Dialer {
	d := &Dialer{
		scope: scopeFor(c.meterProvider),
		attrs: attribute.NewSet(c.attrs...),
		name:  c.name,
		limit: c.targetLimit,

		tlsConfig: c.tlsConfig,
	}
	if inner != nil {
		d.inner = *inner
	}
	d.dials.build = func(k dialKey) []attribute.KeyValue {
		attrs := withServer(d.attrs.ToSlice(), k.target.host, k.target.port)
		return withErrorType(k.kind.appendNetworkType(attrs), k.err.String())
	}
	d.connects.build = func(k connectKey) []attribute.KeyValue {
		return withErrorType(k.kind.appendNetworkType(d.attrs.ToSlice()), k.err.String())
	}
	d.lookups.build = func(k lookupKey) []attribute.KeyValue {
		return withErrorType([]attribute.KeyValue{semconv.DNSQuestionName(k.name)}, k.err.String())
	}
	return d
}

// Dial is DialContext with context.Background.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext is that of net.Dialer. Errors come back unchanged. Hooks of a ClientTrace that ctx carries are called as
// before.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if ctx == nil {
		return d.inner.DialContext(ctx, network, address)
	}
	t := d.scope.admit(parseTarget(network, address), d.limit)
	start := time.Now()
	conn, err := d.inner.DialContext(d.traced(ctx, t), network, address)
	took := time.Since(start)

	key := dialKey{target: t, err: classify(err)}
	if err == nil {
		key.kind = kindOf(conn.RemoteAddr())
	}
	d.scope.ins.dialDuration.Record(ctx, took.Seconds(), d.dials.get(key).record...)
	if err != nil {
		return conn, err
	}
	wrapped := wrapConn(conn, d.endpoint(t), d.mode, nil)
	if tr, ok := wrapped.(tracked); ok && callOf(ctx) != nil {
		tr.connStats().carryHTTP()
	}
	return wrapped, nil
}

func (d *Dialer) endpoint(t target) *endpoint {
	name := d.name
	if name == "" {
		name = t.String()
	}
	return d.scope.endpoint(endpointKey{side: SideClient, name: name, target: t}, d.attrs)
}

// parseTarget splits what was asked for into host and port, before any name was looked up.
func parseTarget(network, address string) target {
	switch network {
	case "unix", "unixgram", "unixpacket":
		return target{host: address}
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return target{host: address}
	}
	if host == "" {
		host = "localhost" // what package net dials then
	}
	port, err := net.LookupPort(network, service)
	if err != nil {
		return target{host: host}
	}
	return target{host: host, port: port}
}

// String returns host:port, or the host alone where there is no port.
func (t target) String() string {
	if t.port == noPort {
		return t.host
	}
	return net.JoinHostPort(t.host, strconv.Itoa(t.port))
}

// kindOfText is kindOf for an address that is still text.
func kindOfText(network, address string) connKind {
	switch network {
	case "unix", "unixgram", "unixpacket":
		return kindUnix
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return kindOther
	}
	if ap.Addr().Unmap().Is4() {
		return kindTCP4
	}
	return kindTCP6
}
