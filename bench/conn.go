package main

import (
	"context"
	"fmt"
	"net"

	promconntrack "github.com/mwitkow/go-conntrack"
	"github.com/prometheus/client_golang/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/otelnet"
)

var connSubjects = []string{bare, ours, oursCalls, conntrack, mutexMap, addPerCall}

// wrapping is a way to watch connections.
type wrapping struct {
	listen  func(net.Listener) (net.Listener, error)
	dial    func(network, address string) (net.Conn, error)
	collect func() error // reads what has been counted; nil if there is nothing
}

func newWrapping(subject string) (w wrapping, err error) {
	switch subject {
	case bare:
		w.listen = func(ln net.Listener) (net.Listener, error) { return ln, nil }
		w.dial = net.Dial
	case ours, oursCalls:
		reader, provider := newProvider()
		w.listen = func(ln net.Listener) (net.Listener, error) {
			if subject == oursCalls {
				ln = opaqueListener{ln}
			}
			return otelnet.NewListener(ln, otelnet.WithMeterProvider(provider), otelnet.WithName("bench"))
		}
		dialer, err := otelnet.NewDialer(nil, otelnet.WithMeterProvider(provider))
		if err != nil {
			return w, err
		}
		w.dial = dialer.Dial
		w.collect = collectFrom(reader)
	case conntrack:
		w.listen = func(ln net.Listener) (net.Listener, error) {
			return promconntrack.NewListener(ln, promconntrack.TrackWithName("bench")), nil
		}
		dial := promconntrack.NewDialContextFunc(promconntrack.DialWithName("bench"))
		w.dial = func(network, address string) (net.Conn, error) {
			return dial(context.Background(), network, address)
		}
		w.collect = func() error {
			_, err := prometheus.DefaultGatherer.Gather()
			return err
		}
	case mutexMap:
		m := newMonitor()
		w = wrapEach(m.track)
		w.collect = m.collect
	case addPerCall:
		reader, provider := newProvider()
		c, err := newAdder(provider)
		if err != nil {
			return w, err
		}
		w = wrapEach(c.track)
		w.collect = collectFrom(reader)
	default:
		return w, fmt.Errorf("no wrapping %q", subject)
	}
	return w, nil
}

// newProvider returns a provider with the SDK's defaults and a reader that collects when it is asked to.
func newProvider() (*sdkmetric.ManualReader, *sdkmetric.MeterProvider) {
	reader := sdkmetric.NewManualReader()
	return reader, sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
}

func collectFrom(reader sdkmetric.Reader) func() error {
	var rm metricdata.ResourceMetrics
	return func() error { return reader.Collect(context.Background(), &rm) }
}

// wrapEach is the wrapping of those who only have a function for a connection.
func wrapEach(track func(net.Conn) net.Conn) wrapping {
	return wrapping{
		listen: func(ln net.Listener) (net.Listener, error) { return trackingListener{ln, track}, nil },
		dial: func(network, address string) (net.Conn, error) {
			c, err := net.Dial(network, address)
			if err != nil {
				return nil, err
			}
			return track(c), nil
		},
	}
}

type trackingListener struct {
	net.Listener
	track func(net.Conn) net.Conn
}

func (l trackingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.track(c), nil
}

// opaqueListener hides what its connections are, so that nobody can ask the kernel about them.
type opaqueListener struct{ net.Listener }

func (l opaqueListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

// listenOn returns a listener of the subject on a free port of loopback.
func (w wrapping) listenOn() (net.Listener, error) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return w.listen(inner)
}
