// Package alertproc evaluates alert rules on OpenTelemetry metrics inside the process that records them.
//
// A [Processor] is handed one metricdata snapshot per tick and decides, for every rule and every label set, whether an
// alert is inactive, pending or firing. It starts no collection of its own unless [Processor.Run] is used, and knows
// nothing of HTTP pages.
package alertproc
