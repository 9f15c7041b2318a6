package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/otelnet/agent"
	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/otelnet"
)

// The parts of the measured service, each with those before it.
const (
	withAgent    = "agent"              // runtime metrics, alert rules, a tick of one second
	withListener = "and listener"       // connections counted
	withJoin     = "and Instrument"     // and told apart by the server's states
	withHandler  = "and handler, no-op" // and requests joined, into instruments that do nothing
)

var partSubjects = []string{bare, withAgent, withListener, withJoin, withHandler, ours}

// partsScenario tells what each part of the service of serverScenario adds.
func partsScenario() scenario {
	return scenario{
		name:     "parts",
		subjects: partSubjects,
		start:    startParts,
		drive:    driveServer,
		rounds:   60,
		ops:      8_000, // short rounds: the least of many is a quiet moment
		rows: []row{
			{label: "HTTP/1.1 server over loopback, CPU a request", of: cpuTime, show: extraNanoseconds, best: true},
		},
	}
}

func startParts(subject string) (*work, error) {
	if subject == bare {
		return startServer(bare)
	}
	a, err := startAgent()
	if err != nil {
		return nil, err
	}
	srv := &http.Server{}
	listen := otelnet.Listen
	switch subject {
	case withAgent:
		listen = func(network, address string, _ ...otelnet.ListenerOption) (net.Listener, error) {
			return net.Listen(network, address)
		}
		srv.Handler, err = instrumentedHandler(bare, nil)
	case withListener:
		srv.Handler, err = instrumentedHandler(bare, nil)
	case withJoin:
		otelnet.Instrument(srv)
		srv.Handler, err = instrumentedHandler(bare, nil)
	case withHandler:
		otelnet.Instrument(srv)
		srv.Handler, err = instrumentedHandler(ours, metricnoop.NewMeterProvider())
	case ours:
		otelnet.Instrument(srv)
		srv.Handler, err = instrumentedHandler(ours, a.MeterProvider())
	default:
		err = fmt.Errorf("no part %q", subject)
	}
	if err != nil {
		return nil, err
	}
	ln, err := listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go srv.Serve(ln)
	return &work{addr: ln.Addr().String()}, nil
}

// startAgent starts what a service would have beside its listener and handler.
func startAgent() (*agent.Agent, error) {
	cfg, err := alertproc.Load("rules.yaml", strings.NewReader(rules))
	if err != nil {
		return nil, err
	}
	return agent.Start(context.Background(),
		agent.WithServiceName("bench"), agent.WithTick(time.Second), agent.WithRules(cfg), agent.WithMetricExporter(nowhere{}))
}
