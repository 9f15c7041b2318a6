package agent

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/internal/spelling"
	"github.com/otelnet/agent/spool"
)

// The variables that the agent itself acts on. The others of envVars are read by the SDK and its exporters, which skip
// over a wrong value; they stand in the table so that it is refused instead.
const (
	envSDKDisabled     = "OTEL_SDK_DISABLED"
	envServiceName     = "OTEL_SERVICE_NAME"
	envMetricsExporter = "OTEL_METRICS_EXPORTER"
	envTracesExporter  = "OTEL_TRACES_EXPORTER"
	envProtocol        = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envMetricsProtocol = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"
	envTracesProtocol  = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	envExemplarFilter  = "OTEL_METRICS_EXEMPLAR_FILTER"
	envPrometheusHost  = "OTEL_EXPORTER_PROMETHEUS_HOST"
	envPrometheusPort  = "OTEL_EXPORTER_PROMETHEUS_PORT"
	envHistograms      = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
	envPropagators     = "OTEL_PROPAGATORS"
	envBSPQueue        = "OTEL_BSP_MAX_QUEUE_SIZE"
	envBSPBatch        = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
	envAdminAddr       = "OTELNET_ADMIN_ADDR"
	envAdminToken      = "OTELNET_ADMIN_TOKEN"
	envAdminCert       = "OTELNET_ADMIN_CERT"
	envAdminKey        = "OTELNET_ADMIN_KEY"
	envRules           = "OTELNET_RULES"
	envStateFile       = "OTELNET_STATE_FILE"
	envHistoryFile     = "OTELNET_HISTORY_FILE"

	envCaptureDir        = "OTELNET_CAPTURE_DIR"
	envFlightRecorder    = "OTELNET_FLIGHT_RECORDER"
	envContinuousProfile = "OTELNET_CONTINUOUS_PROFILE"
	envSpoolDir          = "OTELNET_SPOOL_DIR"
	envSpoolMaxBytes     = "OTELNET_SPOOL_MAX_BYTES"
	envSpoolMaxAge       = "OTELNET_SPOOL_MAX_AGE"
	envFile              = "OTELNET_METRICS_FILE"
	envFileMaxBytes      = "OTELNET_METRICS_FILE_MAX_BYTES"
	envFileMaxFiles      = "OTELNET_METRICS_FILE_MAX_FILES"
)

// Values of the exporter and protocol variables.
const (
	exporterOTLP       = "otlp"
	exporterConsole    = "console"
	exporterNone       = "none"
	exporterPrometheus = "prometheus"
	exporterFile       = "file"

	protocolGRPC         = "grpc"
	protocolHTTPProtobuf = "http/protobuf"

	histogramExponential = "base2_exponential_bucket_histogram"
)

// settings is what the environment says of the things the agent decides itself.
type settings struct {
	disabled        bool
	metricsExporter string
	metricsProtocol string
	tracesExporter  string // none unless asked for
	tracesProtocol  string
	exemplarFilter  string // "" when not set
	scrapeAddr      string // of /metrics, "" for the admin server's
	exponential     bool   // histograms are to have exponential buckets
	propagators     []string
	adminAddr       string
	adminToken      string
	adminCert       string
	adminKey        string
	rulesFile       string
	stateFile       string
	historyFile     string
	captures        capture.Config
	spoolDir        string
	spoolMaxBytes   int64
	spoolMaxAge     time.Duration
	file            spool.FileConfig
}

// envVar is a variable and what it accepts. A check answers nil, or what is allowed.
type envVar struct {
	name   string
	check  func(value string) error
	secret bool // the value is never repeated in an error
	exact  bool // the SDK does not trim it, and would pass over a value with space around it
}

var (
	protocols = oneOf(protocolGRPC, protocolHTTPProtobuf)
	exporters = oneOf(exporterOTLP, exporterConsole, exporterNone)
)

// envVars holds every variable that has an effect on a process with the agent in it.
var envVars = slices.Concat(
	[]envVar{
		{name: envSDKDisabled, check: boolean},
		{name: envServiceName, check: anything},
		{name: "OTEL_RESOURCE_ATTRIBUTES", check: keyValues},
		{name: envMetricsExporter, check: oneOf(exporterOTLP, exporterConsole, exporterFile, exporterPrometheus, exporterNone)},
		{name: envTracesExporter, check: exporters},
		{name: envPropagators, check: listOf("tracecontext", "baggage", "none")},
		{name: "OTEL_METRIC_EXPORT_INTERVAL", check: milliseconds, exact: true},
		{name: "OTEL_METRIC_EXPORT_TIMEOUT", check: milliseconds, exact: true},
		{name: envPrometheusHost, check: anything},
		{name: envPrometheusPort, check: numberBetween(1, 65535)},
		{name: envExemplarFilter, check: oneOf("always_on", "always_off", "trace_based")},
		{name: "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", check: oneOf("cumulative", "delta", "lowmemory")},
		{name: envHistograms, check: oneOf("explicit_bucket_histogram", histogramExponential)},
		{name: "OTEL_TRACES_SAMPLER", check: oneOf("always_on", "always_off", "traceidratio",
			"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")},
		{name: "OTEL_TRACES_SAMPLER_ARG", check: fraction},
		{name: envAdminAddr, check: anything},
		{name: envAdminToken, check: anything, secret: true},
		{name: envAdminCert, check: keyPairOf(envAdminCert, envAdminKey)},
		{name: envAdminKey, check: keyPairOf(envAdminCert, envAdminKey)},
		{name: envRules, check: anything},
		{name: envStateFile, check: anything},
		{name: envHistoryFile, check: anything},
		{name: envCaptureDir, check: anything},
		{name: envFlightRecorder, check: boolean},
		{name: envContinuousProfile, check: minutes},
		{name: envSpoolDir, check: anything},
		{name: envSpoolMaxBytes, check: bytesFrom(spool.MinMaxBytes)},
		{name: envSpoolMaxAge, check: duration},
		{name: envFile, check: anything},
		{name: envFileMaxBytes, check: bytesFrom(spool.MinFileMaxBytes)},
		{name: envFileMaxFiles, check: numberBetween(1, 10_000)},
	},
	otlpVars("OTEL_EXPORTER_OTLP_"),
	otlpVars("OTEL_EXPORTER_OTLP_METRICS_"),
	otlpVars("OTEL_EXPORTER_OTLP_TRACES_"),
	[]envVar{
		{name: envBSPQueue, check: numberBetween(1, bspMax), exact: true}, // it is allocated at once
		{name: envBSPBatch, check: batchSize, exact: true},
		{name: "OTEL_BSP_SCHEDULE_DELAY", check: milliseconds, exact: true}, // with 0 the SDK would not pause at all
		{name: "OTEL_BSP_EXPORT_TIMEOUT", check: numberBetween(0, day.Milliseconds()), exact: true},
	},
	limits(
		"OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
		"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
		"OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
	),
)

// otlpVars are the settings that exist for all signals and for each.
func otlpVars(prefix string) []envVar {
	return []envVar{
		{name: prefix + "PROTOCOL", check: protocols},
		{name: prefix + "ENDPOINT", check: endpoint, secret: true}, // it may carry user:password
		{name: prefix + "HEADERS", check: headers, secret: true},
		{name: prefix + "TIMEOUT", check: milliseconds},
		{name: prefix + "COMPRESSION", check: exactly("gzip", "none")}, // the SDK takes any other spelling for none
		{name: prefix + "INSECURE", check: boolean},
		{name: prefix + "CERTIFICATE", check: certificates},
		{name: prefix + "CLIENT_CERTIFICATE", check: keyPairOf(prefix+"CLIENT_CERTIFICATE", prefix+"CLIENT_KEY")},
		{name: prefix + "CLIENT_KEY", check: keyPairOf(prefix+"CLIENT_CERTIFICATE", prefix+"CLIENT_KEY")},
	}
}

func limits(names ...string) []envVar {
	vars := make([]envVar, 0, len(names))
	for _, name := range names {
		vars = append(vars, envVar{name: name, check: numberBetween(-1, math.MaxInt32), exact: true})
	}
	return vars
}

// readEnv checks every variable and returns what the agent needs of them. The error joins all mistakes; a variable with one has
// its default then, so that what depends on it is not found wrong too. An empty variable counts as unset, as the specification has
// it, and so does one of nothing but space.
func readEnv() (settings, error) {
	errs := misspelt(os.Environ())
	wrong := make(map[string]bool)
	for _, v := range envVars {
		value := os.Getenv(v.name)
		checked := strings.TrimSpace(value)
		if checked == "" {
			continue
		}
		if v.exact {
			checked = value
		}
		if err := v.check(checked); err != nil {
			shown := strconv.Quote(value)
			if v.secret {
				shown = "the value (not shown)"
			}
			errs = append(errs, fmt.Errorf("%s: %s is not usable: %w", v.name, shown, err))
			wrong[v.name] = true
		}
	}
	env := func(name, def string) string {
		if wrong[name] {
			return def
		}
		return env(name, def)
	}
	choice := func(name, def string) string { return strings.ToLower(env(name, def)) } // the specification has names in any case
	number := func(name string, def int64) int64 {
		if n, err := strconv.ParseInt(env(name, ""), 10, 64); err == nil {
			return n
		}
		return def
	}
	s := settings{
		metricsExporter: choice(envMetricsExporter, exporterOTLP),
		metricsProtocol: choice(envMetricsProtocol, choice(envProtocol, protocolGRPC)),
		tracesExporter:  choice(envTracesExporter, exporterNone),
		tracesProtocol:  choice(envTracesProtocol, choice(envProtocol, protocolGRPC)),
		exemplarFilter:  choice(envExemplarFilter, ""),
		scrapeAddr:      scrapeAddr(env(envPrometheusHost, ""), env(envPrometheusPort, "")),
		exponential:     choice(envHistograms, "") == histogramExponential,
		propagators:     splitList(choice(envPropagators, "tracecontext,baggage")),
		adminAddr:       env(envAdminAddr, ""),
		adminToken:      env(envAdminToken, ""),
		adminCert:       env(envAdminCert, ""),
		adminKey:        env(envAdminKey, ""),
		rulesFile:       env(envRules, ""),
		stateFile:       env(envStateFile, ""),
		historyFile:     env(envHistoryFile, ""),
		spoolDir:        env(envSpoolDir, ""),
		spoolMaxBytes:   number(envSpoolMaxBytes, spool.DefaultMaxBytes),
		spoolMaxAge:     spool.DefaultMaxAge,
		file: spool.FileConfig{
			Path:     env(envFile, ""),
			MaxBytes: number(envFileMaxBytes, spool.DefaultFileMaxBytes),
			MaxFiles: int(number(envFileMaxFiles, spool.DefaultFileMaxFiles)),
		},
	}
	if d, err := time.ParseDuration(env(envSpoolMaxAge, "")); err == nil {
		s.spoolMaxAge = d
	}
	s.captures = capture.Config{
		Dir:            env(envCaptureDir, ""),
		FlightRecorder: strings.EqualFold(env(envFlightRecorder, "false"), "true"),
	}
	s.captures.Continuous, _ = time.ParseDuration(env(envContinuousProfile, "0s")) // it was checked
	s.disabled = strings.EqualFold(env(envSDKDisabled, "false"), "true")
	return s, errors.Join(append(errs, s.checkSockets())...)
}

// misspelt finds variables that differ from one of ours by a letter or two: nobody else can mean them, and they would be passed over
// silently. Others that begin with OTELNET_ are let be, since Kubernetes makes some of the names of services.
func misspelt(environ []string) (errs []error) {
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "OTELNET_") || slices.ContainsFunc(envVars, func(v envVar) bool { return v.name == name }) {
			continue
		}
		for _, v := range envVars {
			if strings.HasPrefix(v.name, "OTELNET_") && spelling.Distance(name, v.name) <= 2 {
				errs = append(errs, fmt.Errorf("%s: is no variable of the agent; did you mean %s?", name, v.name))
				break
			}
		}
	}
	return errs
}

// env returns the variable's value without surrounding space, or def if it is empty.
func env(name, def string) string {
	if v := strings.TrimSpace(os.Getenv(name)); v != "" {
		return v
	}
	return def
}

func splitList(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
