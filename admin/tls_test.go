package admin_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelnet/agent/admin"
)

// A browser's way over TLS: it checks the certificate, logs in once, and holds a cookie that never leaves TLS.
func TestTLSServesABrowser(t *testing.T) {
	const token = "correct horse battery"
	certFile, keyFile := writePair(t, t.TempDir(), 1)
	s := start(t, admin.Config{Token: token, CertFile: certFile, KeyFile: keyFile})
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") {
		t.Errorf("URL is %s, want https", s.URL())
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := trusting(t, certFile)
	client.Jar = jar
	if res := fetch(t, client, s.URL()+"api/status"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: got %s, want 401", res.Status)
	}
	var set *http.Cookie
	client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		set = req.Response.Cookies()[0]
		return nil
	}
	res := fetch(t, client, s.URL()+"login?token="+url.QueryEscape(token))
	if res.StatusCode != http.StatusOK || !strings.Contains(res.body, "<!doctype html>") {
		t.Fatalf("login: got %s %.100s, want the page", res.Status, res.body)
	}
	if res.ProtoMajor != 2 || res.TLS.Version != tls.VersionTLS13 {
		t.Errorf("got %s over %s, want HTTP/2 over TLS 1.3", res.Proto, tls.VersionName(res.TLS.Version))
	}
	if !set.Secure || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || !strings.HasPrefix(set.Name, "__Host-") || set.Path != "/" {
		t.Errorf("cookie %v: want Secure, HttpOnly, SameSite=Strict and the __Host- prefix", set)
	}
	if res := fetch(t, client, s.URL()+"api/status"); res.StatusCode != http.StatusOK {
		t.Errorf("with the cookie: got %s, want 200", res.Status)
	}
}

func TestTLSRefusesOthers(t *testing.T) {
	certFile, keyFile := writePair(t, t.TempDir(), 1)
	s := start(t, admin.Config{CertFile: certFile, KeyFile: keyFile})
	if res := fetch(t, http.DefaultClient, strings.Replace(s.URL(), "https", "http", 1)); res.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: got %s, want 400", res.Status)
	}
	if _, err := http.Get(s.URL()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a client that does not know the certificate: got %v, want that it refuses", err)
	}
	_, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: got %v, want a protocol version alert", err)
	}
}

// Events come over HTTP/2 as they do over HTTP/1.1.
func TestTLSStreams(t *testing.T) {
	certFile, keyFile := writePair(t, t.TempDir(), 1)
	h := newHistory(t)
	s := start(t, admin.Config{History: h, CertFile: certFile, KeyFile: keyFile})
	h.Append(epoch, counted(1))
	res, err := trusting(t, certFile).Get(s.URL() + "api/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	h.Append(at(1), counted(5))
	var got bytes.Buffer
	for buf := make([]byte, 4096); !strings.Contains(got.String(), "event: tick"); {
		n, err := res.Body.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatalf("the stream ended after %q: %v", got.String(), err)
		}
	}
	if res.ProtoMajor != 2 {
		t.Errorf("the stream came over %s, want HTTP/2", res.Proto)
	}
}

func TestTLSPairIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writePair(t, dir, 1)
	synctest.Test(t, func(t *testing.T) { // for its clock
		get, err := admin.LoadCertificate(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		serves := func(when string, want int64) {
			t.Helper()
			pair, err := get(nil)
			if err != nil {
				t.Fatal(err)
			}
			if pair.Leaf.SerialNumber.Int64() != want {
				t.Errorf("%s: certificate %v is served, want %d", when, pair.Leaf.SerialNumber, want)
			}
		}
		writePair(t, dir, 2)
		serves("at once", 1)
		time.Sleep(admin.CertificateAge)
		serves("ten seconds later", 2)
		if err := os.WriteFile(certFile, []byte("half of a"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(admin.CertificateAge)
		serves("while the file is broken", 2)
		writePair(t, dir, 3)
		time.Sleep(admin.CertificateAge)
		serves("when it is whole again", 3)
	})
}

func TestTLSBadPairIsAnError(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writePair(t, dir, 1)
	_, otherKey := writePair(t, t.TempDir(), 2)
	for name, tc := range map[string]struct {
		cert, key string
		want      []string
	}{
		"no key":          {certFile, "", []string{certFile, "set both"}},
		"no certificate":  {"", keyFile, []string{keyFile, "set both"}},
		"no such file":    {filepath.Join(dir, "absent.pem"), keyFile, []string{"absent.pem", "no such file"}},
		"not its key":     {certFile, otherKey, []string{certFile, otherKey, "does not match"}},
		"not in PEM form": {os.Args[0], keyFile, []string{os.Args[0], "PEM"}},
	} {
		_, err := admin.New(admin.Config{Addr: "127.0.0.1:0", History: newHistory(t), CertFile: tc.cert, KeyFile: tc.key})
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want an error that says %s", name, err, want)
			}
		}
	}
}

// writePair makes a certificate for loopback, with a serial number to know it by, and its key, as cert.pem and key.pem in dir.
func writePair(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) // the clock of a test may be an old one
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: now.AddDate(-50, 0, 0), NotAfter: now.AddDate(50, 0, 0),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// trusting is a client that knows one certificate.
func trusting(t *testing.T, certFile string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func fetch(t *testing.T, client *http.Client, address string) answer {
	t.Helper()
	res, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(body)}
}
