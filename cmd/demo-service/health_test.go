package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	srv := httptest.NewServer(routes(&shop{}))
	defer srv.Close()
	redirect := httptest.NewServer(http.RedirectHandler(srv.URL+"/api/health", http.StatusFound))
	defer redirect.Close()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	tests := []struct {
		name, url string
		status    int
		stderr    string
	}{
		{"healthy", srv.URL + "/api/health", 0, ""},
		{"failing", srv.URL + "/api/fail", 1, "500 Internal Server Error"},
		{"redirected", redirect.URL, 1, "302 Found"},
		{"nobody there", "http://" + nobody.Addr().String(), 1, nobody.Addr().String()},
		{"not a URL", "://", 1, "missing protocol scheme"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, stdout, stderr := runFor(t, "health", test.url)
			if status != test.status {
				t.Errorf("exit status: got %d, want %d", status, test.status)
			}
			if stdout != "" {
				t.Errorf("stdout: got %q, want nothing", stdout)
			}
			if !strings.Contains(stderr, test.stderr) || (test.stderr == "") != (stderr == "") {
				t.Errorf("stderr: got %q, want %q", stderr, test.stderr)
			}
		})
	}
}
