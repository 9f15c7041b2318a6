package agent

import (
	"cmp"
	"log/slog"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/spool"
)

// Defaults of what the options set.
const (
	DefaultTick             = 5 * time.Second // between evaluations of the rules, with no page open
	DefaultCardinalityLimit = 2000            // attribute sets per instrument
)

// viewerTick is the tick while somebody looks at the page.
const viewerTick = time.Second

// Option configures [Start].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config is what the options say; the environment is in settings.
type config struct {
	serviceName      string
	resource         *resource.Resource
	ruleFiles        []string
	rules            []alertproc.Config
	notifiers        []alertproc.Notifier
	stateFile        string
	historyFile      string
	spoolDir         string
	spoolMaxBytes    int64
	spoolMaxAge      time.Duration
	file             spool.FileConfig
	toFile           bool // whatever OTEL_METRICS_EXPORTER says
	adminAddr        string
	adminToken       string
	adminCert        string
	adminKey         string
	captures         capture.Config
	tick             time.Duration
	views            []sdkmetric.View
	metricExporter   sdkmetric.Exporter
	spanExporter     sdktrace.SpanExporter
	cardinalityLimit int
	withoutGlobals   bool
	logger           *slog.Logger
}

// WithServiceName sets the resource attribute service.name. It wins over OTEL_SERVICE_NAME; with neither, the name is
// "unknown_service:" and the program's file name.
func WithServiceName(name string) Option {
	return optionFunc(func(c *config) { c.serviceName = name })
}

// WithResource adds the attributes of r to the resource. They win over detected ones and over
// OTEL_RESOURCE_ATTRIBUTES; [WithServiceName] wins over them. A nil r adds nothing.
func WithResource(r *resource.Resource) Option {
	return optionFunc(func(c *config) { c.resource = r })
}

// WithRulesFile adds the alert rules of a YAML file (see package alertproc). Given more than once, the files' groups
// are evaluated side by side. [Agent.ReloadRules] reads them again. It wins over OTELNET_RULES.
func WithRulesFile(path string) Option {
	return optionFunc(func(c *config) { c.ruleFiles = append(c.ruleFiles, path) })
}

// WithRules adds alert rules given in Go, beside those of any file.
func WithRules(cfg alertproc.Config) Option {
	return optionFunc(func(c *config) { c.rules = append(c.rules, cfg) })
}

// WithNotifier adds a receiver of alert notifications beside those that the rules' configuration names.
func WithNotifier(n alertproc.Notifier) Option {
	return optionFunc(func(c *config) { c.notifiers = append(c.notifiers, n) })
}

// WithStateFile keeps the state of alerts in this file, so that pending and firing ones and error budgets go on after a
// restart. A file that cannot be read is told and put aside, never a reason not to start. It wins over
// OTELNET_STATE_FILE; "" keeps nothing.
func WithStateFile(path string) Option {
	return optionFunc(func(c *config) { c.stateFile = path })
}

// WithHistoryFile keeps the live page's last hour in this file over a restart. It is read by Start and written by
// [Agent.Shutdown]. A file that cannot be used is told and put aside. It wins over OTELNET_HISTORY_FILE; "" keeps
// nothing.
func WithHistoryFile(path string) Option {
	return optionFunc(func(c *config) { c.historyFile = path })
}

// WithSpoolDir keeps what is to go over OTLP on disk, in this directory, while the Collector cannot be reached, and sends it in order when
// it is back, after a restart too. Each signal has a spool of its own in it. Several processes of one service may share the directory; two
// services must not. Where nothing goes over OTLP it has no effect. It wins over OTELNET_SPOOL_DIR; "" keeps nothing. A directory
// that cannot be used is an error of [Start].
func WithSpoolDir(dir string) Option {
	return optionFunc(func(c *config) { c.spoolDir = dir })
}

// WithSpoolMaxBytes bounds each spool's files; the oldest requests give way and are counted. Default [spool.DefaultMaxBytes], 128 MiB,
// and at least [spool.MinMaxBytes]. It wins over OTELNET_SPOOL_MAX_BYTES.
func WithSpoolMaxBytes(n int64) Option {
	return optionFunc(func(c *config) { c.spoolMaxBytes = n })
}

// WithSpoolMaxAge sets how old a request may be when it is sent; older ones are dropped and counted. Default [spool.DefaultMaxAge], a day. It
// wins over OTELNET_SPOOL_MAX_AGE.
func WithSpoolMaxAge(d time.Duration) Option {
	return optionFunc(func(c *config) { c.spoolMaxAge = d })
}

// WithMetricsFile writes metrics to this file, as OTLP in JSON, one export a line, and exports them nowhere else: OTEL_METRICS_EXPORTER=file
// in code. The Collector's otlp_json_file receiver and "otelnet rules replay" read it. A file gives way to a new one at maxBytes, and at
// most maxFiles are kept; 0 takes OTELNET_METRICS_FILE_MAX_BYTES and OTELNET_METRICS_FILE_MAX_FILES, or [spool.DefaultFileMaxBytes]
// and [spool.DefaultFileMaxFiles]. A file that cannot be written, or that another process writes, is an error of [Start].
func WithMetricsFile(path string, maxBytes int64, maxFiles int) Option {
	return optionFunc(func(c *config) {
		c.toFile = true
		c.file.Path = path
		c.file.MaxBytes = cmp.Or(maxBytes, c.file.MaxBytes)
		c.file.MaxFiles = cmp.Or(maxFiles, c.file.MaxFiles)
	})
}

// WithAdminAddr turns the admin server on: the live page, its API and pprof, on host:port. Port 0 takes a free one,
// see [Agent.AdminURL]. An address that other machines reach needs [WithAdminToken] too. It wins over
// OTELNET_ADMIN_ADDR; "" leaves the server off.
func WithAdminAddr(addr string) Option {
	return optionFunc(func(c *config) { c.adminAddr = addr })
}

// WithAdminToken asks every visitor of the admin server for this token, as an "Authorization: Bearer" header or once
// at /login. It wins over OTELNET_ADMIN_TOKEN.
func WithAdminToken(token string) Option {
	return optionFunc(func(c *config) { c.adminToken = token })
}

// WithAdminTLS makes the admin server speak HTTPS alone, with this certificate and key, both PEM files. They are read by
// Start, where a pair that cannot be used is an error, and again when they change. It wins over OTELNET_ADMIN_CERT and
// OTELNET_ADMIN_KEY; "" for both leaves the server with plain HTTP.
func WithAdminTLS(certFile, keyFile string) Option {
	return optionFunc(func(c *config) { c.adminCert, c.adminKey = certFile, keyFile })
}

// WithCaptureDir keeps captures in this directory, which is made if it is not there: the evidence of alerts whose rules
// have `capture:`, and what [Agent.Capture] and the page ask for. Each process needs its own. It wins over
// OTELNET_CAPTURE_DIR; "" means no captures. docs/captures.md tells what they hold and what they may cost.
func WithCaptureDir(dir string) Option {
	return optionFunc(func(c *config) { c.captures.Dir = dir })
}

// WithFlightRecorder keeps the execution trace of the last ten seconds in memory, so that captures show what led up to
// them. It costs CPU time with every scheduling event and system call, about 1.6 µs for an HTTP request: a fifth of one
// that does nothing, half a percent of one that works for a third of a millisecond; and about 10 MiB of memory.
// OTELNET_FLIGHT_RECORDER=true does the same.
func WithFlightRecorder() Option {
	return optionFunc(func(c *config) { c.captures.FlightRecorder = true })
}

// WithContinuousProfile records a CPU profile of ten seconds, the heap and the goroutines at this interval while no
// alert fires, so that there is something to compare an incident with. At least a minute; 0 means never. It wins over
// OTELNET_CONTINUOUS_PROFILE.
func WithContinuousProfile(every time.Duration) Option {
	return optionFunc(func(c *config) { c.captures.Continuous = every })
}

// WithCaptureConfig replaces all settings of captures, for those who want other limits. What the agent knows is filled in
// where it is not set: Connections, History, Quiet, MeterProvider, Service and Instance.
func WithCaptureConfig(cfg capture.Config) Option {
	return optionFunc(func(c *config) { c.captures = cfg })
}

// WithTick sets how often the rules are evaluated and the history is extended. Default [DefaultTick]; at least 100 ms.
// While a page is open the tick is at most one second.
func WithTick(d time.Duration) Option {
	return optionFunc(func(c *config) { c.tick = d })
}

// WithViews adds OpenTelemetry SDK views, for example to drop an instrument or change its buckets.
func WithViews(views ...sdkmetric.View) Option {
	return optionFunc(func(c *config) { c.views = append(c.views, views...) })
}

// WithMetricExporter replaces the exporter that OTEL_METRICS_EXPORTER would choose. The agent shuts it down.
func WithMetricExporter(e sdkmetric.Exporter) Option {
	return optionFunc(func(c *config) { c.metricExporter = e })
}

// WithSpanExporter turns tracing on with this exporter in place of the one OTEL_TRACES_EXPORTER would choose. The agent
// shuts it down. Without this option and that variable there is no tracing, and its cost is not paid.
func WithSpanExporter(e sdktrace.SpanExporter) Option {
	return optionFunc(func(c *config) { c.spanExporter = e })
}

// WithCardinalityLimit sets how many attribute sets an instrument may have before further ones are recorded together
// under otel.metric.overflow=true. Default [DefaultCardinalityLimit]; it must be positive.
func WithCardinalityLimit(n int) Option {
	return optionFunc(func(c *config) { c.cardinalityLimit = n })
}

// WithoutGlobals leaves OpenTelemetry's global providers, propagator and error handler alone. Hand [Agent.MeterProvider] and
// [Agent.TracerProvider] to the wrappers then.
func WithoutGlobals() Option {
	return optionFunc(func(c *config) { c.withoutGlobals = true })
}

// WithLogger sets where the agent writes its few lines: alerts of the log notifier, an export that began to fail and
// its recovery. Default is slog.Default() at the time of each line.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) { c.logger = l })
}
