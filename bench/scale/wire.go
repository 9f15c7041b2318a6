package main

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
)

// wireCost is what one point of an export takes, in bytes of TCP payload, HTTP/2 and gRPC included.
type wireCost struct {
	plain, gzip float64
	perSample   float64 // plain protobuf by what Prometheus makes of it
}

// measureWire counts at the receiving socket what the real exporter sends for ten exports after the first.
func measureWire(ctx context.Context, load *payload) (w wireCost, err error) {
	if w.plain, err = bytesPerPoint(ctx, load.points); err != nil {
		return w, err
	}
	if w.gzip, err = bytesPerPoint(ctx, load.points, otlpmetricgrpc.WithCompressor("gzip")); err != nil {
		return w, err
	}
	w.perSample = w.plain * float64(load.points) / float64(load.samples)
	return w, nil
}

func bytesPerPoint(ctx context.Context, series int, opts ...otlpmetricgrpc.Option) (float64, error) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	ln := &countingListener{Listener: inner}
	stop := serveMetricsOn(ln, func(*collectorpb.ExportMetricsServiceRequest) {})
	defer stop()
	exporter, err := otlpmetricgrpc.New(ctx, append(opts, otlpmetricgrpc.WithEndpoint(inner.Addr().String()), otlpmetricgrpc.WithInsecure())...)
	if err != nil {
		return 0, err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour))))
	defer provider.Shutdown(context.WithoutCancel(ctx))
	in, err := newInstruments(provider, series)
	if err != nil {
		return 0, err
	}
	const exports = 10
	var before int64
	for i := range exports + 1 {
		for range 100 {
			in.all()
		}
		if err := provider.ForceFlush(ctx); err != nil {
			return 0, err
		}
		if i == 0 {
			before = ln.read.Load()
		}
	}
	return float64(ln.read.Load()-before) / exports / float64(series), nil
}

// countingListener counts what its connections receive.
type countingListener struct {
	net.Listener
	read atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{c, &l.read}, nil
}

type countingConn struct {
	net.Conn
	read *atomic.Int64
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}
