package agent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAdminServerOverTLS(t *testing.T) {
	clearEnv(t)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	certFile, keyFile, pool := keyPair(t)
	for name, set := range map[string]func(t *testing.T) []Option{
		"by variables": func(t *testing.T) []Option {
			t.Setenv("OTELNET_ADMIN_CERT", certFile)
			t.Setenv("OTELNET_ADMIN_KEY", keyFile)
			return nil
		},
		"by option": func(*testing.T) []Option { return []Option{WithAdminTLS(certFile, keyFile)} },
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t, append(set(t), WithAdminAddr("127.0.0.1:0"))...)
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
			client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
			resp, err := client.Get(a.AdminURL() + "healthz")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.TLS == nil || resp.StatusCode != http.StatusOK {
				t.Errorf("GET %s: %s, TLS %v; want 200 over TLS", resp.Request.URL, resp.Status, resp.TLS != nil)
			}
		})
	}
}

func TestExternalURL(t *testing.T) {
	for _, tc := range []struct {
		addr string
		tls  bool
		want string
	}{
		{"127.0.0.1:6060", false, "http://127.0.0.1:6060/"},
		{"10.0.0.7:6060", true, "https://10.0.0.7:6060/"},
		{":6060", true, "https://localhost:6060/"},
		{"[::]:6060", false, "http://localhost:6060/"},
		{"127.0.0.1:0", false, ""},
		{"", true, ""},
	} {
		if got := externalURL(tc.addr, tc.tls); got != tc.want {
			t.Errorf("externalURL(%q, %t) = %q, want %q", tc.addr, tc.tls, got, tc.want)
		}
	}
}

// keyPair writes the certificate that net/http's tests use, for 127.0.0.1, and its key as PEM files.
func keyPair(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return certFile, keyFile, pool
}
