package agent

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
)

// newOTLPMetrics returns the exporter for a protocol, and the spool below it if one is asked for.
func newOTLPMetrics(ctx context.Context, c config, protocol string) (sdkmetric.Exporter, *spooled, error) {
	kept, err := openSpool(c, signalMetrics)
	if err != nil {
		return nil, nil, err
	}
	var exporter sdkmetric.Exporter
	if protocol == protocolHTTPProtobuf {
		var opts []otlpmetrichttp.Option
		if kept != nil {
			client, clientErr := kept.client()
			opts, err = append(opts, otlpmetrichttp.WithHTTPClient(client)), clientErr
		}
		if err == nil {
			exporter, err = otlpmetrichttp.New(ctx, opts...)
		}
	} else {
		var opts []otlpmetricgrpc.Option
		if kept != nil {
			opts = append(opts, otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(kept.UnaryClientInterceptor())))
		}
		exporter, err = otlpmetricgrpc.New(ctx, opts...)
	}
	switch {
	case kept == nil:
		return exporter, nil, err
	case err != nil:
		return nil, nil, errors.Join(err, kept.close(ctx))
	}
	kept.prime = func(ctx context.Context) error {
		return exporter.Export(ctx, &metricdata.ResourceMetrics{Resource: resource.Empty()})
	}
	return spooledMetrics{exporter, kept}, kept, nil
}

// newOTLPSpans does the same for spans.
func newOTLPSpans(ctx context.Context, c config, protocol string) (sdktrace.SpanExporter, *spooled, error) {
	kept, err := openSpool(c, signalTraces)
	if err != nil {
		return nil, nil, err
	}
	var client otlptrace.Client
	if protocol == protocolHTTPProtobuf {
		var opts []otlptracehttp.Option
		if kept != nil {
			own, clientErr := kept.client()
			opts, err = append(opts, otlptracehttp.WithHTTPClient(own)), clientErr
		}
		client = otlptracehttp.NewClient(opts...)
	} else {
		var opts []otlptracegrpc.Option
		if kept != nil {
			opts = append(opts, otlptracegrpc.WithDialOption(grpc.WithChainUnaryInterceptor(kept.UnaryClientInterceptor())))
		}
		client = otlptracegrpc.NewClient(opts...)
	}
	var exporter sdktrace.SpanExporter
	if err == nil {
		exporter, err = otlptrace.New(ctx, client)
	}
	switch {
	case kept == nil:
		return exporter, nil, err
	case err != nil:
		return nil, nil, errors.Join(err, kept.close(ctx))
	}
	kept.prime = func(ctx context.Context) error { return client.UploadTraces(ctx, nil) } // the exporter passes over a batch without spans
	return spooledSpans{exporter, kept}, kept, nil
}
