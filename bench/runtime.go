package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	contribruntime "go.opentelemetry.io/contrib/instrumentation/runtime"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/runtimemetrics"
)

var runtimeSubjects = []string{ours, oursAll, oursGoOnly, contrib, contribAll, goProm}

// runtimeScenario measures one collect of the Go runtime's metrics, from the reader's call to its answer.
func runtimeScenario() scenario {
	return scenario{
		name:     "runtime",
		subjects: runtimeSubjects,
		start:    startRuntime,
		rows: []row{
			{label: "Runtime metrics", of: cpuTime, show: absoluteMicroseconds, best: true, goals: goals{ours: 10_000, oursGoOnly: 10_000}},
			{label: "Runtime metrics, allocations", of: allocs, show: absoluteCount, goals: goals{ours: 5, oursGoOnly: 5}},
			{label: "Runtime metrics, series collected", of: series, show: absoluteCount},
		},
	}
}

func startRuntime(subject string) (*work, error) {
	if subject == goProm {
		return startGoCollector()
	}
	var producer sdkmetric.Producer
	switch subject {
	case ours:
		producer = runtimemetrics.NewProducer()
	case oursAll:
		producer = runtimemetrics.NewProducer(runtimemetrics.WithAll())
	case oursGoOnly:
		producer = runtimemetrics.NewProducer(runtimemetrics.WithAll(), runtimemetrics.WithoutProcess())
	case contribAll:
		producer = contribruntime.NewProducer(fresh.(contribruntime.ProducerOption))
	}
	var opts []sdkmetric.ManualReaderOption
	if producer != nil {
		opts = append(opts, sdkmetric.WithProducer(producer))
	}
	reader := sdkmetric.NewManualReader(opts...)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var err error
	switch subject {
	case ours:
		_, err = runtimemetrics.Start(runtimemetrics.WithMeterProvider(provider))
	case contrib, contribAll:
		err = contribruntime.Start(contribruntime.WithMeterProvider(provider), fresh)
	case oursAll, oursGoOnly:
	default:
		err = fmt.Errorf("no runtime metrics %q", subject)
	}
	if err != nil {
		return nil, err
	}
	var rm metricdata.ResourceMetrics
	w := repeat(func() error { return reader.Collect(context.Background(), &rm) })
	w.end = func() values { return values{series: float64(countSeries(&rm))} }
	return w, nil
}

func startGoCollector() (*work, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(collectors.NewGoCollector()); err != nil {
		return nil, err
	}
	var n int
	w := repeat(func() error {
		families, err := registry.Gather()
		n = 0
		for _, f := range families {
			n += len(f.GetMetric())
		}
		return err
	})
	w.end = func() values { return values{series: float64(n)} }
	return w, nil
}

func countSeries(rm *metricdata.ResourceMetrics) (n int) {
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				n += len(data.DataPoints)
			case metricdata.Sum[float64]:
				n += len(data.DataPoints)
			case metricdata.Gauge[int64]:
				n += len(data.DataPoints)
			case metricdata.Gauge[float64]:
				n += len(data.DataPoints)
			case metricdata.Histogram[float64]:
				n += len(data.DataPoints)
			}
		}
	}
	return n
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
