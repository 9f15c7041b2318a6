package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
)

// The size of the service whose rules are evaluated.
const (
	ruleInstruments = 10
	seriesOfEach    = 1_000
	ruleCount       = 1_000
)

// rulesScenario measures the evaluation of 1,000 rules on a snapshot of 10,000 series. What is recorded and collected
// between two evaluations is not measured.
func rulesScenario() scenario {
	return scenario{
		name:     "rules",
		subjects: []string{ours},
		start:    startRules,
		ops:      20,
		rounds:   7,
		rows: []row{
			{label: "1,000 rules, 10,000 series", of: cpuTime, show: absoluteMicroseconds, goals: goals{ours: 5_000_000}},
			{label: "1,000 rules, 10,000 series, allocations", of: allocs, show: absoluteCount, goals: goals{ours: 0}},
		},
	}
}

// startRules sets up ten histograms of a thousand series. Each rule watches one of the hundred routes of one of them,
// ten series, so that every series is looked at.
func startRules(string) (*work, error) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithCardinalityLimit(2*seriesOfEach))
	meter := provider.Meter("bench")
	ctx := context.Background()
	var record []func()
	for i := range ruleInstruments {
		h, err := meter.Float64Histogram("work.duration."+strconv.Itoa(i), metric.WithUnit("s"))
		if err != nil {
			return nil, err
		}
		for series := range seriesOfEach {
			set := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(
				attribute.String("route", route(series%100)), attribute.Int("shard", series/100)))}
			record = append(record, func() { h.Record(ctx, 0.001*float64(series), set...) })
		}
	}
	p, err := alertproc.New(alertproc.Config{
		Groups: []alertproc.Group{{Name: "bench", Every: time.Second, Rules: manyRules()}},
		// The rules' own states are not among the series.
		MeterProvider: noop.NewMeterProvider(),
	})
	if err != nil {
		return nil, err
	}

	var (
		at      = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		rm      metricdata.ResourceMetrics
		took    time.Duration
		mallocs uint64
		ticks   int
	)
	tick := func() error {
		for _, f := range record {
			f()
		}
		if err := reader.Collect(ctx, &rm); err != nil {
			return err
		}
		at = at.Add(time.Second)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := processTime()
		err := p.Evaluate(ctx, at, &rm)
		took += processTime() - start
		runtime.ReadMemStats(&after)
		mallocs += after.Mallocs - before.Mallocs
		ticks++
		return err
	}
	for range warmUp {
		if err := tick(); err != nil {
			return nil, err
		}
	}
	w := repeat(tick)
	w.begin = func() error {
		took, mallocs, ticks = 0, 0, 0
		return nil
	}
	w.end = func() values {
		return values{cpuTime: float64(took) / float64(ticks), allocs: float64(mallocs) / float64(ticks)}
	}
	return w, nil
}

// warmUp is how many ticks fill the windows of a minute.
const warmUp = 65

func route(i int) string { return fmt.Sprintf("/route/%d", i) }

// manyRules are rates, means and quantiles over a minute.
func manyRules() []alertproc.Rule {
	values := []alertproc.Value{
		{Aggregation: alertproc.Rate, Over: time.Minute},
		{Aggregation: alertproc.Mean, Over: time.Minute},
		{Aggregation: alertproc.Quantile, Arg: 0.99, Over: time.Minute},
	}
	var all []alertproc.Rule
	for i := range ruleCount {
		all = append(all, alertproc.Rule{
			Alert:  fmt.Sprintf("Rule%d", i),
			Metric: "work.duration." + strconv.Itoa(i%ruleInstruments),
			Where:  map[string]string{"route": route(i / ruleInstruments)},
			Value:  values[i%len(values)],
			Warn:   alertproc.Above(1e9),
		})
	}
	return all
}
