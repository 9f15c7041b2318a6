package main

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	contribruntime "go.opentelemetry.io/contrib/instrumentation/runtime"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelnet/agent/runtimemetrics"
)

// runtimeScenario measures one collect of the Go runtime's metrics, from the reader's call to its answer.
func runtimeScenario() scenario {
	return scenario{
		name:     "runtime",
		subjects: []string{ours, contrib, contribAll, goProm},
		start:    startRuntime,
		rows: []row{
			{label: "Runtime metrics", of: cpuTime, show: absoluteMicroseconds, best: true, goals: goals{ours: 10_000}},
			{label: "Runtime metrics, allocations", of: allocs, show: absoluteCount, goals: goals{ours: 5}},
		},
	}
}

func startRuntime(subject string) (*work, error) {
	var opts []sdkmetric.ManualReaderOption
	switch subject {
	case ours:
		opts = append(opts, sdkmetric.WithProducer(runtimemetrics.NewProducer()))
	case contribAll:
		opts = append(opts, sdkmetric.WithProducer(contribruntime.NewProducer(fresh.(contribruntime.ProducerOption))))
	case goProm:
		registry := prometheus.NewRegistry()
		if err := registry.Register(collectors.NewGoCollector()); err != nil {
			return nil, err
		}
		return repeat(func() error {
			_, err := registry.Gather()
			return err
		}), nil
	}
	reader := sdkmetric.NewManualReader(opts...)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var err error
	switch subject {
	case ours:
		_, err = runtimemetrics.Start(runtimemetrics.WithMeterProvider(provider))
	case contrib, contribAll:
		err = contribruntime.Start(contribruntime.WithMeterProvider(provider), fresh)
	default:
		err = fmt.Errorf("no runtime metrics %q", subject)
	}
	return repeat(collectFrom(reader)), err
}

// fresh makes contrib read the runtime at each collect, as the others do; it would hand out values of up to 15 s ago.
var fresh = contribruntime.WithMinimumReadMemStatsInterval(time.Nanosecond)

// repeat is the work of a subject that only has to be called.
func repeat(f func() error) *work {
	return &work{run: func(n int) error {
		for range n {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	}}
}
