package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
)

// trusting returns a transport that also trusts the certificates in a PEM file, the one that the server was given; with "" only
// those that the system trusts. where begins an error.
func trusting(where, certFile string) (http.RoundTripper, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if certFile == "" {
		return transport, nil
	}
	fail := func(err error) error { return fmt.Errorf("%s: %w", where, err) }
	text, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fail(err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fail(errors.New(certFile + " holds no PEM certificate"))
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}
