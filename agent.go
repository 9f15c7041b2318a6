package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/runtimemetrics"
	"github.com/otelnet/agent/spool"
)

// historyKeep is how far the live page looks back.
const historyKeep = time.Hour

// shutdownTimeout bounds [Agent.Shutdown] when its context has no deadline.
const shutdownTimeout = 10 * time.Second

// Agent is what [Start] started. Its methods are safe for concurrent use.
type Agent struct {
	config     config
	resource   *resource.Resource
	metrics    *metricPipeline
	tracer     *sdktrace.TracerProvider // nil without tracing
	propagator propagation.TextMapPropagator
	traceOut   *outage // nil without tracing
	runtime    *runtimemetrics.Collector
	alerts     *alertproc.Processor
	history    *history.Store
	admin      *admin.Server     // nil when off
	scrape     *scrapeServer     // nil unless variables ask for it
	captures   *capture.Capturer // nil without a directory
	ticker     *ticker

	externalURL string // what links begin with; "" for where the page is

	shutdown    sync.Once     // begins it
	ended       chan struct{} // closed when it has ended, with the error
	shutdownErr error
}

// Start sets up metrics, tracing where asked for, alert rules and the admin server, and makes the providers
// OpenTelemetry's global ones, with an error handler that tells each trouble once. ctx bounds the set-up alone; [Agent.Shutdown] ends the agent.
//
// Every mistake in the options, the environment and the rules files is reported, joined in one error, and then nothing
// has been started. A Collector that cannot be reached is no mistake: the service runs on, one line is logged, and
// cumulative sums are whole again once it is back.
//
// With OTEL_SDK_DISABLED=true the returned agent does nothing and costs nothing.
func Start(ctx context.Context, opts ...Option) (*Agent, error) {
	s, envErr := readEnv()
	c, optErr := newConfig(s, opts)
	rules, rulesErr := loadRules(c)
	if err := errors.Join(envErr, optErr, rulesErr); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	a := &Agent{config: c, ended: make(chan struct{})}
	if s.disabled {
		return a, nil
	}
	if err := a.start(ctx, s, rules); err != nil {
		a.abandon(ctx)
		return nil, err
	}
	return a, nil
}

// newConfig applies the options over the defaults and the environment.
func newConfig(s settings, opts []Option) (config, error) {
	c := config{
		adminAddr:        s.adminAddr,
		adminToken:       s.adminToken,
		adminCert:        s.adminCert,
		adminKey:         s.adminKey,
		stateFile:        s.stateFile,
		historyFile:      s.historyFile,
		captures:         s.captures,
		spoolDir:         s.spoolDir,
		spoolMaxBytes:    s.spoolMaxBytes,
		spoolMaxAge:      s.spoolMaxAge,
		file:             s.file,
		toFile:           s.metricsExporter == exporterFile,
		tick:             DefaultTick,
		cardinalityLimit: DefaultCardinalityLimit,
	}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	if len(c.ruleFiles) == 0 && s.rulesFile != "" {
		c.ruleFiles = []string{s.rulesFile}
	}
	var errs []error
	if c.spoolMaxBytes < spool.MinMaxBytes {
		errs = append(errs, fmt.Errorf("WithSpoolMaxBytes(%d): allowed: %d or more", c.spoolMaxBytes, spool.MinMaxBytes))
	}
	if c.spoolMaxAge <= 0 {
		errs = append(errs, fmt.Errorf("WithSpoolMaxAge(%v): allowed: more than 0", c.spoolMaxAge))
	}
	if c.tick < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("WithTick(%v): allowed: 100ms or more", c.tick))
	}
	if c.cardinalityLimit <= 0 {
		errs = append(errs, fmt.Errorf("WithCardinalityLimit(%d): allowed: a positive number", c.cardinalityLimit))
	}
	if c.adminAddr != "" {
		if err := admin.CheckAddr(c.adminAddr, c.adminToken); err != nil {
			errs = append(errs, fmt.Errorf("%s, %s (WithAdminAddr, WithAdminToken): %w", envAdminAddr, envAdminToken, err))
		}
	}
	if (c.adminCert == "") != (c.adminKey == "") {
		errs = append(errs, fmt.Errorf("WithAdminTLS(%q, %q): allowed: PEM files of a certificate and its key, both or neither", c.adminCert, c.adminKey))
	}
	if c.metricExporter == nil && c.toFile && c.file.Path == "" {
		errs = append(errs, fmt.Errorf("%s: %q needs to know which: set %s or WithMetricsFile too", envMetricsExporter, exporterFile, envFile))
	}
	if c.metricExporter == nil && !c.toFile && s.metricsExporter == exporterPrometheus && c.adminAddr == "" && s.scrapeAddr == "" {
		errs = append(errs, fmt.Errorf("%s: %q serves /metrics on the admin server: set %s or WithAdminAddr too, or %s for a port of its own",
			envMetricsExporter, exporterPrometheus, envAdminAddr, envPrometheusPort))
	}
	errs = append(errs, c.checkCaptures())
	return c, errors.Join(errs...)
}

func (a *Agent) start(ctx context.Context, s settings, rules alertproc.Config) (err error) {
	c := a.config
	a.resource = newResource(ctx, c)
	if tracing(c, s) {
		if a.tracer, a.traceOut, err = newTracerProvider(ctx, c, s, a.resource); err != nil {
			return err
		}
	}
	if a.metrics, err = newMetricPipeline(ctx, c, s, a.resource, rules, a.tracer != nil); err != nil {
		return err
	}
	own, err := newInstruments(a.metrics.provider, a.outages()...)
	if err != nil {
		return err
	}
	if a.runtime, err = a.metrics.startRuntime(); err != nil {
		return err
	}
	rules.MeterProvider = a.metrics.provider
	a.externalURL, rules.Evidence = rules.ExternalURL, a.evidence
	rules.ExternalURL = cmp.Or(rules.ExternalURL, externalURL(c.adminAddr, c.adminCert != ""))
	if a.alerts, err = alertproc.New(rules); err != nil {
		return err
	}
	if a.history, err = history.New(history.Config{
		Keep:     historyKeep,
		GapAfter: 2*c.tick + c.tick/2, // one late tick is no gap, a missing one is
		File:     c.historyFile,
	}); err != nil {
		return err
	}
	if err := a.history.LoadError(); err != nil {
		c.log().Warn("otelnet: the history file cannot be used", "error", err)
	}
	if a.captures, err = a.startCaptures(rules); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	a.ticker = newTicker(c.tick, a.metrics.tick, own.ticked,
		consumer{"alert rules", a.alerts.Evaluate},
		consumer{"history", func(_ context.Context, at time.Time, rm *metricdata.ResourceMetrics) error {
			if rm != nil {
				a.history.Append(at, rm)
			}
			return nil
		}},
	)
	if c.adminAddr != "" {
		if a.admin, err = a.startAdmin(); err != nil {
			return fmt.Errorf("agent: %w", err)
		}
	}
	if a.metrics.scrape != nil && s.scrapeAddr != "" {
		if a.scrape, err = startScrapeServer(s.scrapeAddr, a.metrics.scrape, c.log()); err != nil {
			return err
		}
	}
	a.propagator = newPropagator(s)
	if !c.withoutGlobals {
		a.setGlobals()
	}
	a.ticker.start()
	for _, o := range a.outages() {
		if o.spool != nil {
			o.spool.sendLeft(ctx)
		}
	}
	return nil
}

// abandon undoes what start has begun, and leaves nothing of it: no export, in a spool neither, and no file of the history.
func (a *Agent) abandon(ctx context.Context) {
	for _, o := range a.outages() {
		o.mute.Store(true)
	}
	a.history = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = a.Shutdown(ctx)
}

// outages are those of the signals that are exported.
func (a *Agent) outages() []*outage {
	var all []*outage
	if a.tracer != nil {
		all = append(all, a.traceOut)
	}
	if a.metrics != nil && a.metrics.outage != nil {
		all = append(all, a.metrics.outage)
	}
	return all
}

func (a *Agent) setGlobals() {
	otel.SetErrorHandler(&errorLog{logger: a.config.log})
	otel.SetMeterProvider(a.metrics.provider)
	if a.tracer != nil {
		otel.SetTracerProvider(a.tracer)
		otel.SetTextMapPropagator(a.propagator)
	}
}

// MeterProvider returns the provider that everything is recorded into. It is never nil; with the SDK disabled it
// records nothing.
func (a *Agent) MeterProvider() metric.MeterProvider {
	if a.metrics == nil {
		return metricnoop.NewMeterProvider()
	}
	return a.metrics.provider
}

// TracerProvider returns the provider of spans. It is never nil; without tracing it makes none.
func (a *Agent) TracerProvider() trace.TracerProvider {
	if a.tracer == nil {
		return tracenoop.NewTracerProvider()
	}
	return a.tracer
}

// Alerts returns the processor of the alert rules, for subscribing to transitions; nil with the SDK disabled.
func (a *Agent) Alerts() *alertproc.Processor { return a.alerts }

// AdminURL returns the address of the live page, ending in a slash, or "" when the admin server is off.
func (a *Agent) AdminURL() string {
	if a.admin == nil {
		return ""
	}
	return a.admin.URL()
}

// ReloadRules reads the rules files again. Either all of the new rules take effect, keeping the state of those that
// stayed, or the error says what is wrong with them and the old rules go on.
func (a *Agent) ReloadRules() error {
	if a.alerts == nil {
		return nil
	}
	rules, err := loadRules(a.config)
	if err != nil {
		return fmt.Errorf("agent: rules not reloaded, the old ones stay: %w", err)
	}
	rules.MeterProvider = a.metrics.provider
	if err := a.alerts.Reload(rules); err != nil {
		return fmt.Errorf("agent: rules not reloaded, the old ones stay: %w", err)
	}
	return nil
}

// ForceFlush exports what has been recorded up to now and returns the export's error.
func (a *Agent) ForceFlush(ctx context.Context) error {
	if a.metrics == nil {
		return nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	errs := []error{a.metrics.provider.ForceFlush(ctx)}
	if a.tracer != nil {
		errs = append(errs, a.tracer.ForceFlush(ctx), a.traceOut.flush(ctx))
	}
	if a.metrics.outage != nil {
		errs = append(errs, a.metrics.outage.flush(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("agent: flush: %w", err)
	}
	return nil
}

// log is where the agent writes.
func (c config) log() *slog.Logger {
	if c.logger != nil {
		return c.logger
	}
	return slog.Default()
}
