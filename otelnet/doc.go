// Package otelnet instruments network connections and HTTP with the OpenTelemetry metric API.
package otelnet

// ScopeName is the instrumentation scope of every instrument this package creates.
const ScopeName = "github.com/otelnet/agent/otelnet"
