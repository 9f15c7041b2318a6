package otelnet

import (
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

type scheme uint8

const (
	schemeHTTP scheme = iota
	schemeHTTPS
)

func (s scheme) String() string { return [...]string{"http", "https"}[s] }

// outcome is how a handler ended.
type outcome uint8

const (
	outcomeReturned outcome = iota
	outcomePanic
	outcomeAborted  // by http.ErrAbortHandler
	outcomeCanceled // by the client, which left before it had the whole response
)

// requestKey is everything that the attributes of a request depend on. Each field comes from a closed set.
type requestKey struct {
	route   string // of a pattern that the service registered
	status  int    // 0 if nothing was sent
	method  method
	scheme  scheme
	outcome outcome
	major   uint8
	minor   uint8
}

func (k requestKey) attributes(constant []attribute.KeyValue) []attribute.KeyValue {
	attrs := join(constant,
		semconv.HTTPRequestMethodKey.String(k.method.String()),
		semconv.URLScheme(k.scheme.String()),
		semconv.NetworkProtocolName("http"),
		semconv.NetworkProtocolVersion(protocolVersion(k.major, k.minor)),
	)
	if k.status != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(k.status))
	}
	if k.route != "" {
		attrs = append(attrs, semconv.HTTPRoute(k.route))
	}
	return withErrorType(attrs, k.errorType())
}

// errorType is the value of error.type. A handler that gives up because its client has gone mostly answers with a status
// of 500 or more, or panics with http.ErrAbortHandler as httputil.ReverseProxy does: that is not the server's failure.
func (k requestKey) errorType() string {
	switch {
	case k.outcome == outcomePanic:
		return "panic"
	case k.outcome == outcomeCanceled:
		return errCanceled.String()
	case k.outcome == outcomeAborted:
		return "aborted"
	case k.status >= 500:
		return strconv.Itoa(k.status)
	default:
		return ""
	}
}

// failed reports whether the server failed, as the table counts it.
func (k requestKey) failed() bool {
	switch k.outcome {
	case outcomeReturned:
		return k.status >= 500
	case outcomeCanceled:
		return false
	default:
		return true
	}
}

// protocolVersion is 1.0, 1.1, 2 or 3, as the semantic conventions write it.
func protocolVersion(major, minor uint8) string {
	if major >= 2 {
		return strconv.Itoa(int(major))
	}
	return strconv.Itoa(int(major)) + "." + strconv.Itoa(int(minor))
}
