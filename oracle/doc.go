// Package oracle holds alertproc against Prometheus: the same samples on the same clock go into both, and what they say
// is compared at every step. There is nothing in it but tests.
//
// Prometheus' side is its own rule engine (rules.Group.Eval), its own query engine, and its own way to make messages
// for an Alertmanager; only the storage is a slice. Compared are the state of every alert, when it became active and
// fired, its value to the last bit, and what is sent: labels, annotations, startsAt and endsAt.
//
// Beside that, Prometheus' OTLP receiver takes what a service exports without a Collector.
//
// Where the two differ on purpose, a test of TestDifferences shows both sides, and docs/alerting.md has the reason.
package oracle
