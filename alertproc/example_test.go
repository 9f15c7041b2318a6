package alertproc_test

import (
	"container/list"
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
)

const rules = `
groups:
- name: checkout
  every: 10s
  rules:
  - alert: Errors
    ratio:
      bad: {metric: http.server.request.duration, where: {error.type: "?*"}}
      total: {metric: http.server.request.duration}
    over: 1m
    warn: {above: 0.01}
    crit: {above: 0.1}
    annotations: {summary: '{{ humanizePercentage .Value }} of requests fail'}
`

// A service that has its own tick collects once and hands the snapshot over.
func Example() {
	cfg, err := alertproc.Load("rules.yaml", strings.NewReader(rules))
	if err != nil {
		fmt.Println(err)
		return
	}
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithView(alertproc.Views(cfg)...))
	cfg.MeterProvider = provider
	p, err := alertproc.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer p.Shutdown(ctx)
	p.Subscribe(func(t alertproc.Transition) {
		fmt.Printf("%s %s to %s: %s; %s\n", t.Alert.Rule, t.From, t.To, t.Reason, t.Alert.Annotations["summary"])
	})

	duration, _ := provider.Meter("service").Float64Histogram("http.server.request.duration", metric.WithUnit("s"))
	failed := metric.WithAttributes(attribute.String("error.type", "500"))
	var rm metricdata.ResourceMetrics
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range 10 {
		if err := reader.Collect(ctx, &rm); err != nil {
			fmt.Println(err)
		}
		if err := p.Evaluate(ctx, at, &rm); err != nil {
			fmt.Println(err)
		}
		at = at.Add(10 * time.Second)
		if at.Second() == 10 { // once a minute something breaks
			duration.Record(ctx, 0.2, failed)
		}
		for range 3 {
			duration.Record(ctx, 0.1)
		}
	}
	// Output:
	// Errors inactive to firing: value 0.25 above 0.1; 25% of requests fail
	// Errors firing to firing: now warn: value 0.1, threshold 0.01; 10% of requests fail
}

// What no instrument records can be computed by the rule itself.
func ExampleRule() {
	var backlog list.List
	rule := alertproc.Rule{
		Alert: "Backlog",
		Func: func(ctx context.Context, rm *metricdata.ResourceMetrics) ([]alertproc.Sample, error) {
			return []alertproc.Sample{{Value: float64(backlog.Len())}}, nil
		},
		Warn: alertproc.Above(1000).WithClear(800),
		For:  30 * time.Second,
	}
	p, err := alertproc.New(alertproc.Config{Groups: []alertproc.Group{{Name: "queue", Every: 10 * time.Second, Rules: []alertproc.Rule{rule}}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer p.Shutdown(ctx)
	p.Subscribe(func(t alertproc.Transition) { fmt.Printf("%s %s to %s: %s\n", t.Alert.Rule, t.From, t.To, t.Reason) })
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range 6 {
		for range 500 {
			backlog.PushBack("order")
		}
		if err := p.Evaluate(ctx, at, &metricdata.ResourceMetrics{}); err != nil {
			fmt.Println(err)
		}
		at = at.Add(10 * time.Second)
	}
	// Output:
	// Backlog inactive to pending: value 1500 above 1000
	// Backlog pending to firing: value 3000 above 1000 for 30s
}
