package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reporting is an agent that answers with the JSON of package report's tests, changed.
func reporting(t *testing.T, change func(string) string) *httptest.Server {
	t.Helper()
	body, err := os.ReadFile("../../report/testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(change(string(body))))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestReport(t *testing.T) {
	t.Setenv("OTELNET_ADMIN_TOKEN", "secret")
	whole := reporting(t, func(s string) string { return s }).URL
	half := reporting(t, func(s string) string {
		return strings.Replace(s, `"missing":[]`, `"partial":true,"missing":["samples cover half","no latency"]`, 1)
	}).URL
	file := filepath.Join(t.TempDir(), "report.html")
	for _, tc := range []struct {
		args   string
		status int
		stdout string // the beginning
		stderr string // part of it
	}{
		{"-from agent=" + whole, 0, "Network performance report · checkout\n", ""},
		{"-from agent=" + whole + " -format csv -range 30m", 0, "metric,part,stat,", ""},
		{"-from agent=" + whole + " -format html -o " + file, 0, "", ""},
		{"-from agent=" + half, 1, "Network performance report", "report: partial: samples cover half; no latency\n"},
		{"-from agent=" + half + " -partial", 0, "Network performance report", ""},
		{"-from agent=http://127.0.0.1:1", 1, "", "agent http://127.0.0.1:1: dial tcp"},
		{"-from agent=nowhere", 1, "", `agent: "nowhere" is not an address: want http://host:port`},
		{"-from prometheus=http://127.0.0.1:1", 1, "", "prometheus http://127.0.0.1:1: dial tcp"},
		{"-from influxdb=http://127.0.0.1:1?db=x", 1, "", "influxdb http://127.0.0.1:1: dial tcp"},
		{"-from influxdb=ftp://127.0.0.1:1", 1, "", "influxdb: \"ftp://127.0.0.1:1\" is not an address"},
		{"", 2, "", "report: name a source with -from: agent=URL, prometheus=URL or influxdb=URL"},
		{"-from mysql=http://x", 2, "", `report: -from "mysql=http://x": want agent=URL`},
		{"-from agent=", 2, "", `report: -from "agent=": want agent=URL`},
		{"-from agent=" + whole + " -range soon", 2, "", `report: -range "soon" is not a duration such as 15m or 1h`},
		{"-from agent=" + whole + " -range 1s", 2, "", "report: -range 1s: want 1m to 744h"},
		{"-from agent=" + whole + " -format pdf", 2, "", `report: -format: "pdf" is unknown; allowed are html, text, json and csv`},
		{"-from agent=" + whole + " -until noon", 2, "", `report: -until "noon" is not a time`},
		{"-from agent=" + whole + " -header secret", 2, "", "report: -header: want NAME:VALUE\n"},
		{"-from agent=" + whole + " -select x", 2, "", "want ATTRIBUTE=VALUE"},
		{"-from agent=" + whole + " -timeout 0s", 2, "", "report: -timeout 0s: want more than 0"},
		{"-from agent=" + whole + " more", 2, "", `report: unexpected argument "more"`},
		{"-form x", 2, "", "report: there is no option -form"},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(append([]string{"report"}, strings.Fields(tc.args)...), &stdout, &stderr); got != tc.status {
			t.Errorf("%s: status %d, want %d", tc.args, got, tc.status)
		}
		if !strings.HasPrefix(stdout.String(), tc.stdout) || tc.stdout == "" && stdout.Len() > 0 {
			t.Errorf("%s: stdout %.200q, want it to begin with %q", tc.args, stdout.String(), tc.stdout)
		}
		if !strings.Contains(stderr.String(), tc.stderr) || tc.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%s: stderr %q, want %q in it", tc.args, stderr.String(), tc.stderr)
		}
		if lines := strings.Count(stderr.String(), "\n"); tc.status == exitError && lines != 1 {
			t.Errorf("%s: %d lines of error, want one", tc.args, lines)
		}
	}
	if page, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(page, []byte("<!doctype html>")) {
		t.Errorf("-o wrote %.40q, %v", page, err)
	}
}
