package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/protobuf/proto"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// seriesOfService is what a service of some twenty routes has with this agent: requests by route and status, connections by listener and
// target, the kernel's numbers, the runtime. The demo service has about 400.
const seriesOfService = 500

// bucketsOfService and the share of histograms are those of the demo service.
const histogramShare = 0.4

// instruments are a service's, with the number of series that is asked for: four in ten are histograms with the bounds of request
// durations, the rest counters and up-down counters.
type instruments struct{ record []func() }

func newInstruments(provider metric.MeterProvider, series int) (*instruments, error) {
	const each = 20 // series of one instrument
	meter := provider.Meter("github.com/otelnet/agent/bench/scale")
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 2)) // no two series are alike, as in life, and every run is
	var in instruments
	for n := 0; n < series; n += each {
		name := "simulated.server.thing" + strconv.Itoa(n/each)
		sets := make([]attribute.Set, 0, each)
		for i := range min(each, series-n) {
			sets = append(sets, attribute.NewSet(
				attribute.String("http.request.method", []string{"GET", "POST"}[i%2]),
				attribute.String("http.route", "/api/v1/things/"+strconv.Itoa(i/2)+"/{id}"),
				attribute.Int("http.response.status_code", 200+i%3),
				attribute.String("url.scheme", "http"), attribute.String("network.protocol.version", "1.1")))
		}
		if float64(n%(each*10)) < histogramShare*each*10 {
			h, err := meter.Float64Histogram(name+".duration", metric.WithUnit("s"), metric.WithDescription("Duration of simulated things."),
				metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10))
			if err != nil {
				return nil, err
			}
			for _, set := range sets {
				opts := []metric.RecordOption{metric.WithAttributeSet(set)}
				median, often := 0.002+random.Float64(), 1+random.IntN(9)
				in.record = append(in.record, func() {
					for range 1 + random.IntN(often) {
						h.Record(ctx, median*math.Exp(random.NormFloat64()), opts...)
					}
				})
			}
			continue
		}
		c, err := meter.Int64Counter(name+".count", metric.WithUnit("{thing}"), metric.WithDescription("Simulated things."))
		if err != nil {
			return nil, err
		}
		for _, set := range sets {
			opts := []metric.AddOption{metric.WithAttributeSet(set)}
			often := 1 + random.IntN(5000)
			in.record = append(in.record, func() { c.Add(ctx, int64(random.IntN(often)), opts...) })
		}
	}
	return &in, nil
}

func (in *instruments) all() {
	for _, f := range in.record {
		f()
	}
}

// payload is one export of a service, as its agent sends it.
type payload struct {
	request *collectorpb.ExportMetricsServiceRequest
	points  int
	samples int // that Prometheus makes of them
}

// newPayload lets the real exporter send to a server of ours.
func newPayload(ctx context.Context, series int) (*payload, error) {
	got := make(chan *collectorpb.ExportMetricsServiceRequest, 1)
	addr, stop, err := serveMetrics("127.0.0.1:0", func(r *collectorpb.ExportMetricsServiceRequest) {
		select {
		case got <- r:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(addr), otlpmetricgrpc.WithInsecure())
	if err != nil {
		return nil, err
	}
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)),
		sdkmetric.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "checkout"), attribute.String("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09"),
			attribute.String("host.name", "node-1"), attribute.String("os.type", "linux"), attribute.Int("process.pid", 1),
			attribute.String("telemetry.sdk.language", "go"), attribute.String("telemetry.sdk.name", "opentelemetry"),
			attribute.String("telemetry.sdk.version", "1.47.0"))))
	defer provider.Shutdown(context.WithoutCancel(ctx))
	in, err := newInstruments(provider, series)
	if err != nil {
		return nil, err
	}
	for range 100 {
		in.all()
	}
	if err := provider.ForceFlush(ctx); err != nil {
		return nil, err
	}
	p := &payload{request: <-got}
	for _, rm := range p.request.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				switch data := m.Data.(type) {
				case *metricspb.Metric_Sum:
					p.points += len(data.Sum.DataPoints)
					p.samples += len(data.Sum.DataPoints)
				case *metricspb.Metric_Histogram:
					for _, dp := range data.Histogram.DataPoints {
						p.points++
						p.samples += len(dp.BucketCounts) + 2 // each bucket, sum and count
					}
				}
			}
		}
	}
	if p.points != series {
		return nil, fmt.Errorf("the export has %d points, want %d", p.points, series)
	}
	return p, nil
}

// of is the same export by another instance of the service, as bytes.
func (p *payload) of(instance int) ([]byte, error) {
	r := proto.CloneOf(p.request)
	for _, kv := range r.ResourceMetrics[0].Resource.Attributes {
		if kv.Key == "service.instance.id" {
			kv.Value = &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: "instance-" + strconv.Itoa(instance)}}
		}
	}
	return proto.Marshal(r)
}
