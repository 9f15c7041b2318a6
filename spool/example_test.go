package spool_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc"

	"github.com/otelnet/agent/spool"
)

// A service with a set-up of its own puts a spool below its exporter.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	s, err := spool.Open(spool.Config{Dir: dir, Name: "metrics"})
	if err != nil {
		fmt.Println(err)
		return
	}
	exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint("127.0.0.1:1"), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(s.UnaryClientInterceptor())))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = exporter.Export(ctx, &metricdata.ResourceMetrics{Resource: resource.Empty()}) // nobody is there
	var queued *spool.QueuedError
	fmt.Println(errors.As(err, &queued), s.Stats().Requests)

	err = s.Close(ctx) // before the exporter
	fmt.Println(errors.As(err, &queued), exporter.Shutdown(ctx))
	// Output:
	// true 1
	// true <nil>
}
