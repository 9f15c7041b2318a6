package main

import (
	"context"
	"net"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// adder counts by an OpenTelemetry instrument in each call, in the cheapest way its API has: the options are ready.
type adder struct {
	io             metric.Int64Counter
	active         metric.Int64UpDownCounter
	received, sent []metric.AddOption
	open           []metric.AddOption
}

func newAdder(provider metric.MeterProvider) (*adder, error) {
	meter := provider.Meter("bench")
	io, err := meter.Int64Counter("bench.connection.io", metric.WithUnit("By"))
	if err != nil {
		return nil, err
	}
	active, err := meter.Int64UpDownCounter("bench.active_connections")
	if err != nil {
		return nil, err
	}
	with := func(kv ...attribute.KeyValue) []metric.AddOption {
		kv = append(kv, attribute.String("listener", "bench"), attribute.String("network.transport", "tcp"))
		return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(kv...))}
	}
	return &adder{
		io:       io,
		active:   active,
		received: with(attribute.String("network.io.direction", "receive")),
		sent:     with(attribute.String("network.io.direction", "transmit")),
		open:     with(),
	}, nil
}

func (a *adder) track(c net.Conn) net.Conn {
	a.active.Add(context.Background(), 1, a.open...)
	return &addingConn{c, a}
}

type addingConn struct {
	net.Conn
	adder *adder
}

func (c *addingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.adder.io.Add(context.Background(), int64(n), c.adder.received...)
	return n, err
}

func (c *addingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.adder.io.Add(context.Background(), int64(n), c.adder.sent...)
	return n, err
}

func (c *addingConn) Close() error {
	c.adder.active.Add(context.Background(), -1, c.adder.open...)
	return c.Conn.Close()
}
