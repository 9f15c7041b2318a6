package agent

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc"

	"github.com/otelnet/agent/spool"
)

// fileExporter is an OTLP exporter whose requests end in a file.
type fileExporter struct {
	sdkmetric.Exporter
	file *spool.File
}

func newFileExporter(ctx context.Context, c spool.FileConfig) (sdkmetric.Exporter, error) {
	file, err := spool.OpenFile(c)
	if err != nil {
		return nil, err
	}
	// The endpoint is never dialled: gRPC connects at the first call that reaches it, and the interceptor lets none through.
	exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint("passthrough:///file"), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(file.UnaryClientInterceptor())))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return fileExporter{exporter, file}, nil
}

func (e fileExporter) Shutdown(ctx context.Context) error {
	return errors.Join(e.Exporter.Shutdown(ctx), e.file.Close())
}
