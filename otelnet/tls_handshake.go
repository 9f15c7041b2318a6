package otelnet

import (
	"context"
	"crypto/tls"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// handshakeKey is everything that the attributes of a handshake depend on.
type handshakeKey struct {
	version uint16
	resumed bool
	err     errorClass
}

// attributes leaves out what a handshake that failed has not come to.
func (k handshakeKey) attributes(constant []attribute.KeyValue) []attribute.KeyValue {
	attrs := join(constant)
	if v := tlsVersionName(k.version); v != "" {
		attrs = append(attrs, semconv.TLSProtocolVersion(v))
	}
	if k.err == errNone {
		attrs = append(attrs, semconv.TLSResumed(k.resumed))
	}
	return withErrorType(attrs, k.err.String())
}

// recordHandshake records a handshake of one of the endpoint's connections. state is the connection's after it.
func (ep *endpoint) recordHandshake(ctx context.Context, took time.Duration, state tls.ConnectionState, err error) {
	key := handshakeKey{version: state.Version, err: classify(err)}
	key.resumed = err == nil && state.DidResume
	duration := ep.scope.ins.serverHandshake
	if ep.key.side == SideClient {
		duration = ep.scope.ins.clientHandshake
	}
	duration.Record(ctx, took.Seconds(), ep.handshakes.get(key).record...)
}

// noteTLS keeps the version for the table and for the connection's duration.
func (s *ConnStats) noteTLS(state tls.ConnectionState) {
	s.tlsVersion.Store(uint32(state.Version))
}
