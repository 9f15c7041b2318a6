package main

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/otelnet/agent"
	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/capture"
)

// How long each part of an orderly end may take.
const (
	closeServers = 2 * time.Second
	closeAgent   = 3 * time.Second
)

//go:embed rules.yaml
var builtinRules []byte

// serve runs the demo until ctx ends, and returns nil then.
func serve(ctx context.Context, s settings, t timing, out *console) (err error) {
	captures, removeCaptures := captureDir(s.captures, out)
	defer removeCaptures()
	a, err := startAgent(ctx, s, t, captures, out)
	if err != nil {
		return err
	}
	defer func() {
		// What the Collector did not take is no failure of the demo's.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeAgent)
		defer cancel()
		if err := a.Shutdown(ctx); err != nil {
			out.logger.Warn("agent did not end in order", "error", oneLine(err))
		}
	}()
	defer reloadOnHangup(a, out)()
	shop := &shop{}
	if shop.warehouse, err = openWarehouse(); err != nil {
		return err
	}
	defer shop.warehouse.close()
	svc, err := open(s, routes(shop), out.serverLog())
	if err != nil {
		return err
	}
	return svc.run(ctx, s, t, out, shop, a.AdminURL())
}

// captureDir returns where captures go, and what removes them. A directory that somebody asked for stays; the demo's
// own goes with the demo, as does everything else that it has. Where there is room for none, "", it runs without.
func captureDir(asked string, out *console) (dir string, remove func()) {
	if asked != "" {
		return asked, func() {}
	}
	dir, err := os.MkdirTemp("", "demo-captures-")
	if err != nil {
		out.logger.Warn("alerts are not captured; -captures DIR names a directory for that", "error", err)
		return "", func() {}
	}
	return dir, func() { os.RemoveAll(dir) }
}

// startAgent is the one call that a service adds, with a few options for the show.
func startAgent(ctx context.Context, s settings, t timing, captures string, out *console) (*agent.Agent, error) {
	quietByDefault()
	opts := []agent.Option{
		agent.WithAdminAddr(s.admin),
		agent.WithNotifier(out),
		agent.WithTick(t.tick),
		agent.WithLogger(out.logger),
	}
	if t.profile > 0 {
		opts = append(opts, agent.WithCaptureConfig(capture.Config{CPUTime: t.profile}))
	}
	if captures != "" {
		opts = append(opts, agent.WithCaptureDir(captures), agent.WithFlightRecorder())
	}
	if os.Getenv("OTEL_SERVICE_NAME") == "" {
		opts = append(opts, agent.WithServiceName("demo-service"))
	}
	if s.rules != "" {
		opts = append(opts, agent.WithRulesFile(s.rules))
	} else {
		rules, err := alertproc.Load("rules.yaml", bytes.NewReader(builtinRules))
		if err != nil {
			return nil, err
		}
		opts = append(opts, agent.WithRules(rules))
	}
	return agent.Start(ctx, opts...)
}

// quietByDefault turns exporting off where nobody has asked for it: the specification's default would complain about a
// Collector that is not there.
func quietByDefault() {
	for _, name := range []string{"OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"} {
		if os.Getenv(name) != "" {
			return
		}
	}
	os.Setenv("OTEL_METRICS_EXPORTER", "none")
}

// service is everything that listens.
type service struct {
	http  *httpServer
	https *httpServer // nil without
	echo  *echoServer // nil without
	cert  tls.Certificate
	load  targets
}

// open listens on all ports or on none.
func open(s settings, mux http.Handler, errorLog *log.Logger) (*service, error) {
	svc := &service{}
	if err := svc.listen(s, mux, errorLog); err != nil {
		svc.close(context.Background())
		return nil, err
	}
	return svc, nil
}

func (svc *service) listen(s settings, mux http.Handler, errorLog *log.Logger) (err error) {
	if svc.http, err = listenHTTP(s.addr, "http", mux, nil, errorLog); err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	svc.load.http = reachable(svc.http.listener.Addr())
	if s.tlsAddr != "" {
		if svc.cert, svc.load.roots, err = selfSigned(); err != nil {
			return err
		}
		svc.https, err = orAnyPort(s.tlsAddr, s.anyTLS, func(addr string) (*httpServer, error) {
			return listenHTTP(addr, "https", mux, &svc.cert, errorLog)
		})
		if err != nil {
			return fmt.Errorf("-tls: %w", err)
		}
		svc.load.https = reachable(svc.https.listener.Addr())
	}
	if s.echoAddr != "" {
		if svc.echo, err = orAnyPort(s.echoAddr, s.anyEcho, listenEcho); err != nil {
			return fmt.Errorf("-echo: %w", err)
		}
		svc.load.tcp, svc.load.udp = reachable(svc.echo.tcp.Addr()), reachable(svc.echo.udp.LocalAddr())
	}
	return nil
}

// orAnyPort listens on addr, or on any port of its host if that fails and nobody asked for this one.
func orAnyPort[T any](addr string, anyPort bool, listen func(addr string) (T, error)) (T, error) {
	l, err := listen(addr)
	if err == nil || !anyPort {
		return l, err
	}
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		return l, err
	}
	return listen(net.JoinHostPort(host, "0"))
}

// reachable returns an address to dial for one that was listened on: loopback in place of "all addresses".
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}

// run serves, generates the load and stages the incident until ctx ends or a server fails.
func (svc *service) run(ctx context.Context, s settings, t timing, out *console, shop *shop, page string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients, err := newClients(svc.load)
	if err != nil {
		svc.close(context.Background())
		return err
	}
	load := &generator{jobs: clients.jobs(), rate: s.load, grace: loadGrace}

	var servers, work sync.WaitGroup
	server := func(serve func() error) {
		servers.Go(func() {
			if err := serve(); err != nil {
				cancel(err)
			}
		})
	}
	server(svc.http.serve)
	if svc.https != nil {
		server(svc.https.serve)
	}
	if svc.echo != nil {
		server(svc.echo.serveTCP)
		server(svc.echo.serveUDP)
	}
	intro := scene{
		http: svc.load.http, https: svc.load.https, echo: svc.load.tcp,
		page: page, token: os.Getenv("OTELNET_ADMIN_TOKEN") != "",
		load: s.load, incident: s.incidentIn(t), captures: s.captures,
	}
	out.introduce(intro)
	work.Go(func() { load.run(ctx) })
	if intro.incident >= 0 {
		in := s.which()
		set := func(on bool) { in.set(shop, svc.echo, on) }
		if in.load != nil {
			set = alongside(ctx, &work, set, func(ctx context.Context) { in.load(ctx, clients) })
		}
		work.Go(func() { stage(ctx, intro.incident, t.incidentFor, set, tellIncident(out, in)) })
	}

	work.Wait() // both end with ctx
	clients.close()
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), closeServers)
	defer done()
	svc.close(closing)
	servers.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	out.event(fmt.Sprintf("ended; %d jobs done by the load, %d skipped", load.started.Load(), load.skipped.Load()))
	return nil
}

// incidentIn says when the incident begins; negative for never.
func (s settings) incidentIn(t timing) time.Duration {
	switch s.incident {
	case incidentOff:
		return -1
	case incidentNow:
		return 0
	default:
		return t.incidentAfter
	}
}

// which is the incident to stage, unless there is none.
func (s settings) which() incident {
	switch s.incident {
	case incidentAuto, incidentNow, incidentOff:
		return findIncident(theIncident)
	default:
		return findIncident(s.incident)
	}
}

// alongside returns a set that has do run for as long as it is on.
func alongside(ctx context.Context, work *sync.WaitGroup, set func(bool), do func(context.Context)) func(bool) {
	stop := func() {}
	return func(on bool) {
		if stop(); on {
			var during context.Context
			during, stop = context.WithCancel(ctx)
			work.Go(func() { do(during) })
		}
		set(on)
	}
}

func tellIncident(out *console, in incident) func(begins bool) {
	return func(begins bool) {
		if begins {
			out.event("incident begins: " + in.begins)
		} else {
			out.event("incident ends: " + in.ends + "; the alerts resolve as their windows pass")
		}
	}
}

func (svc *service) close(ctx context.Context) {
	for _, s := range []*httpServer{svc.http, svc.https} {
		if s != nil {
			s.close(ctx)
		}
	}
	if svc.echo != nil {
		svc.echo.close()
	}
}
