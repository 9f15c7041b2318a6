package main

import (
	"context"
	"runtime"
	"syscall"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/history"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric/noop"
)

// agentCost is what a service pays for so many series.
type agentCost struct {
	series int
	tick   time.Duration // CPU of a collect, two rules and the history
	export time.Duration // CPU of an export by gRPC, the collect included
	memory float64       // bytes of heap for each series, the SDK's and the history of ten minutes at a tick each 5 s included
}

// measureAgent does by hand what the agent does at each tick, so that nothing else is counted.
func measureAgent(ctx context.Context, sink string, series, ticks int) (agentCost, error) {
	cost := agentCost{series: series}
	before := heap()
	exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(sink), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithCompressor("gzip"))
	if err != nil {
		return cost, err
	}
	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithCardinalityLimit(series+1))
	defer provider.Shutdown(context.WithoutCancel(ctx))
	in, err := newInstruments(provider, series)
	if err != nil {
		return cost, err
	}
	rules, err := alertproc.New(alertproc.Config{MeterProvider: noop.NewMeterProvider(), Known: []string{"simulated.server.thing4.count"}, Groups: []alertproc.Group{{
		Name: "g", Rules: []alertproc.Rule{
			{Alert: "Slow", Metric: "simulated.server.thing0.duration", Value: alertproc.Value{Aggregation: alertproc.Quantile, Arg: 0.99, Over: time.Minute}, Warn: alertproc.Above(100)},
			{Alert: "Many", Metric: "simulated.server.thing4.count", Value: alertproc.Value{Aggregation: alertproc.Rate, Over: time.Minute}, Warn: alertproc.Above(1e12)},
		},
	}}})
	if err != nil {
		return cost, err
	}
	defer rules.Shutdown(context.WithoutCancel(ctx))
	past, err := history.New(history.Config{Keep: 10 * time.Minute, GapAfter: time.Minute})
	if err != nil {
		return cost, err
	}
	at := time.Now()
	var rm metricdata.ResourceMetrics
	tick := func() error {
		at = at.Add(5 * time.Second)
		if err := reader.Collect(ctx, &rm); err != nil {
			return err
		}
		if err := rules.Evaluate(ctx, at, &rm); err != nil {
			return err
		}
		past.Append(at, &rm)
		return nil
	}
	for range 20 { // each series has something
		in.all()
	}
	for range 120 { // fill the history
		in.all()
		if err := tick(); err != nil {
			return cost, err
		}
	}
	cost.memory = float64(heap()-before) / float64(series)
	for _, what := range []struct {
		do func() error
		to *time.Duration
	}{{tick, &cost.tick}, {func() error { return provider.ForceFlush(ctx) }, &cost.export}} {
		var spent time.Duration
		for range ticks {
			in.all()
			begin := ownCPU()
			if err := what.do(); err != nil {
				return cost, err
			}
			spent += ownCPU() - begin
		}
		*what.to = spent / time.Duration(ticks)
	}
	runtime.KeepAlive(past)
	return cost, nil
}

// ownCPU is the CPU time of this process, all threads.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heap() int64 {
	var ms runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapAlloc)
}
