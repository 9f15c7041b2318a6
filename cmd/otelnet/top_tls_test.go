package main

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A page behind HTTPS is asked when its certificate is given, and refused without.
func TestTopTrustsTheGivenCertificate(t *testing.T) {
	page := shop(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res, err := http.Get(page + r.URL.RequestURI())
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(res.Body)
		_, _ = w.Write(body.Bytes())
	}))
	defer server.Close()
	certFile := filepath.Join(t.TempDir(), "cert.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(certFile, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		file, want string
		code       int
	}{
		{"", "certificate", exitError},
		{certFile + ".absent", "OTELNET_ADMIN_CERT", exitError},
		{os.Args[0], "no PEM certificate", exitError},
		{certFile, "requests 10/s", exitDone},
	} {
		t.Setenv("OTELNET_ADMIN_CERT", tc.file)
		var out, errs bytes.Buffer
		if code := run([]string{"top", server.URL}, &out, &errs); code != tc.code || !strings.Contains(out.String()+errs.String(), tc.want) {
			t.Errorf("OTELNET_ADMIN_CERT=%s: exit %d, %s%s; want %d and %q", tc.file, code, &out, &errs, tc.code, tc.want)
		}
	}
}
