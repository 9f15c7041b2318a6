package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelnet/agent/spool"
)

// clearEnv unsets every variable the agent heeds, for the length of the test.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, v := range envVars {
		t.Setenv(v.name, "")
	}
}

func TestReadEnvDefaults(t *testing.T) {
	clearEnv(t)
	got, err := readEnv()
	if err != nil {
		t.Fatal(err)
	}
	want := settings{
		metricsExporter: "otlp",
		metricsProtocol: "grpc",
		tracesExporter:  "none",
		tracesProtocol:  "grpc",
		propagators:     []string{"tracecontext", "baggage"},
		spoolMaxBytes:   128 << 20,
		spoolMaxAge:     24 * time.Hour,
		file:            spool.FileConfig{MaxBytes: 64 << 20, MaxFiles: 4},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{})); diff != "" {
		t.Errorf("settings with nothing set (-want +got):\n%s", diff)
	}
}

func TestReadEnvSignalBeforeGeneral(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", " http/protobuf ")
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_SDK_DISABLED", "TRUE")
	got, err := readEnv()
	if err != nil {
		t.Fatal(err)
	}
	if got.metricsProtocol != "http/protobuf" || got.tracesProtocol != "grpc" || got.tracesExporter != "otlp" || !got.disabled {
		t.Errorf("settings = %+v, want metrics over http/protobuf, traces over grpc, disabled", got)
	}
}

// Names of things are read as the specification has it, whatever their case; what only looks set is unset; and what is set
// for other parts of the process, as the exporter of its logs, is none of the agent's business.
func TestReadEnvAccepts(t *testing.T) {
	clearEnv(t)
	for name, value := range map[string]string{
		"OTEL_METRICS_EXPORTER":                                    "OTLP",
		"OTEL_TRACES_EXPORTER":                                     " Console ",
		"OTEL_LOGS_EXPORTER":                                       "otlp",
		"OTEL_EXPORTER_OTLP_PROTOCOL":                              "HTTP/Protobuf",
		"OTEL_PROPAGATORS":                                         "TraceContext",
		"OTEL_METRICS_EXEMPLAR_FILTER":                             "Always_On",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE":        "Delta",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "Base2_Exponential_Bucket_Histogram",
		"OTEL_EXPORTER_OTLP_ENDPOINT":                              "\t ",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT":                      "https://[::1]:4318/otlp/v1/metrics",
		"OTEL_EXPORTER_OTLP_HEADERS":                               ",Authorization=Bearer%20x==, x-empty=,",
		"OTEL_RESOURCE_ATTRIBUTES":                                 ",team=a,",
		"OTEL_BSP_MAX_QUEUE_SIZE":                                  "4096",
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE":                           "4096",
		"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT":                        "-1",
	} {
		t.Setenv(name, value)
	}
	got, err := readEnv()
	if err != nil {
		t.Fatal(err)
	}
	if got.metricsExporter != "otlp" || got.tracesExporter != "console" || got.metricsProtocol != "http/protobuf" ||
		got.tracesProtocol != "http/protobuf" || got.exemplarFilter != "always_on" || !got.exponential ||
		!slices.Equal(got.propagators, []string{"tracecontext"}) {
		t.Errorf("settings = %+v", got)
	}
	if team := resourceString(newResource(t.Context(), config{}), "team"); team != "a" {
		t.Errorf("resource attribute team = %q, want a", team)
	}
}

func TestReadEnvSocketsNeedGRPC(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///run/otel.sock")
	if _, err := readEnv(); err != nil {
		t.Errorf("over grpc: %v", err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf")
	if _, err := readEnv(); err == nil || !strings.HasPrefix(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT: allowed with the protocol http/protobuf") {
		t.Errorf("over HTTP: %v", err)
	}
	t.Setenv("OTEL_METRICS_EXPORTER", "console")
	if _, err := readEnv(); err != nil {
		t.Errorf("with nothing exported over HTTP: %v", err)
	}
}

func TestReadEnvRefusesWrongValues(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "not.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, value, want string }{
		{"OTEL_SDK_DISABLED", "1", "allowed: true, false"},
		{"OTEL_EXPORTER_PROMETHEUS_PORT", "http", "allowed: a whole number from 1 to 65535"},
		{"OTEL_METRICS_EXPORTER", "otpl", "allowed: otlp, console, file, prometheus, none"},
		{"OTEL_TRACES_EXPORTER", "zipkin", "allowed: otlp, console, none"},
		{"OTEL_PROPAGATORS", "tracecontext,b3", "list of tracecontext, baggage, none"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "allowed: grpc, http/protobuf"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", "a URL such as http://localhost:4317"},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://", "a URL such as"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "authorization", "key=value pairs"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=%zz", `that of "a" is not`},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "whole number of milliseconds"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "-1", "whole number of milliseconds"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "99999999999999999999", "whole number of milliseconds"},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "allowed: gzip, none"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", notPEM, "there is none in it"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", notPEM + ".absent", "no such file"},
		{"OTEL_EXPORTER_OTLP_CLIENT_KEY", notPEM, "both set, or neither"},
		{"OTELNET_ADMIN_CERT", notPEM, "OTELNET_ADMIN_CERT and OTELNET_ADMIN_KEY both set, or neither"},
		{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both", "allowed: cumulative, delta, lowmemory"},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP", "allowed: gzip, none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:70000", "a URL such as"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:pw@collector:4317", "credentials belong into the HEADERS variable"},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://collector/v1/metrics?key=1", "a URL without a query"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer c2VjcmV0=", "the key of number 1 is not the name of a header"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,x-b=line%0Abreak", `printable ASCII; that of "x-b" is not`},
		{"OTEL_METRIC_EXPORT_INTERVAL", " 1000", "whole number of milliseconds"},
		{"OTEL_METRICS_EXEMPLAR_FILTER", "on", "allowed: always_on, always_off, trace_based"},
		{"OTEL_TRACES_SAMPLER", "half", "allowed: always_on"},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN", "a number from 0 to 1"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "many", "a whole number from 1 to 10000000"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "-1", "a whole number from 1 to 10000000"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "100000000000", "a whole number from 1 to 10000000"},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", "a whole number from 1 to 2048, which is OTEL_BSP_MAX_QUEUE_SIZE"},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "a whole number from 1 to 2048, which is OTEL_BSP_MAX_QUEUE_SIZE"},
		{"OTEL_BSP_SCHEDULE_DELAY", "0", "a whole number of milliseconds from 1"},
		{"OTEL_BSP_EXPORT_TIMEOUT", "-1", "a whole number from 0"},
		{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-2", "a whole number from -1"},
		{"OTELNET_SPOOL_MAX_BYTES", "128MiB", "a whole number of bytes, 65536 or more"},
		{"OTELNET_SPOOL_MAX_BYTES", "1000", "a whole number of bytes, 65536 or more"},
		{"OTELNET_METRICS_FILE_MAX_BYTES", "1", "a whole number of bytes, 65536 or more"},
		{"OTELNET_METRICS_FILE_MAX_FILES", "0", "a whole number from 1 to 10000"},
		{"OTELNET_SPOOL_MAX_AGE", "1d", "a duration such as 90m or 24h"},
		{"OTELNET_SPOOL_MAX_AGE", "0s", "more than 0"},
		{"OTELNET_FLIGHT_RECORDER", "on", "allowed: true, false"},
		{"OTELNET_CONTINUOUS_PROFILE", "30s", "a duration of a minute or more"},
		{"OTEL_RESOURCE_ATTRIBUTES", "team", "key=value pairs"},
	}
	for _, test := range tests {
		t.Run(test.name+"="+filepath.Base(test.value), func(t *testing.T) {
			clearEnv(t)
			t.Setenv(test.name, test.value)
			_, err := readEnv()
			if err == nil {
				t.Fatalf("%s=%s was accepted", test.name, test.value)
			}
			if !strings.HasPrefix(err.Error(), test.name+": ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %q, want the variable first and %q", err, test.want)
			}
		})
	}
}

// What a wrong value leaves open counts as unset: one mistake is one line.
func TestReadEnvMistakesStayAlone(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_METRICS_EXPORTER": "x", "OTELNET_SPOOL_MAX_BYTES": "-5", "OTELNET_SPOOL_MAX_AGE": "1", "OTELNET_METRICS_FILE_MAX_BYTES": "1",
		"OTELNET_CONTINUOUS_PROFILE": "1s", "OTELNET_FLIGHT_RECORDER": "yes", "OTELNET_ADMIN_CERT": "x", "OTELNET_ADMIN_ADDR": "6060",
	} {
		clearEnv(t)
		t.Setenv(name, value)
		_, err := Start(t.Context(), WithoutGlobals())
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: got %v, want one line that names the variable", name, value, err)
		}
	}
}

func TestMisspeltVariables(t *testing.T) {
	for name, want := range map[string]string{
		"OTELNET_RULE": envRules, "OTELNET_SPOOLDIR": envSpoolDir, "OTELNET_SPOOL_MAX_BYTE": envSpoolMaxBytes, "OTELNET_CAPTURES_DIR": envCaptureDir,
		envRules: "", "OTELNET_REPORT_TOKEN": "", "OTEL_RULES": "", "PATH": "",
		"OTELNET_PORT": "", "OTELNET_SERVICE_HOST": "", "OTELNET_PORT_4317_TCP_ADDR": "", // of a Kubernetes service named otelnet
	} {
		errs := misspelt([]string{name + "=x"})
		if want == "" && len(errs) > 0 || want != "" && (len(errs) != 1 || !strings.HasSuffix(errs[0].Error(), "did you mean "+want+"?")) {
			t.Errorf("%s: got %v, want %q", name, errs, want)
		}
	}
}

// Every mistake is told in one go, and what may be a secret is not repeated.
func TestReadEnvJoinsAndHides(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "otpl")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "user:hunter2@collector")
	_, err := readEnv()
	if err == nil {
		t.Fatal("no error")
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 3 {
		t.Errorf("%d errors, want 3:\n%v", n, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error repeats a secret:\n%v", err)
	}
}
