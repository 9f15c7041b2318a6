package otelnet

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// ListenerOption configures [Listen] and [NewListener].
type ListenerOption interface{ applyListener(*config) }

// DialerOption configures [NewDialer].
type DialerOption interface{ applyDialer(*config) }

// PacketConnOption configures [NewPacketConn].
type PacketConnOption interface{ applyPacketConn(*config) }

// HandlerOption configures [NewHandler].
type HandlerOption interface{ applyHandler(*config) }

// TransportOption configures [NewTransport].
type TransportOption interface{ applyTransport(*config) }

// Option is accepted by every constructor.
type Option interface {
	ListenerOption
	DialerOption
	PacketConnOption
	HandlerOption
	TransportOption
}

// NameOption is accepted by the constructors of what has a name of its own.
type NameOption interface {
	ListenerOption
	DialerOption
	PacketConnOption
}

// HTTPOption is accepted by [NewHandler] and [NewTransport].
type HTTPOption interface {
	HandlerOption
	TransportOption
}

// ClientOption is accepted by [NewDialer] and [NewTransport].
type ClientOption interface {
	DialerOption
	TransportOption
}

// config holds what the options of one constructor asked for. Which option may reach which constructor is settled by
// their types.
type config struct {
	meterProvider   metric.MeterProvider // nil: the global one
	tracerProvider  trace.TracerProvider // nil: the global one, once it is a real one
	name            string
	attrs           []attribute.KeyValue
	targetLimit     int
	tlsConfig       *tls.Config
	serverAddress   string
	serverPort      int
	bodySizes       bool
	profileLabels   bool
	otelHTTPMetrics bool
	otelHTTPOptions []otelhttp.Option
	errs            []error
}

// DefaultTargetLimit is how many different targets get attributes of their own before the rest become "_OTHER".
const DefaultTargetLimit = 100

func newConfig() config { return config{targetLimit: DefaultTargetLimit} }

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// err joins what the options complained about, each with the constructor's name before it.
func (c *config) err(constructor string) error {
	if len(c.errs) == 0 {
		return nil
	}
	return fmt.Errorf("otelnet: %s: %w", constructor, errors.Join(c.errs...))
}

type optionFunc func(*config)

func (f optionFunc) applyListener(c *config)   { f(c) }
func (f optionFunc) applyDialer(c *config)     { f(c) }
func (f optionFunc) applyPacketConn(c *config) { f(c) }
func (f optionFunc) applyHandler(c *config)    { f(c) }
func (f optionFunc) applyTransport(c *config)  { f(c) }

// WithMeterProvider sets where the metrics go. Without it, or with nil, they go to the global provider, also when that
// is set later with otel.SetMeterProvider.
func WithMeterProvider(mp metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider = mp })
}

// WithTracerProvider puts otelhttp on the path of each request, which makes its span and carries the trace context.
// Without it, or with nil, that is so from the moment the global tracer provider has been set; as long as it has not,
// otelhttp costs nothing.
func WithTracerProvider(tp trace.TracerProvider) HTTPOption {
	return optionFunc(func(c *config) { c.tracerProvider = tp })
}

// WithName names the listener (the attribute otelnet.listener) or the target (otelnet.target) in metrics and in the
// table. Without it a listener is named by its address, and each target dialled by its own. The name must not be empty
// or longer than 255 bytes, and must be valid UTF-8.
func WithName(name string) NameOption {
	return optionFunc(func(c *config) {
		switch {
		case strings.TrimSpace(name) == "":
			c.fail("WithName: the name is empty")
		case len(name) > 255:
			c.fail("WithName: the name has %d bytes, at most 255 are allowed", len(name))
		case !utf8.ValidString(name):
			c.fail("WithName: %q is not valid UTF-8", name)
		default:
			c.name = name
		}
	})
}

// WithAttributes adds attributes to every metric of this listener, dialer, handler or transport, except to
// dns.lookup.duration. Their values must come from a small set; each new combination is a series of its own.
func WithAttributes(attrs ...attribute.KeyValue) Option {
	return optionFunc(func(c *config) {
		for _, kv := range attrs {
			if !kv.Valid() {
				c.fail("WithAttributes: attribute %q has no key or no value", kv.Key)
				return
			}
		}
		c.attrs = append(c.attrs, attrs...)
	})
}

// WithTargetLimit sets how many different targets (server.address and server.port, dns.question.name) get attributes of
// their own; those after them share "_OTHER". It must be at least 0; the default is [DefaultTargetLimit]. The targets of one
// MeterProvider are counted together.
func WithTargetLimit(n int) ClientOption {
	return optionFunc(func(c *config) {
		if n < 0 {
			c.fail("WithTargetLimit: %d is negative", n)
			return
		}
		c.targetLimit = n
	})
}

// WithServerAddress sets the attributes server.address and server.port of the server's request metrics. They are left
// out by default, because the only other source is the Host header, which any stranger can fill. Port 0 leaves out
// server.port.
func WithServerAddress(host string, port int) HandlerOption {
	return optionFunc(func(c *config) {
		if host == "" || port < 0 || port > 65535 {
			c.fail("WithServerAddress: %q, %d: want a host and a port from 0 to 65535", host, port)
			return
		}
		c.serverAddress, c.serverPort = host, port
	})
}

// WithBodySizes also records http.server.request.body.size and http.server.response.body.size. It costs two more
// records and a copy of the request for each request.
func WithBodySizes() HandlerOption {
	return optionFunc(func(c *config) { c.bodySizes = true })
}

// WithOTelHTTPMetrics leaves the recording of durations and body sizes to otelhttp, for a team that must keep its
// series exactly as they are. otelnet then records only what otelhttp lacks. Server addresses and ports then come from
// the Host header, with no limit but the SDK's.
func WithOTelHTTPMetrics() HTTPOption {
	return optionFunc(func(c *config) { c.otelHTTPMetrics = true })
}

// report hands trouble of a constructor that has no error to return to OpenTelemetry's error handler.
func report(err error) {
	if err != nil {
		otel.Handle(err)
	}
}
