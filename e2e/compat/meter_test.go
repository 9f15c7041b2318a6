package compat

import (
	"context"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/e2e/internal/stack"
	"github.com/otelnet/agent/otelnet"
)

// meter collects what otelnet records in one test.
type meter struct {
	provider *sdkmetric.MeterProvider
	reader   *sdkmetric.ManualReader
}

func newMeter() *meter {
	r := sdkmetric.NewManualReader()
	return &meter{reader: r, provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(r))}
}

func (m *meter) option() otelnet.Option { return otelnet.WithMeterProvider(m.provider) }

// total adds up the points of a sum, or the counts of a histogram, that have all the attributes.
func (m *meter) total(name string, with ...attribute.KeyValue) int64 {
	var rm metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &rm); err != nil {
		panic(err) // a manual reader of this process has no reason to fail
	}
	sum := int64(0)
	add := func(set attribute.Set, n int64) {
		for _, kv := range with {
			if v, ok := set.Value(kv.Key); !ok || v != kv.Value {
				return
			}
		}
		sum += n
	}
	for _, scope := range rm.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if metric.Name != name {
				continue
			}
			switch data := metric.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, int64(p.Count))
				}
			default:
				panic(fmt.Sprintf("metric %s has data of type %T", name, data))
			}
		}
	}
	return sum
}

// flow is what one side has sent and received, in bytes.
type flow struct{ Sent, Received int64 }

// flow returns the bytes that otelnet counted on one side.
func (m *meter) flow(side otelnet.Side) flow {
	on := attribute.String("otelnet.side", string(side))
	return flow{
		Sent:     m.total("otelnet.connection.io", on, attribute.String("network.io.direction", "transmit")),
		Received: m.total("otelnet.connection.io", on, attribute.String("network.io.direction", "receive")),
	}
}

// wantTotal waits until the metric has the value: the other end of a socket takes its time.
func (m *meter) wantTotal(t *testing.T, want int64, name string, with ...attribute.KeyValue) {
	t.Helper()
	stack.Until(t, patience, name, func(context.Context) error {
		if got := m.total(name, with...); got != want {
			return fmt.Errorf("got %d, want %d", got, want)
		}
		return nil
	})
}

// wantFlow waits until otelnet has counted on this side what the witness saw there. The traffic must be over: what is counted
// only grows, so a count that is too high never passes.
func (m *meter) wantFlow(t *testing.T, side otelnet.Side, witness func() flow) {
	t.Helper()
	stack.Until(t, patience, "bytes of the "+string(side), func(context.Context) error {
		want := witness()
		if got := m.flow(side); got != want {
			return fmt.Errorf("got %+v, want %+v", got, want)
		}
		if want.Sent == 0 || want.Received == 0 {
			return fmt.Errorf("the witness saw %+v: no traffic", want)
		}
		return nil
	})
}

// wantSent is wantFlow for connections that are closed: what came after the close was never received.
func (m *meter) wantSent(t *testing.T, side otelnet.Side, witness func() flow) {
	t.Helper()
	stack.Until(t, patience, "bytes sent by the "+string(side), func(context.Context) error {
		if got, want := m.flow(side).Sent, witness().Sent; got != want {
			return fmt.Errorf("got %d, want %d", got, want)
		}
		return nil
	})
}

// connections returns the rows of the table in which the name of the listener or target, or an address, is this.
func connections(t *testing.T, state, match string) []otelnet.ConnInfo {
	t.Helper()
	var rows []otelnet.ConnInfo
	for _, row := range otelnet.Connections(otelnet.Filter{State: state, Match: match}) {
		if row.Name == match || row.Peer == match || row.Local == match {
			rows = append(rows, row)
		}
	}
	return rows
}

// byValue adds up the counts of a histogram by one of its attributes.
func (m *meter) byValue(name string, key attribute.Key) map[string]int64 {
	var rm metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &rm); err != nil {
		panic(err)
	}
	counts := map[string]int64{}
	for _, scope := range rm.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if data, ok := metric.Data.(metricdata.Histogram[float64]); ok && metric.Name == name {
				for _, p := range data.DataPoints {
					v, _ := p.Attributes.Value(key)
					counts[v.AsString()] += int64(p.Count)
				}
			}
		}
	}
	return counts
}
