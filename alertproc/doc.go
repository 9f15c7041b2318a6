// Package alertproc evaluates alert rules on OpenTelemetry metrics inside the process that records them.
//
// A [Processor] is handed one metricdata snapshot per tick and decides, for every rule and every label set, whether an
// alert is inactive, pending or firing. It starts no collection of its own unless [Processor.Run] is used, and knows
// nothing of HTTP pages.
//
//	cfg, err := alertproc.LoadFile("rules.yaml")
//	...
//	reader := metric.NewManualReader()
//	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithView(alertproc.Views(cfg)...))
//	cfg.MeterProvider = provider
//	p, err := alertproc.New(cfg)
//	...
//	defer p.Shutdown(ctx)
//	go p.Run(ctx, reader)
//
// Rules come from YAML, which docs/alerting.md describes, or are written in Go. States, labels and times follow
// Prometheus; that page also lists where this package differs.
//
// # Metrics
//
//   - otelnet.alert.state, gauge, {state}: 0 inactive, 1 pending, 2 firing, the highest of a rule's alerts at that
//     severity. Attributes: alert, severity, and the rule's labels that are constant.
//   - otelnet.agent.notifications, counter, {notification}: messages to notifiers. Attributes: otelnet.notifier
//     (log, otel, webhook, alertmanager, func) and otelnet.outcome (sent, failed, dropped).
//
// # Cost
//
// An evaluation of 1,000 rules over 10,000 series takes about 2 ms and allocates nothing in steady state. A window takes
// 16 bytes for each alert instance and evaluation in it. With quantile and fraction_above it takes for each bucket as many
// bytes as the most observations that it ever got between two evaluations need: none for 0, one up to 255, two up to 65,535.
// An instance itself takes 0.9 kB, and a series a map entry and a copy of its last buckets. All in all that is 35 bytes for
// each series and evaluation in a window of a minute at one a second, 7 to 10 where ten series make one instance, and 45 for
// a quantile of each single histogram of 15 buckets, or 62 if each of them gets thousands of observations a second.
package alertproc
