package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/otelnet/agent/internal/flags"
	"github.com/otelnet/agent/report"
	"github.com/otelnet/agent/report/remote"
)

// reportSettings is what the command line says.
type reportSettings struct {
	kind    string // of source: agent, prometheus or influxdb
	remote  remote.Options
	want    report.Options
	format  report.Format
	file    string
	partial bool // a partial report is good enough
}

// sources are what -from may name.
var sources = []string{"agent", "prometheus", "influxdb"}

// makeReport writes a report. One that is partial is written too, and then is an error, unless the caller said that it will do.
func makeReport(args []string, stdout io.Writer) error {
	set, err := parseReport(args, time.Now())
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := set.build(ctx)
	if err != nil {
		return err
	}
	var body bytes.Buffer // whole or not at all
	if err := r.Write(&body, set.format); err != nil {
		return err
	}
	if set.file != "" {
		if err := os.WriteFile(set.file, body.Bytes(), 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	} else if _, err := stdout.Write(body.Bytes()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if r.Partial && !set.partial {
		return fmt.Errorf("report: partial: %s", strings.Join(r.Missing, "; "))
	}
	return nil
}

func (s *reportSettings) build(ctx context.Context) (*report.Report, error) {
	if s.kind == "agent" {
		return remote.Agent(ctx, s.remote, s.want)
	}
	open := remote.Prometheus
	if s.kind == "influxdb" {
		open = remote.InfluxDB
	}
	src, err := open(s.remote)
	if err != nil {
		return nil, err
	}
	return report.Build(ctx, src, s.want)
}

func parseReport(args []string, now time.Time) (*reportSettings, error) {
	s := &reportSettings{remote: remote.Options{Header: http.Header{}, Select: map[string]string{}}}
	fs := flags.New("report")
	from := fs.String("from", "", "")
	length := fs.String("range", "1h", "")
	until := fs.String("until", "", "")
	format := fs.String("format", "text", "")
	fs.StringVar(&s.file, "o", "", "")
	fs.BoolVar(&s.partial, "partial", false, "")
	fs.StringVar(&s.remote.Service, "service", "", "")
	fs.StringVar(&s.remote.Instance, "instance", "", "")
	fs.DurationVar(&s.remote.Timeout, "timeout", 30*time.Second, "")
	fs.Func("metric", "", func(text string) error { s.want.Metrics = append(s.want.Metrics, text); return nil })
	fs.Func("select", "", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return errors.New("want ATTRIBUTE=VALUE")
		}
		s.remote.Select[name] = value
		return nil
	})
	var headers []string // looked at later: the flag package would repeat a wrong one, and it may be a secret
	fs.Func("header", "", func(text string) error { headers = append(headers, text); return nil })
	wrong := func(format string, args ...any) error { return usageError{"report: " + fmt.Sprintf(format, args...)} }
	if err := parseFlags(fs, args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, wrong("unexpected argument %q", fs.Arg(0))
	}
	var err error
	if s.format, err = report.ParseFormat(*format); err != nil {
		return nil, wrong("-%s", err)
	}
	if s.want.Range, err = time.ParseDuration(*length); err != nil {
		return nil, wrong("-range %q is not a duration such as 15m or 1h", *length)
	}
	if err := report.CheckRange(s.want.Range); err != nil {
		return nil, wrong("-%s", err)
	}
	if s.want.Until, err = parseUntil(*until, now); err != nil {
		return nil, wrong("%s", err)
	}
	for _, text := range headers {
		if err := addHeader(s.remote.Header, text, ":"); err != nil {
			return nil, wrong("-header: %s", err)
		}
	}
	if s.remote.Timeout <= 0 {
		return nil, wrong("-timeout %s: want more than 0", s.remote.Timeout)
	}
	if err := s.parseFrom(*from); err != nil {
		return nil, wrong("%s", err)
	}
	return s, s.credentials()
}

// parseFrom reads kind=URL.
func (s *reportSettings) parseFrom(text string) error {
	kind, address, ok := strings.Cut(text, "=")
	for _, k := range sources {
		if ok && kind == k && address != "" {
			s.kind, s.remote.URL = kind, address
			return nil
		}
	}
	if text == "" {
		return errors.New("name a source with -from: agent=URL, prometheus=URL or influxdb=URL")
	}
	return fmt.Errorf("-from %q: want agent=URL, prometheus=URL or influxdb=URL", text)
}

// parseUntil reads a duration back from now, or RFC 3339.
func parseUntil(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms > 1e11 {
		return time.UnixMilli(ms), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("-until %q is not a time; allowed are a duration back from now (10m), RFC 3339, or milliseconds since 1970", text)
	}
	return t, nil
}

// credentials come from the environment, where other users of the machine do not see them.
func (s *reportSettings) credentials() error {
	s.remote.Token = os.Getenv("OTELNET_REPORT_TOKEN")
	cert := os.Getenv("OTELNET_REPORT_CERT")
	if s.kind == "agent" {
		if s.remote.Token == "" {
			s.remote.Token = os.Getenv("OTELNET_ADMIN_TOKEN")
		}
		if cert == "" {
			cert = os.Getenv("OTELNET_ADMIN_CERT")
		}
	}
	for pair := range strings.SplitSeq(os.Getenv("OTELNET_REPORT_HEADERS"), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		if err := addHeader(s.remote.Header, pair, "="); err != nil {
			return fmt.Errorf("report: OTELNET_REPORT_HEADERS: %w", err)
		}
	}
	var err error
	s.remote.Transport, err = trusting("report: the certificate", cert)
	return err
}

// addHeader adds "name: value", or with another sign between the two. An error does not repeat the value, which may be a secret.
func addHeader(h http.Header, text, sign string) error {
	name, value, ok := strings.Cut(text, sign)
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok || name == "" || strings.ContainsAny(name, " \t\r\n:") || strings.ContainsAny(value, "\r\n") {
		return errors.New("want NAME" + sign + "VALUE")
	}
	if h.Get(name) == "" {
		h.Set(name, value)
	}
	return nil
}
