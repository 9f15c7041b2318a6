package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// Two gateways behind one agent Collector, over TLS with certificates on both sides and a token. One gateway is killed under load and
// comes back. Each service counts its own exports, so it knows what must have arrived: one sample of each series for each export.
func TestGatewayKilledUnderLoad(t *testing.T) {
	const (
		services   = 24
		perService = 25 // series
		rounds     = 150
		every      = 100 * time.Millisecond
		killAt     = 50
		backAt     = 100
	)
	dir := stack.Dir(t)
	prometheus := stack.StartPrometheus(t, dir)
	secrets := newSecrets(t, dir)
	gateway := func(name string) *stack.Collector {
		return stack.StartTier(t, dir, name, []string{"gateway.yaml", "server-mtls.yaml", "server-bearer.yaml", markedBy(t, dir, name)},
			append(secrets.server, "PROMETHEUS_ENDPOINT="+prometheus.URL)...)
	}
	one, two := gateway("gateway-1"), gateway("gateway-2")
	agent := stack.StartTier(t, dir, "agent", []string{"agent.yaml", "gateways-static.yaml", "client-mtls.yaml", "client-bearer.yaml"},
		append(secrets.client, fmt.Sprintf("GATEWAYS=[%q, %q]", one.GRPCEndpoint, two.GRPCEndpoint))...)

	senders := newSenders(t, agent.GRPCEndpoint, services, perService)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for round := range rounds {
		switch round {
		case killAt:
			two.Kill()
		case backAt:
			two.Start(t)
		}
		var all sync.WaitGroup
		for _, s := range senders {
			all.Go(func() {
				if err := s.export(t.Context()); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		all.Wait()
		if t.Failed() {
			return
		}
		<-tick.C
	}

	gateways := map[string]string{} // by service
	stack.Until(t, 90*time.Second, "every sample in Prometheus", func(ctx context.Context) error {
		clear(gateways)
		count, err := prometheus.Query(ctx, "count_over_time(tier_rounds_total[1h])")
		if err != nil {
			return err
		}
		last, err := prometheus.Query(ctx, "last_over_time(tier_rounds_total[1h])")
		if err != nil {
			return err
		}
		if len(count) != services*perService || len(last) != len(count) {
			return fmt.Errorf("%d series, want %d", len(count), services*perService)
		}
		for _, s := range append(count, last...) {
			if s.Value != rounds {
				return fmt.Errorf("%v: %v, want %d", s.Labels, s.Value, rounds)
			}
			job, by := s.Labels["job"], s.Labels["gateway"]
			if before, known := gateways[job]; known && before != by {
				return fmt.Errorf("%s came by %s and by %s", job, before, by)
			}
			gateways[job] = by
		}
		return nil
	})
	share := map[string]int{}
	for _, by := range gateways {
		share[by]++
	}
	if len(share) != 2 || share["gateway-1"]+share["gateway-2"] != services {
		t.Errorf("services by gateway: %v, want both to have some", share)
	}
	t.Logf("%d samples; services by gateway: %v", services*perService*rounds, share)
}

// A gateway that does not come back is taken off the list. What waits for it in the agent Collector's queue, which is killed too, goes to the
// other one, and the series go on.
func TestGatewayThatDoesNotComeBack(t *testing.T) {
	const (
		services   = 12
		perService = 5
		before     = 20 // exports while both are there
		after      = 20 // and while one is gone
	)
	dir := stack.Dir(t)
	prometheus := stack.StartPrometheus(t, dir)
	gateway := func(name string) *stack.Collector {
		return stack.StartTier(t, dir, name, []string{"gateway.yaml"}, "PROMETHEUS_ENDPOINT="+prometheus.URL)
	}
	one, two := gateway("gateway-1"), gateway("gateway-2")
	startAgent := func(gateways string) *stack.Collector {
		return stack.StartTier(t, dir, "agent", []string{"agent.yaml", "gateways-static.yaml"}, "GATEWAYS="+gateways)
	}
	agent := startAgent(fmt.Sprintf("[%q, %q]", one.GRPCEndpoint, two.GRPCEndpoint))
	senders := newSenders(t, agent.GRPCEndpoint, services, perService)
	want := func(exports float64) {
		t.Helper()
		wantSamples(t, prometheus, "count_over_time(tier_rounds_total[1h])", services*perService, exports)
	}
	senders.export(t, before)
	want(before) // so that nothing is left in the gateway that dies
	two.Kill()
	senders.export(t, after)
	agent.Kill()
	startAgent(fmt.Sprintf("[%q]", one.GRPCEndpoint))
	want(before + after)
}

// Nobody gets in without what the configuration asks for.
func TestGatewayRefusesStrangers(t *testing.T) {
	dir := stack.Dir(t)
	secrets := newSecrets(t, dir)
	gateway := stack.StartTier(t, dir, "gateway", []string{"gateway.yaml", "server-mtls.yaml", "server-bearer.yaml"},
		append(secrets.server, "PROMETHEUS_ENDPOINT=http://"+stack.FreeAddr(t))...)
	withCertificate, err := credentials.NewClientTLSFromFile(secrets.ca, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	token := otlpmetricgrpc.WithHeaders(map[string]string{"authorization": "Bearer " + secrets.token})
	for name, opts := range map[string][]otlpmetricgrpc.Option{
		"without TLS":           {otlpmetricgrpc.WithInsecure(), token},
		"without a certificate": {otlpmetricgrpc.WithTLSCredentials(withCertificate), token},
		"without a token":       {otlpmetricgrpc.WithTLSCredentials(secrets.credentials(t))},
		"with a wrong token": {
			otlpmetricgrpc.WithTLSCredentials(secrets.credentials(t)), otlpmetricgrpc.WithHeaders(map[string]string{"authorization": "Bearer other"}),
		},
		"as it should be": {otlpmetricgrpc.WithTLSCredentials(secrets.credentials(t)), token},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSender(t, gateway.GRPCEndpoint, "service", 1, append(opts, otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))...)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := s.export(ctx)
			if good := name == "as it should be"; (err == nil) != good {
				t.Errorf("export: %v", err)
			}
			if code := status.Code(err); err != nil && code != codes.Unauthenticated && code != codes.Unavailable && code != codes.Unknown {
				t.Errorf("export: %v, want it refused", err)
			}
		})
	}
}

// sender is a service that exports when it is told to.
type sender struct {
	provider *sdkmetric.MeterProvider
	rounds   metric.Int64Counter
	sets     [][]metric.AddOption
}

func newSender(t *testing.T, endpoint, name string, series int, opts ...otlpmetricgrpc.Option) *sender {
	t.Helper()
	if opts == nil {
		opts = []otlpmetricgrpc.Option{otlpmetricgrpc.WithInsecure()}
	}
	exporter, err := otlpmetricgrpc.New(t.Context(), append(opts, otlpmetricgrpc.WithEndpoint(endpoint))...)
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{provider: sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour))),
		sdkmetric.WithResource(resource.NewSchemaless(attribute.String("service.name", name), attribute.String("service.instance.id", name+"-0"))),
	)}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no last export: it would be a sample too many
		_ = s.provider.Shutdown(ctx)
	})
	if s.rounds, err = s.provider.Meter("tiers").Int64Counter("tier.rounds"); err != nil {
		t.Fatal(err)
	}
	for i := range series {
		s.sets = append(s.sets, []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.Int("series", i)))})
	}
	return s
}

// fleet is many of them.
type fleet []*sender

func newSenders(t *testing.T, endpoint string, services, perService int) (all fleet) {
	t.Helper()
	for i := range services {
		all = append(all, newSender(t, endpoint, fmt.Sprintf("service-%d", i), perService))
	}
	return all
}

// export has each service export n times.
func (f fleet) export(t *testing.T, n int) {
	t.Helper()
	for range n {
		for _, s := range f {
			if err := s.export(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// wantSamples waits until a query that counts samples has so many series and each has that many.
func wantSamples(t *testing.T, prometheus *stack.Prometheus, query string, series int, each float64) {
	t.Helper()
	stack.Until(t, 60*time.Second, "every sample in Prometheus", func(ctx context.Context) error {
		count, err := prometheus.Query(ctx, query)
		if err != nil {
			return err
		}
		if len(count) != series {
			return fmt.Errorf("%d series, want %d", len(count), series)
		}
		for _, s := range count {
			if s.Value != each {
				return fmt.Errorf("%v: %v samples, want %v", s.Labels, s.Value, each)
			}
		}
		return nil
	})
}

// export counts one more in each series and sends them.
func (s *sender) export(ctx context.Context) error {
	for _, set := range s.sets {
		s.rounds.Add(ctx, 1, set...)
	}
	return s.provider.ForceFlush(ctx)
}

// markedBy makes a configuration that has a gateway write its name on every point, the witness of which way it went.
func markedBy(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name+".yaml")
	text := fmt.Sprintf(`processors:
  transform/gateway:
    metric_statements:
      - set(datapoint.attributes["gateway"], %q)
service:
  pipelines:
    metrics:
      processors: [memory_limiter, transform/gateway]
`, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secrets are certificates of one CA and a token, and the environment that tells Collectors of them.
type secrets struct {
	ca, cert, key, token string
	server, client       []string
}

func newSecrets(t *testing.T, dir string) *secrets {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	s := &secrets{ca: in("ca.crt"), cert: in("tls.crt"), key: in("tls.key"), token: "tok-" + rand.Text()}
	caKey, caCert := newCertificate(t, nil, nil)
	key, cert := newCertificate(t, caKey, caCert)
	writePEM(t, s.ca, "CERTIFICATE", caCert.Raw)
	writePEM(t, s.cert, "CERTIFICATE", cert.Raw)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, s.key, "PRIVATE KEY", der)
	if err := os.WriteFile(in("tokens"), []byte("an-older-one\n"+s.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("token"), []byte(s.token), 0o600); err != nil {
		t.Fatal(err)
	}
	s.server = []string{"TLS_CERT_FILE=" + s.cert, "TLS_KEY_FILE=" + s.key, "TLS_CLIENT_CA_FILE=" + s.ca, "BEARER_TOKENS_FILE=" + in("tokens")}
	s.client = []string{"GATEWAY_CA_FILE=" + s.ca, "CLIENT_CERT_FILE=" + s.cert, "CLIENT_KEY_FILE=" + s.key, "GATEWAY_TOKEN_FILE=" + in("token")}
	return s
}

// credentials are those of a client that may send.
func (s *secrets) credentials(t *testing.T) credentials.TransportCredentials {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool})
}

// newCertificate makes a CA, or a certificate for 127.0.0.1 by one.
func newCertificate(t *testing.T, parentKey *ecdsa.PrivateKey, parent *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "otelnet e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
