package agent

import "strings"

// hints are what an export's error most likely comes from, where its own text says so only to those who know gRPC and TLS by heart.
// The first whose words are in the text holds.
var hints = []struct{ words, hint string }{
	{
		"first record does not look like a TLS handshake",
		"the receiver speaks without TLS: the endpoint should begin with http://",
	},
	{
		"server gave HTTP response to HTTPS client",
		"the receiver speaks without TLS: the endpoint should begin with http://",
	},
	{
		"looked like an HTTP/1.1 header",
		"that port speaks OTLP over HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or take the port of gRPC, mostly 4317",
	},
	{
		"malformed HTTP response",
		"that port speaks gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or take the port of OTLP over HTTP, mostly 4318",
	},
	{
		"certificate signed by unknown authority",
		"OTEL_EXPORTER_OTLP_CERTIFICATE names the PEM file of the authority",
	},
	{
		"404 Not Found",
		"OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/metrics or /v1/traces added, the endpoint of one signal is taken as it stands",
	},
	{
		"connection refused",
		"nobody listens there: is the Collector running? OTEL_METRICS_EXPORTER=none exports no metrics",
	},
}

// hinted returns the attributes of a log line about err: args, the error, and the hint if there is one.
func hinted(err error, args ...any) []any {
	args = append(args, "error", err)
	if hint := hintOf(err.Error()); hint != "" {
		args = append(args, "hint", hint)
	}
	return args
}

func hintOf(text string) string {
	for _, h := range hints {
		if strings.Contains(text, h.words) {
			return h.hint
		}
	}
	return ""
}
