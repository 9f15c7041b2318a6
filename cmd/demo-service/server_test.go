package main

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRoutes(t *testing.T) {
	tests := []struct {
		method, target, body string
		status               int
		answer               string
	}{
		{"GET", "/api/data", "", 200, `"data":[1,1,2,3,5,8]`},
		{"GET", "/api/users", "", 200, `"users":["ada","grace","edsger"]`},
		{"GET", "/api/health", "", 200, "ok"},
		{"GET", "/api/slow", "", 200, `"took":"400ms"`},
		{"GET", "/api/fail", "", 500, "this route always fails"},
		{"POST", "/api/upload", "hello", 200, `"bytes":5`},
		{"GET", "/api/upload", "", 405, ""},
		{"GET", "/api/download?bytes=3", "", 200, "\x00\x00\x00"},
		{"GET", "/api/download?bytes=-1", "", 400, "bytes must be 0 to 67108864"},
		{"GET", "/api/download?bytes=67108865", "", 400, "bytes must be 0 to 67108864"},
		{"GET", "/api/download?bytes=x", "", 400, "bytes must be 0 to 67108864"},
		{"GET", "/", "", 200, "/api/users"},
		{"GET", "/nothing", "", 404, ""},
	}
	mux := routes(&shop{})
	for _, test := range tests {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(test.method, test.target, strings.NewReader(test.body)))
			if w.Code != test.status {
				t.Errorf("status: got %d, want %d", w.Code, test.status)
			}
			if got := w.Body.String(); !strings.Contains(got, test.answer) {
				t.Errorf("answer: got %q, want it to contain %q", got, test.answer)
			}
		})
	}
}

func TestDownloadLength(t *testing.T) {
	mux := routes(&shop{})
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/api/download", nil))
	if got := w.Body.Len(); got != 1<<20 {
		t.Errorf("got %d bytes, want a mebibyte", got)
	}
}

func TestUploadLimit(t *testing.T) {
	mux := routes(&shop{})
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/api/upload", io.LimitReader(zeros{}, maxBody+1)))
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status: got %d, want 413", w.Code)
	}
}

func TestLookupFailsInTheIncident(t *testing.T) {
	s := &shop{}
	s.db.cacheLost.Store(true)
	mux := routes(s)
	got := map[int]int{}
	for range 5 {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", "/api/data", nil))
		got[w.Code]++
	}
	if got[503] != 2 || got[200] != 3 {
		t.Errorf("statuses of five requests: got %v, want 503 twice and 200 three times", got)
	}
}

func TestCertificateIsTrustedForLoopback(t *testing.T) {
	cert, roots, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.0.0.1", "::1", "localhost"} {
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() }()
		if err := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: name}).Handshake(); err != nil {
			t.Errorf("handshake with %s: %v", name, err)
		}
		client.Close()
		server.Close()
		<-done
	}
	if left := time.Until(cert.Leaf.NotAfter); left > 31*24*time.Hour {
		t.Errorf("the certificate is valid for %v, want no more than a month", left)
	}
}
