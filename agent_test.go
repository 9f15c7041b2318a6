package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/internal/freeaddr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is an exporter that keeps what matters of every export.
type recorder struct {
	temporality metricdata.Temporality
	export      func(context.Context) error // nil succeeds

	mu        sync.Mutex
	sums      map[string][]int64 // by metric name, one value an export
	resource  map[string]string
	shutdowns int
}

func (r *recorder) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	if r.temporality == 0 {
		return metricdata.CumulativeTemporality
	}
	return r.temporality
}

func (r *recorder) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (r *recorder) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if r.export != nil {
		if err := r.export(ctx); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resource = map[string]string{}
	for _, kv := range rm.Resource.Attributes() {
		r.resource[string(kv.Key)] = kv.Value.String()
	}
	if r.sums == nil {
		r.sums = map[string][]int64{}
	}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
				for _, dp := range sum.DataPoints {
					r.sums[m.Name] = append(r.sums[m.Name], dp.Value)
				}
			}
		}
	}
	return nil
}

func (r *recorder) ForceFlush(context.Context) error { return nil }

func (r *recorder) Shutdown(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shutdowns++
	return nil
}

func (r *recorder) values(name string) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int64(nil), r.sums[name]...)
}

// start starts an agent that the test ends, quiet and without globals.
func start(t *testing.T, opts ...Option) *Agent {
	t.Helper()
	a, err := Start(t.Context(), append([]Option{WithoutGlobals(), WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = a.Shutdown(ctx) // tests that care look at the error themselves
	})
	return a
}

func counter(t *testing.T, a *Agent) metric.Int64Counter {
	t.Helper()
	c, err := a.MeterProvider().Meter("test").Int64Counter("test.events")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The tick collects from the exporting reader dozens of times between exports; every export must still be exact.
func TestTicksLeaveExportsExact(t *testing.T) {
	for _, temporality := range []metricdata.Temporality{metricdata.CumulativeTemporality, metricdata.DeltaTemporality} {
		t.Run(temporality.String(), func(t *testing.T) {
			clearEnv(t)
			exported := &recorder{temporality: temporality}
			ticks := make(chan int64, 1)
			seen := alertproc.Config{Groups: []alertproc.Group{{Name: "seen", Every: 100 * time.Millisecond, Rules: []alertproc.Rule{{
				Alert: "Seen",
				Func: func(_ context.Context, rm *metricdata.ResourceMetrics) ([]alertproc.Sample, error) {
					select {
					case ticks <- total(rm, "test.events"):
					default:
					}
					return nil, nil
				},
				Warn: alertproc.Above(0),
			}}}}}
			a := start(t, WithMetricExporter(exported), WithRules(seen), WithTick(100*time.Millisecond))
			events := counter(t, a)
			want := int64(0)
			for round := range 3 {
				for range 1000 {
					events.Add(t.Context(), 1)
				}
				want += 1000
				waitFor(t, fmt.Sprintf("a tick that sees %d events", want), func() bool { return <-ticks == want })
				if err := a.ForceFlush(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := exported.values("test.events")
				last, sum := got[len(got)-1], int64(0)
				for _, v := range got {
					sum += v
				}
				if temporality == metricdata.CumulativeTemporality && last != want {
					t.Errorf("export %d said %d events, want %d", round, last, want)
				}
				if temporality == metricdata.DeltaTemporality && sum != want {
					t.Errorf("exports up to %d sum up to %d events, want %d: %v", round, sum, want, got)
				}
			}
		})
	}
}

// total is the sum over all points of an int64 counter.
func total(rm *metricdata.ResourceMetrics, name string) int64 {
	var n int64
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				for _, dp := range sum.DataPoints {
					n += dp.Value
				}
			}
		}
	}
	return n
}

// waitFor polls a condition that another goroutine brings about.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30s for %s", what)
		}
		runtime.Gosched()
	}
}

func TestResource(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_SERVICE_NAME", "from-env")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=net,deployment.environment.name=from-env")
	exported := &recorder{}
	a := start(t, WithMetricExporter(exported), WithServiceName("checkout"),
		WithResource(resource.NewSchemaless(attribute.String("deployment.environment.name", "from-code"))))
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"service.name":                "checkout",
		"deployment.environment.name": "from-code",
		"team":                        "net",
		"host.name":                   host,
		"os.type":                     runtime.GOOS,
		"process.pid":                 fmt.Sprint(os.Getpid()),
		"process.runtime.version":     runtime.Version(),
		"telemetry.sdk.name":          "opentelemetry",
	}
	for k, v := range want {
		if got := exported.resource[k]; got != v {
			t.Errorf("resource attribute %s = %q, want %q", k, got, v)
		}
	}
	if len(exported.resource["service.instance.id"]) != 36 {
		t.Errorf("service.instance.id = %q, want a UUID", exported.resource["service.instance.id"])
	}
	for _, secret := range []string{"process.command_args", "process.owner"} {
		if v, found := exported.resource[secret]; found {
			t.Errorf("resource has %s = %q, want none: it may hold a secret", secret, v)
		}
	}
}

func TestShutdownFlushesOnceAndIsIdempotent(t *testing.T) {
	clearEnv(t)
	exported := &recorder{}
	a := start(t, WithMetricExporter(exported))
	counter(t, a).Add(t.Context(), 7)
	for range 3 {
		if err := a.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := exported.values("test.events"); len(got) != 1 || got[0] != 7 {
		t.Errorf("exports of test.events = %v, want one of 7", got)
	}
	if exported.shutdowns != 1 {
		t.Errorf("exporter shut down %d times, want once", exported.shutdowns)
	}
	if got := exported.values("go.goroutine.count"); len(got) != 1 || got[0] < 2 {
		t.Errorf("go.goroutine.count in the last export = %v, want the runtime's number", got)
	}
}

func TestShutdownIsBoundedByItsContext(t *testing.T) {
	clearEnv(t)
	release := make(chan struct{})
	a := start(t, WithMetricExporter(&recorder{export: func(context.Context) error { // heeds no context
		<-release
		return nil
	}}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := a.Shutdown(ctx) // which returns although the export is held until below
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "metrics") {
		t.Errorf("Shutdown = %v, want DeadlineExceeded naming metrics", err)
	}
	close(release)
}

// Whoever else asks for a shutdown that is under way waits no longer than it wants to, and is then told what the first is.
func TestShutdownTwiceAtOnce(t *testing.T) {
	clearEnv(t)
	exporting, release := make(chan struct{}), make(chan struct{})
	failed := errors.New("not taken")
	a := start(t, WithMetricExporter(&recorder{export: func(context.Context) error {
		close(exporting)
		<-release
		return failed
	}}))
	first := make(chan error, 1)
	go func() { first <- a.Shutdown(context.Background()) }()
	<-exporting
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown while another runs = %v, want Canceled", err)
	}
	close(release)
	if err := a.Shutdown(context.Background()); !errors.Is(err, failed) {
		t.Errorf("second Shutdown = %v, want %v", err, failed)
	}
	if err := <-first; !errors.Is(err, failed) {
		t.Errorf("first Shutdown = %v, want %v", err, failed)
	}
	if err := a.Shutdown(ctx); !errors.Is(err, failed) {
		t.Errorf("Shutdown afterwards, within a context that has ended = %v, want %v", err, failed)
	}
}

func TestExportErrorIsReturnedAndCounted(t *testing.T) {
	clearEnv(t)
	down := errors.New("collector is away")
	exported := &recorder{}
	exported.export = func(context.Context) error { return down }
	a := start(t, WithMetricExporter(exported))
	if err := a.ForceFlush(t.Context()); !errors.Is(err, down) {
		t.Errorf("ForceFlush = %v, want %v", err, down)
	}
	exported.export = nil
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Errorf("ForceFlush after recovery = %v", err)
	}
	if got := exported.values(metricExportFailures); len(got) != 1 || got[0] != 1 {
		t.Errorf("%s = %v, want 1", metricExportFailures, got)
	}
}

// An address where nobody listens must not keep the service from starting, running or ending.
func TestUnreachableCollector(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			clearEnv(t)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+freeaddr.Loopback(t))
			t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
			a := start(t)
			counter(t, a).Add(t.Context(), 1)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := a.Shutdown(ctx); err == nil {
				t.Error("Shutdown with an unreachable Collector gave no error, though the last export was lost")
			}
		})
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte("groups:\n- name: a\n  rulez: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		opts []Option
		env  map[string]string
		want []string
	}{
		{"address without a host", nil, map[string]string{"OTELNET_ADMIN_ADDR": "6060"}, []string{"OTELNET_ADMIN_ADDR", "host:port"}},
		{"port that cannot be", nil, map[string]string{"OTELNET_ADMIN_ADDR": "127.0.0.1:99999"}, []string{"OTELNET_ADMIN_ADDR", "host:port"}},
		{
			"short token", nil,
			map[string]string{"OTELNET_ADMIN_ADDR": "127.0.0.1:0", "OTELNET_ADMIN_TOKEN": "short"},
			[]string{"OTELNET_ADMIN_TOKEN", "5 bytes", "at least 16"},
		},
		{"misspelt variable", nil, map[string]string{"OTELNET_ADMIM_ADDR": "x"}, []string{"OTELNET_ADMIM_ADDR", "did you mean OTELNET_ADMIN_ADDR?"}},
		{"taken port", []Option{WithAdminAddr(taken.Addr().String())}, nil, []string{taken.Addr().String(), "in use"}},
		{"rules file with a typo", []Option{WithRulesFile(rules)}, nil, []string{rules + ":3", "rulez", "rules"}},
		{"absent rules file", nil, map[string]string{"OTELNET_RULES": rules + ".absent"}, []string{"OTELNET_RULES", "rules.yaml.absent"}},
		{"tick too short", []Option{WithTick(time.Millisecond)}, nil, []string{"WithTick(1ms)", "100ms or more"}},
		{"cardinality limit", []Option{WithCardinalityLimit(0)}, nil, []string{"WithCardinalityLimit(0)"}},
		{"prometheus without a server", nil, map[string]string{"OTEL_METRICS_EXPORTER": "prometheus"}, []string{"OTELNET_ADMIN_ADDR", "OTEL_EXPORTER_PROMETHEUS_PORT"}},
		{"certificate without its key", []Option{WithAdminAddr("127.0.0.1:0"), WithAdminTLS(rules, "")}, nil, []string{"WithAdminTLS", "both or neither"}},
		{"no certificate in it", []Option{WithAdminAddr("127.0.0.1:0"), WithAdminTLS(rules, rules)}, nil, []string{rules, "PEM"}},
		{"flight recorder without a directory", []Option{WithFlightRecorder()}, nil, []string{"WithFlightRecorder", "OTELNET_CAPTURE_DIR"}},
		{
			"profiles without a directory", nil,
			map[string]string{"OTELNET_CONTINUOUS_PROFILE": "10m"},
			[]string{"WithContinuousProfile", "OTELNET_CAPTURE_DIR"},
		},
		{"captures in a file", []Option{WithCaptureDir(rules)}, nil, []string{"OTELNET_CAPTURE_DIR", rules, "not a directory"}},
		{
			"profiles too often",
			[]Option{WithCaptureDir(t.TempDir()), WithContinuousProfile(time.Second)},
			nil,
			[]string{"Continuous", "a minute or more"},
		},
		{"open to the network without a token", []Option{WithAdminAddr("0.0.0.0:0")}, nil, []string{"token"}},
		{
			"several at once",
			[]Option{WithTick(1), WithRulesFile(rules)},
			map[string]string{"OTEL_TRACES_EXPORTER": "x"},
			[]string{"WithTick", "rulez", "OTEL_TRACES_EXPORTER"},
		},
		{
			"several of the environment",
			nil,
			map[string]string{"OTEL_TRACES_EXPORTER": "x", "OTELNET_ADMIN_ADDR": "x"},
			[]string{"OTEL_TRACES_EXPORTER", "OTELNET_ADMIN_ADDR"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clearEnv(t)
			if test.env["OTEL_METRICS_EXPORTER"] == "" {
				t.Setenv("OTEL_METRICS_EXPORTER", "none")
			}
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			a, err := Start(t.Context(), append(test.opts, WithoutGlobals())...)
			if err == nil {
				_ = a.Shutdown(t.Context())
				t.Fatal("Start accepted it")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

// A Start that fails late has exported nothing and kept nothing.
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	fails := func(t *testing.T, opts ...Option) {
		t.Helper()
		a, err := Start(t.Context(), append(opts, WithoutGlobals(), WithAdminAddr(taken.Addr().String()))...)
		if err == nil {
			_ = a.Shutdown(t.Context())
			t.Fatal("Start on a port that is taken gave no error")
		}
	}
	t.Run("files", func(t *testing.T) {
		clearEnv(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+freeaddr.Loopback(t))
		t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
		dir := t.TempDir()
		fails(t, WithSpoolDir(dir), WithHistoryFile(filepath.Join(dir, "history")), WithStateFile(filepath.Join(dir, "state")))
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "lock" {
				t.Errorf("%s was left behind", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("metrics file", func(t *testing.T) {
		clearEnv(t)
		path := filepath.Join(t.TempDir(), "metrics.jsonl")
		fails(t, WithMetricsFile(path, 0, 0))
		if b, err := os.ReadFile(path); err != nil || len(b) > 0 {
			t.Errorf("the file holds %d bytes, %v; want none", len(b), err)
		}
	})
	t.Run("exporter", func(t *testing.T) {
		clearEnv(t)
		exported := &recorder{}
		fails(t, WithMetricExporter(exported))
		if exported.resource != nil || exported.shutdowns != 1 {
			t.Errorf("exported for %v, shut down %d times; want no export and one shutdown", exported.resource, exported.shutdowns)
		}
	})
}

// Ending a service whose Collector does not answer takes the time of the last export; a line says so meanwhile.
func TestSlowShutdownIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err := finish(ctx, logger,
			part{"history", func(context.Context) error { return nil }},
			part{"metrics", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			part{"traces", func(context.Context) error { time.Sleep(3 * time.Second); return nil }},
		)
		if want := "agent: shut down metrics: context deadline exceeded"; err == nil || err.Error() != want {
			t.Errorf("err = %v, want %s", err, want)
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("took %v, want 10s", d)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), `waiting_for="metrics, traces" at_most=9s`) {
			t.Errorf("log of %d lines, want one that tells of metrics and traces and of 9s:\n%s", n, log.String())
		}

		log.Reset()
		if err := finish(ctx, logger, part{"metrics", func(context.Context) error { return nil }}); err != nil || log.Len() > 0 {
			t.Errorf("a quick end: err = %v, log %q, want neither", err, log.String())
		}
	})
}

func TestSDKDisabled(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	a := start(t, WithAdminAddr("127.0.0.1:0"))
	counter(t, a).Add(t.Context(), 1)
	_, span := a.TracerProvider().Tracer("test").Start(t.Context(), "span")
	span.End()
	if a.AdminURL() != "" || a.Alerts() != nil {
		t.Errorf("a disabled agent has an admin server at %q and alerts %v, want neither", a.AdminURL(), a.Alerts())
	}
	for name, call := range map[string]func(context.Context) error{
		"ForceFlush": a.ForceFlush, "Shutdown": a.Shutdown,
		"ReloadRules": func(context.Context) error { return a.ReloadRules() },
	} {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s = %v", name, err)
		}
	}
}

func TestGlobals(t *testing.T) {
	clearEnv(t)
	mp, tp, prop := otel.GetMeterProvider(), otel.GetTracerProvider(), otel.GetTextMapPropagator()
	handler := otel.GetErrorHandler()
	t.Cleanup(func() {
		otel.SetErrorHandler(handler)
		otel.SetMeterProvider(mp)
		otel.SetTracerProvider(tp)
		otel.SetTextMapPropagator(prop)
	})
	spans := tracetest.NewInMemoryExporter()
	a, err := Start(t.Context(), WithMetricExporter(&recorder{}), WithSpanExporter(spans))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "checkout")
	span.End()
	if err := a.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := spans.GetSpans(); len(got) != 1 || got[0].Name != "checkout" {
		t.Errorf("spans by way of the global provider = %v, want one named checkout", got)
	}
	if otel.GetMeterProvider() != a.MeterProvider() {
		t.Error("the global meter provider is not the agent's")
	}
	if got := otel.GetTextMapPropagator().Fields(); len(got) != 3 {
		t.Errorf("propagated fields = %v, want traceparent, tracestate, baggage", got)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPrometheusExporter(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	a := start(t, WithAdminAddr("127.0.0.1:0"))
	counter(t, a).Add(t.Context(), 42)
	body := get(t, a.AdminURL()+"metrics")
	if !strings.Contains(body, `test_events_total{otel_scope_name="test"`) || !strings.Contains(body, "} 42\n") {
		t.Errorf("/metrics lacks the counter with 42:\n%s", body)
	}
}

// A Prometheus that reads text, as it does unless native histograms are on, finds exemplars in the OpenMetrics format only.
func TestPrometheusExporterHasExemplars(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	a := start(t, WithAdminAddr("127.0.0.1:0"), WithSpanExporter(tracetest.NewInMemoryExporter()))
	ctx, span := a.TracerProvider().Tracer("test").Start(t.Context(), "work")
	counter(t, a).Add(ctx, 42)
	span.End()
	body := getAs(t, a.AdminURL()+"metrics", "application/openmetrics-text;version=1.0.0")
	exemplar := regexp.MustCompile(`(?m)^test_events_total\{.*\} 42\.0 # \{.*trace_id="` + span.SpanContext().TraceID().String() + `".*\} 42\.0 `)
	if !exemplar.MatchString(body) || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("no exemplar %s in\n%s", exemplar, body)
	}
}

// OpenTelemetry's own variables give /metrics an address without the page and its token.
func TestPrometheusExporterAtItsOwnPort(t *testing.T) {
	clearEnv(t)
	addr := freeaddr.Loopback(t)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	t.Setenv("OTEL_EXPORTER_PROMETHEUS_HOST", host)
	t.Setenv("OTEL_EXPORTER_PROMETHEUS_PORT", port)
	a := start(t)
	counter(t, a).Add(t.Context(), 42)
	if body := get(t, "http://"+addr+"/metrics"); !strings.Contains(body, "} 42\n") {
		t.Errorf("/metrics lacks the counter with 42:\n%s", body)
	}
	for request, want := range map[string]int{"GET /": 404, "GET /debug/pprof/": 404, "GET /api/status": 404, "POST /metrics": 405} {
		method, path, _ := strings.Cut(request, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", request, resp.Status, want)
		}
	}
	if _, err := Start(t.Context(), WithoutGlobals()); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_PROMETHEUS_PORT: listen tcp "+addr) {
		t.Errorf("a taken port: %v", err)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the port is open after Shutdown")
	}
}

func TestScrapeAddr(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"", ""}: "", {"", "9000"}: "localhost:9000", {"0.0.0.0", ""}: "0.0.0.0:9464", {"::1", "9000"}: "[::1]:9000",
	} {
		if got := scrapeAddr(in[0], in[1]); got != want {
			t.Errorf("host %q, port %q: %q, want %q", in[0], in[1], got, want)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	return getAs(t, url, "*/*")
}

// getAs asks for a form of the page.
func getAs(t *testing.T, url, accept string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", url, resp.Status, body)
	}
	return string(body)
}

func TestReloadRules(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = `groups:
- name: g
  rules:
  - alert: One
    metric: test.events
    value: {rate, over: 1m}
    warn: {above: 1}
`
	names := func(a *Agent) (names []string) {
		for _, g := range a.Alerts().Rules() {
			for _, r := range g.Rules {
				names = append(names, r.Name)
			}
		}
		return names
	}
	write(good)
	a := start(t, WithRulesFile(rules))
	write("groups: what?\n")
	if err := a.ReloadRules(); err == nil || !strings.Contains(err.Error(), rules+":1") {
		t.Errorf("ReloadRules of a broken file = %v, want file and line", err)
	}
	if got := names(a); len(got) != 1 || got[0] != "One" {
		t.Errorf("rules after a refused reload = %v, want the old one", got)
	}
	write(strings.ReplaceAll(good, "One", "Two"))
	if err := a.ReloadRules(); err != nil {
		t.Fatal(err)
	}
	if got := names(a); len(got) != 1 || got[0] != "Two" {
		t.Errorf("rules after a reload = %v, want Two", got)
	}
}

func TestAlertsOutliveARestart(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTELNET_STATE_FILE", filepath.Join(t.TempDir(), "alerts.state"))
	rules := alertproc.Config{Groups: []alertproc.Group{{Name: "g", Every: 100 * time.Millisecond, Rules: []alertproc.Rule{{
		Alert: "Always",
		Func: func(context.Context, *metricdata.ResourceMetrics) ([]alertproc.Sample, error) {
			return []alertproc.Sample{{Value: 1}}, nil
		},
		Warn: alertproc.Above(0),
	}}}}}
	firing := func() (time.Time, *Agent) {
		a := start(t, WithRules(rules), WithTick(100*time.Millisecond))
		var since time.Time
		waitFor(t, "the alert to fire", func() bool {
			alerts := a.Alerts().Alerts()
			if len(alerts) == 1 && alerts[0].State == alertproc.StateFiring {
				since = alerts[0].ActiveAt
			}
			return !since.IsZero()
		})
		return since, a
	}
	before, a := firing()
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, _ := firing(); !after.Equal(before) {
		t.Errorf("the alert is active since %v after a restart, want since %v as before", after, before)
	}
}

func TestHistoryOutlivesARestart(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	file := filepath.Join(t.TempDir(), "history")
	a := start(t, WithHistoryFile(file))
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := a.history.Stats()
	again := start(t, WithHistoryFile(file))
	if got := again.history.Stats(); !got.Oldest.Equal(before.Oldest) || got.Snapshots != before.Snapshots+1 {
		t.Errorf("after a restart %d snapshots since %v, want one more than %d and since %v",
			got.Snapshots, got.Oldest, before.Snapshots, before.Oldest)
	}

	if err := os.WriteFile(file, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	start(t, WithHistoryFile(file), WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
	if !strings.Contains(out.String(), "history file cannot be used") || !strings.Contains(out.String(), file) {
		t.Errorf("log of a start with a torn file: %q, want a line that names it", out.String())
	}
}
