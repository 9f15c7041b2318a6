package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// ExportInterval is how often the demo service exports in these tests.
const ExportInterval = time.Second

// Demo is the demo service without load of its own and without its incident: all that happens in it comes from the test.
type Demo struct {
	URL    string // of the service
	TLSURL string // of the same service over TLS, with a certificate nobody knows
	Echo   string // host:port of the TCP echo
	Admin  string // URL of the live page
	Wire   *Wire  // all bytes that the test has exchanged with the service's HTTP port
	Client *http.Client
	*Process
}

// DemoConfig says what to add to the service's usual start.
type DemoConfig struct {
	OTLPEndpoint string   // host:port for gRPC; "" for none
	Args         []string // flags
	Env          []string
}

// StartDemo starts the service. Its readiness is asked with the counted client, so Wire misses nothing.
func StartDemo(tb testing.TB, dir string, config DemoConfig) *Demo {
	tb.Helper()
	addr, tlsAddr, echo, admin := FreeAddr(tb), FreeAddr(tb), FreeAddr(tb), FreeAddr(tb)
	env := []string{
		fmt.Sprintf("OTEL_METRIC_EXPORT_INTERVAL=%d", ExportInterval.Milliseconds()),
		"OTEL_SERVICE_NAME=demo-service",
	}
	if config.OTLPEndpoint != "" {
		env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+config.OTLPEndpoint)
	}
	wire := &Wire{}
	d := &Demo{
		URL:    "http://" + addr,
		TLSURL: "https://" + tlsAddr,
		Echo:   echo,
		Admin:  "http://" + admin,
		Wire:   wire,
		Client: wire.Client(),
	}
	tb.Cleanup(d.Client.CloseIdleConnections)
	d.Process = Start(tb, Command{
		Name: "demo-service",
		Path: DemoBinary(tb),
		Args: append([]string{
			"-addr", addr, "-tls", tlsAddr, "-echo", echo, "-admin", admin, "-load", "0", "-incident", "off",
		}, config.Args...),
		Env: append(env, config.Env...),
		Dir: dir,
	})
	d.ready(tb, d.Client, d.URL+"/api/health")
	return d
}

var buildDemo = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("OTELNET_E2E_DEMO"); path != "" {
		return path, nil // another build, for example one with -race
	}
	path := filepath.Join(Root(), "e2e", ".cache", "demo-service")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "build", "-C", Root(), "-o", path, "./cmd/demo-service").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the demo service: %w\n%s", err, out)
	}
	return path, nil
})

// DemoBinary returns the path of the demo service, built from the sources as they are now.
func DemoBinary(tb testing.TB) string {
	tb.Helper()
	path, err := buildDemo()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}
