// Package remote reads what a report is made of from elsewhere: from a running agent, from Prometheus' HTTP API, which
// VictoriaMetrics, Mimir and Thanos answer too, and from InfluxDB 1.x as the Collector's influxdb exporter writes it.
//
//	src, err := remote.Prometheus(remote.Options{URL: "http://127.0.0.1:9090", Service: "checkout"})
//	…
//	r, err := report.Build(ctx, src, report.Options{Range: time.Hour})
//
// Raw samples are read, one metric at a time, and counters and histograms become increases here: a value that falls has been reset and
// counts from zero; a series that appears while its process was being sampled began at zero.
//
// Each request has a timeout, and an answer may have 64 MiB; for what is larger a shorter stretch is asked for, so memory stays
// bounded. Redirects to another host are refused, since credentials would go along.
package remote
