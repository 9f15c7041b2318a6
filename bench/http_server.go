package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/otelnet"
)

// serverScenario measures a whole service: a real server, requests over loopback on connections that are kept, and
// everything on that a service would have on.
func serverScenario() scenario {
	return scenario{
		name:     "server",
		subjects: []string{bare, ours, otelHTTP, promHTTP},
		start:    startServer,
		drive:    driveServer,
		round:    2 * time.Second, // so that ticks of one second fall into each
		rows: []row{
			{label: "HTTP/1.1 server over loopback, CPU a request", of: cpuTime, show: costRatio, goals: goals{ours: 1.05}},
			{label: "HTTP/1.1 server over loopback, allocations", of: allocs, show: extraCount},
		},
	}
}

//go:embed rules.yaml
var rules string

func startServer(subject string) (*work, error) {
	var ln net.Listener
	var err error
	srv := &http.Server{}
	if subject == ours {
		// Listener, handler, runtime metrics, alert rules, a tick of one second.
		a, err := startAgent()
		if err != nil {
			return nil, err
		}
		if ln, err = otelnet.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
		otelnet.Instrument(srv)
		srv.Handler, err = instrumentedHandler(subject, a.MeterProvider())
		if err != nil {
			return nil, err
		}
	} else {
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(nowhere{})))
		if srv.Handler, err = instrumentedHandler(subject, provider); err != nil {
			return nil, err
		}
	}
	go srv.Serve(ln)
	return &work{addr: ln.Addr().String()}, nil
}

// nowhere is an exporter that costs nothing, so that no network and no encoding are measured.
type nowhere struct{}

func (nowhere) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (nowhere) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (nowhere) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (nowhere) ForceFlush(context.Context) error                          { return nil }
func (nowhere) Shutdown(context.Context) error                            { return nil }

// clients is how many connections send requests at the same time.
const clients = 8

// driveServer sends n requests. Its clients do no more than write bytes and wait for those they know will come.
func driveServer(address string, n int) (func(), error) {
	done := make(chan error, clients)
	for i := range clients {
		share := n / clients
		if i < n%clients {
			share++
		}
		go func() {
			done <- dialed(address, func(c net.Conn) error { return ask(c, share) })
		}()
	}
	var errs []error
	for range clients {
		errs = append(errs, <-done)
	}
	return nil, errors.Join(errs...)
}

func ask(c net.Conn, n int) error {
	answer := make([]byte, 4096)
	for range n {
		if _, err := io.WriteString(c, "GET /items/1 HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"); err != nil {
			return err
		}
		for got := 0; !bytes.HasSuffix(answer[:got], []byte("\r\n\r\n"+body)); {
			k, err := c.Read(answer[got:])
			if err != nil {
				return fmt.Errorf("after %.100q: %w", answer[:got], err)
			}
			got += k
		}
	}
	return nil
}
