package otelnet

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelnet/agent/internal/version"
)

// Names of the metrics. Those of the semantic conventions keep their names; our own begin with "otelnet.".
const (
	metricServerActive      = "otelnet.server.active_connections"
	metricServerConnections = "otelnet.server.connections"
	metricServerDuration    = "otelnet.server.connection.duration"
	metricAcceptErrors      = "otelnet.server.accept.errors"

	metricClientActive      = "otelnet.client.active_connections"
	metricClientConnections = "otelnet.client.connections"
	metricClientDuration    = "otelnet.client.connection.duration"
	metricDialDuration      = "otelnet.client.dial.duration"
	metricConnectDuration   = "otelnet.client.connect.duration"
	metricDNSDuration       = "dns.lookup.duration"

	metricIO         = "otelnet.connection.io"
	metricConnErrors = "otelnet.connection.errors"

	metricHTTPServerDuration     = "http.server.request.duration"
	metricHTTPServerActive       = "http.server.active_requests"
	metricHTTPServerRequestSize  = "http.server.request.body.size"
	metricHTTPServerResponseSize = "http.server.response.body.size"
	metricHTTPClientDuration     = "http.client.request.duration"
	metricHTTPClientActive       = "http.client.active_requests"
	metricHTTPClientOpenConns    = "http.client.open_connections"
	metricHTTPClientConnDuration = "http.client.connection.duration"

	metricServerFirstByte        = "otelnet.server.time_to_first_byte"
	metricServerUpgraded         = "otelnet.server.upgraded_connections"
	metricClientResponseDuration = "otelnet.client.response.duration"
	metricClientConnUses         = "otelnet.client.connection.uses"
	metricClientResends          = "otelnet.client.request.resends"
)

// Units, in UCUM.
const (
	unitSecond     = "s"
	unitByte       = "By"
	unitConnection = "{connection}"
	unitError      = "{error}"
	unitRequest    = "{request}"
)

// Bucket bounds. A connection lives far longer than a request, so its bounds reach an hour.
var (
	requestBounds    = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	connectBounds    = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	connectionBounds = []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}
	sizeBounds       = []float64{100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}
)

// instruments are everything that one MeterProvider is fed with.
type instruments struct {
	meter metric.Meter
	kernelInstruments

	serverDuration, clientDuration metric.Float64Histogram
	dialDuration, connectDuration  metric.Float64Histogram
	dnsDuration                    metric.Float64Histogram
	acceptErrors, connErrors       metric.Int64Counter
	httpServerDuration             metric.Float64Histogram
	httpClientDuration             metric.Float64Histogram
	httpServerRequestSize          metric.Int64Histogram
	httpServerResponseSize         metric.Int64Histogram
	httpClientConnDuration         metric.Float64Histogram
	serverFirstByte                metric.Float64Histogram
	clientResponseDuration         metric.Float64Histogram

	// Read from the registry when a reader collects.
	serverActive, clientActive           metric.Int64ObservableUpDownCounter
	serverConnections, clientConnections metric.Int64ObservableCounter
	io                                   metric.Int64ObservableCounter
	httpServerActive, httpClientActive   metric.Int64ObservableUpDownCounter
	httpClientOpenConns, serverUpgraded  metric.Int64ObservableUpDownCounter
	clientConnUses, clientResends        metric.Int64ObservableCounter
}

func newInstruments(mp metric.MeterProvider) (*instruments, error) {
	b := builder{meter: mp.Meter(ScopeName, metric.WithInstrumentationVersion(version.Module()))}
	ins := &instruments{
		meter: b.meter,

		serverActive:      b.observableUpDown(metricServerActive, unitConnection, "Connections accepted and still open."),
		serverConnections: b.observableCounter(metricServerConnections, unitConnection, "Connections accepted."),
		serverDuration:    b.seconds(metricServerDuration, "How long accepted connections were open, recorded at their close.", connectionBounds),
		acceptErrors:      b.counter(metricAcceptErrors, unitError, "Calls of Accept that failed, the listener's own close excepted."),

		clientActive:      b.observableUpDown(metricClientActive, unitConnection, "Connections dialled and still open."),
		clientConnections: b.observableCounter(metricClientConnections, unitConnection, "Connections dialled successfully."),
		clientDuration:    b.seconds(metricClientDuration, "How long dialled connections were open, recorded at their close.", connectionBounds),
		dialDuration:      b.seconds(metricDialDuration, "How long dialling took, name lookup and all addresses tried included.", connectBounds),
		connectDuration:   b.seconds(metricConnectDuration, "How long connecting to one address took.", connectBounds),
		dnsDuration:       b.seconds(metricDNSDuration, "Measures the time taken to perform a DNS lookup.", connectBounds),

		io:         b.observableCounter(metricIO, unitByte, "Bytes carried by connections, below TLS."),
		connErrors: b.counter(metricConnErrors, unitError, "Connections that were ended by an error."),

		httpServerDuration:     b.seconds(metricHTTPServerDuration, "Duration of HTTP server requests.", requestBounds),
		httpServerActive:       b.observableUpDown(metricHTTPServerActive, unitRequest, "Number of active HTTP server requests."),
		httpServerRequestSize:  b.bytes(metricHTTPServerRequestSize, "Size of HTTP server request bodies."),
		httpServerResponseSize: b.bytes(metricHTTPServerResponseSize, "Size of HTTP server response bodies."),
		httpClientDuration:     b.seconds(metricHTTPClientDuration, "Duration of HTTP client requests.", requestBounds),
		httpClientActive:       b.observableUpDown(metricHTTPClientActive, unitRequest, "Number of active HTTP requests."),
		httpClientOpenConns:    b.observableUpDown(metricHTTPClientOpenConns, unitConnection, "Number of outbound HTTP connections that are currently active or idle on the client."),
		httpClientConnDuration: b.seconds(metricHTTPClientConnDuration, "The duration of the successfully established outbound HTTP connections.", connectionBounds),

		serverFirstByte:        b.seconds(metricServerFirstByte, "How long a streamed response took to its first flush.", requestBounds),
		serverUpgraded:         b.observableUpDown(metricServerUpgraded, unitConnection, "Connections that a handler took over, such as websockets, and still open."),
		clientResponseDuration: b.seconds(metricClientResponseDuration, "Duration of HTTP client requests to the end of the response's body.", requestBounds),
		clientConnUses:         b.observableCounter(metricClientConnUses, unitRequest, "Requests that were given a connection, a new one or one used before."),
		clientResends:          b.observableCounter(metricClientResends, unitRequest, "Requests that were sent again on another connection."),
	}
	ins.kernelInstruments = newKernelInstruments(&b)
	return ins, errors.Join(b.errs...)
}

// builder makes instruments and gathers the errors. A provider that fails to make one gets a no-op in its place: the
// service's traffic must not depend on it.
type builder struct {
	meter metric.Meter
	errs  []error
}

func orNoop[T comparable](b *builder, made T, err error, fallback T) T {
	if err != nil {
		b.errs = append(b.errs, err)
	}
	var none T
	if made == none {
		return fallback
	}
	return made
}

func (b *builder) seconds(name, desc string, bounds []float64) metric.Float64Histogram {
	h, err := b.meter.Float64Histogram(name, metric.WithUnit(unitSecond), metric.WithDescription(desc), metric.WithExplicitBucketBoundaries(bounds...))
	return orNoop[metric.Float64Histogram](b, h, err, noop.Float64Histogram{})
}

func (b *builder) bytes(name, desc string) metric.Int64Histogram {
	h, err := b.meter.Int64Histogram(name, metric.WithUnit(unitByte), metric.WithDescription(desc), metric.WithExplicitBucketBoundaries(sizeBounds...))
	return orNoop[metric.Int64Histogram](b, h, err, noop.Int64Histogram{})
}

func (b *builder) counter(name, unit, desc string) metric.Int64Counter {
	c, err := b.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(desc))
	return orNoop[metric.Int64Counter](b, c, err, noop.Int64Counter{})
}

func (b *builder) observableCounter(name, unit, desc string) metric.Int64ObservableCounter {
	c, err := b.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(desc))
	return orNoop[metric.Int64ObservableCounter](b, c, err, noop.Int64ObservableCounter{})
}

func (b *builder) observableUpDown(name, unit, desc string) metric.Int64ObservableUpDownCounter {
	c, err := b.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(desc))
	return orNoop[metric.Int64ObservableUpDownCounter](b, c, err, noop.Int64ObservableUpDownCounter{})
}
