// Package agent puts network observability into a Go service with one call.
//
// [Start] builds the OpenTelemetry providers and exporters, records the Go runtime, evaluates alert rules every few
// seconds on the numbers the process itself holds, and, when asked, serves a live page. The instruments come from
// package otelnet, whose wrappers go around a listener, a dialer, an HTTP handler and an HTTP transport.
//
//	a, err := agent.Start(ctx, agent.WithServiceName("checkout"))
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer a.Shutdown(context.Background())
//
// # The way of a number
//
// A wrapper records into an instrument. One reader aggregates it, cumulatively. That reader exports every
// OTEL_METRIC_EXPORT_INTERVAL (60 s), and in between, every tick (5 s, or 1 s while a page is open), the agent collects
// from the same reader without exporting. The snapshot goes to the alert rules and then to the page's history. So
// there is one aggregation however many consumers look at it. Only when delta temporality is asked for, where a
// collection resets the reader, does the tick get a reader of its own.
//
// # Configuration
//
// The OTEL_* variables of the OpenTelemetry specification are honoured, and OTELNET_* ones set what is ours;
// docs/configuration.md lists them all. What is given in code wins over the environment, as the specification has it.
// Start checks every variable before it starts anything: a wrong one is an error that names the variable, its value
// and what is allowed.
//
// # Cost
//
// A tick over 500 series takes about a millisecond of processor time, every five seconds. The agent starts one goroutine for the tick, one for each
// notifier, those of the exporters, and those of the page's HTTP server when that is on.
package agent
