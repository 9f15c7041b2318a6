// Command bench measures otelnet beside a bare service and beside its peers.
package main

// The peers, so that the module's requirements are complete.
import (
	_ "github.com/mwitkow/go-conntrack"
	_ "github.com/prometheus/client_golang/prometheus/collectors"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	_ "go.opentelemetry.io/contrib/instrumentation/runtime"
	_ "go.opentelemetry.io/otel/sdk/metric"

	_ "github.com/otelnet/agent"
)

func main() {}
