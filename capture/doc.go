// Package capture records the evidence of an incident at the moment it happens: the connection table, the metrics of the
// last minutes, the execution trace of the last seconds, and profiles.
//
//	c, err := capture.New(capture.Config{Dir: "/var/lib/checkout/captures", Connections: otelnet.ConnectionsPage})
//	…
//	defer c.Shutdown(ctx)
//	m, err := c.Capture(ctx, capture.Request{Reason: capture.Manual})
//
// A capture is a directory of files with a manifest that says of each what it is, or why it is missing. What is
// recorded comes in a fixed order, the past before the present: connections, metrics, flight recorder, goroutines, heap,
// and then five seconds of CPU time and mutex contention.
//
// One capture is made at a time; requests that come meanwhile are attached to it and add the kinds it lacks. An alert
// is captured once in its cool-down, unless it has got clearly worse, and all alerts together four times an hour. What is
// stored is bounded in bytes, number and age, the oldest going first. Nothing here fails loudly: a full disk, a
// profiler that is taken, or a part that panics becomes a line in the manifest.
//
// # Metrics
//
//   - otelnet.agent.captures, counter, {capture}: requests for a capture. Attributes: otelnet.capture.reason (alert,
//     manual, continuous) and otelnet.outcome (captured, incomplete, attached, refused).
//   - otelnet.agent.capture.size, gauge, By: what captures take up on disk.
//
// # Cost
//
// Between captures a goroutine that waits for a lock pays some tens of nanoseconds, and the flight recorder costs what it does where it is
// asked for: see [Config.FlightRecorder]. docs/captures.md has the figures.
package capture
