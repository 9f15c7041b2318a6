// The witness is a service that counts its own collections, and writes down the number and the time of each before anything is exported:
// what a test then holds against what has arrived.
//
//	witness FILE LIFE     numbers run from LIFE*1000
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	file, err := os.OpenFile(os.Args[1], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	life, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		return err
	}
	// No tick comes between the exports.
	a, err := agent.Start(ctx, agent.WithTick(24*time.Hour), agent.WithServiceName("witness"))
	if err != nil {
		return err
	}
	number := life * 1000
	_, err = a.MeterProvider().Meter("e2e").Int64ObservableGauge("e2e.interval",
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			number++
			o.Observe(number)
			_, err := fmt.Fprintf(file, "%d %d\n", number, time.Now().UnixMilli())
			return err
		}))
	if err != nil {
		return err
	}
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return a.Shutdown(ctx)
}
