// Package e2e runs the real programs, the demo service, an OpenTelemetry Collector with this repository's
// collector-config.yaml, Prometheus, InfluxDB and Alertmanager, as child processes on loopback, and compares what arrives at the
// far end with what the test itself sent.
//
// It needs Linux, Debian's packages and one build before the first run:
//
//	apt-get install --no-install-recommends prometheus prometheus-alertmanager influxdb docker-compose \
//		postgresql redis-server strace iproute2
//	e2e/build.sh
//	cd e2e && go test ./...
//
// The package compat below needs the second line's alone; it starts servers of its own and none of the system's.
//
// A missing program is a failure, not a skip. When a test fails, the logs and data of its programs stay in
// e2e/artifacts/NAME_OF_THE_TEST.
package e2e
