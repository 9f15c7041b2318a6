module github.com/otelnet/agent/e2e

go 1.26.0

replace github.com/otelnet/agent => ../
