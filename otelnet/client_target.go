package otelnet

import (
	"net"
	"strconv"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// keyReused tells whether a connection had carried a request before.
const keyReused = attribute.Key("otelnet.reused")

// clientTarget is what the requests to one host have in common.
type clientTarget struct {
	target
	active  *activeRequests
	options optionCache[clientKey]
	bodies  optionCache[bodyKey]
}

// clientKey is what the attributes of a request depend on beside its target.
type clientKey struct {
	status int // 0 if no response came
	err    errorClass
	method method
	https  bool
	major  uint8
	minor  uint8
}

func (k clientKey) attributes(constant []attribute.KeyValue) []attribute.KeyValue {
	scheme := schemeHTTP
	if k.https {
		scheme = schemeHTTPS
	}
	attrs := join(constant, semconv.HTTPRequestMethodKey.String(k.method.String()), semconv.URLScheme(scheme.String()))
	if k.status != 0 {
		attrs = append(attrs,
			semconv.HTTPResponseStatusCode(k.status),
			semconv.NetworkProtocolName("http"),
			semconv.NetworkProtocolVersion(protocolVersion(k.major, k.minor)))
	}
	if k.err == errNone && k.status >= 400 {
		return withErrorType(attrs, strconv.Itoa(k.status))
	}
	return withErrorType(attrs, k.err.String())
}

// bodyKey is the same for the end of a response's body. It has fewer attributes: each one costs every request some 30 ns.
type bodyKey struct {
	method method
	err    errorClass
}

func (k bodyKey) attributes(constant []attribute.KeyValue) []attribute.KeyValue {
	return withErrorType(join(constant, semconv.HTTPRequestMethodKey.String(k.method.String())), k.err.String())
}

func (t *Transport) newTarget(admitted target) *clientTarget {
	attrs := withServer(join(t.attrs), admitted.host, admitted.port)
	ct := &clientTarget{target: admitted, active: t.scope.activeRequests(SideClient, attrs)}
	ct.options.build = func(k clientKey) []attribute.KeyValue { return k.attributes(attrs) }
	ct.options.bind, ct.bodies.bind = t.scope.ins.httpClientDuration, t.scope.ins.clientResponseDuration
	ct.bodies.build = func(k bodyKey) []attribute.KeyValue { return k.attributes(attrs) }
	return ct
}

// hostKey is the part of a URL that names the host, as it is written there.
type hostKey struct {
	https bool
	host  string
}

// connUses counts the connections that requests to one target were given.
type connUses struct {
	fresh, reused, resent             atomic.Int64
	freshOpts, reusedOpts, resentOpts []metric.ObserveOption
}

func newConnUses(attrs []attribute.KeyValue) *connUses {
	return &connUses{
		freshOpts:  newOptionSet(join(attrs, keyReused.Bool(false))...).observe,
		reusedOpts: newOptionSet(join(attrs, keyReused.Bool(true))...).observe,
		resentOpts: newOptionSet(attrs...).observe,
	}
}

func (u *connUses) note(reused bool) {
	if reused {
		u.reused.Add(1)
	} else {
		u.fresh.Add(1)
	}
}

// observe shows nothing before the first use, as a transport that is not net/http's tells of none.
func (u *connUses) observe(o metric.Observer, ins *instruments) {
	fresh, reused := u.fresh.Load(), u.reused.Load()
	if fresh+reused == 0 {
		return
	}
	o.ObserveInt64(ins.clientConnUses, fresh, u.freshOpts...)
	o.ObserveInt64(ins.clientConnUses, reused, u.reusedOpts...)
	o.ObserveInt64(ins.clientResends, u.resent.Load(), u.resentOpts...)
}

// target finds or makes the target of a host. Those over the limit share one.
func (t *Transport) target(https bool, host string) *clientTarget {
	key := hostKey{https: https, host: host}
	known := t.targets.Load()
	if known != nil {
		if ct, ok := (*known)[key]; ok {
			return ct
		}
	}

	admitted := t.scope.admit(splitHost(https, host), t.limit)
	if admitted.host == other {
		key = hostKey{host: other}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[hostKey]*clientTarget{}
	if known = t.targets.Load(); known != nil {
		if ct, ok := (*known)[key]; ok {
			return ct
		}
		for k, v := range *known {
			next[k] = v
		}
	}
	ct := t.newTarget(admitted)
	if len(next) >= maxOptionSets {
		return ct // one host can be written in many ways
	}
	next[key] = ct
	t.targets.Store(&next)
	return ct
}

// splitHost splits a URL's host and adds the scheme's port if it has none.
func splitHost(https bool, hostport string) target {
	t := target{host: hostport, port: 80}
	if https {
		t.port = 443
	}
	if host, port, err := net.SplitHostPort(hostport); err == nil {
		t.host = host
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
			t.port = int(n)
		}
	}
	t.host = strings.ToLower(strings.Trim(t.host, "[]"))
	return t
}
