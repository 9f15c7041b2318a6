package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelnet/agent/spool"
)

// spooled is one signal's spool in the agent's hands.
type spooled struct {
	*spool.Spool
	signal string
	logger func() *slog.Logger
	base   *http.Transport             // over HTTP; nil over gRPC
	prime  func(context.Context) error // an export of nothing, for sendLeft
	bound  context.Context             // of the close, in place of its own; nil before release
}

// openSpool opens the signal's spool, or returns nil if none is asked for.
func openSpool(c config, signal string) (*spooled, error) {
	if c.spoolDir == "" {
		return nil, nil
	}
	told := &errorLog{logger: c.log}
	s, err := spool.Open(spool.Config{
		Dir:      c.spoolDir,
		Name:     signal,
		MaxBytes: c.spoolMaxBytes,
		MaxAge:   c.spoolMaxAge,
		Timeout:  otlpTimeout(signal),
		OnError:  told.Handle,
	})
	if err != nil {
		return nil, fmt.Errorf("WithSpoolDir, %s: %w", envSpoolDir, err)
	}
	if n := s.Stats().Requests; n > 0 {
		c.log().Info("otelnet: an earlier run has left exports on disk, they are sent first", "signal", signal, "requests", n, "dir", s.Dir())
	}
	return &spooled{Spool: s, signal: signal, logger: c.log}, nil
}

// client is what an exporter over HTTP is given. It replaces the exporter's own, and so has to heed the certificates' variables.
func (s *spooled) client() (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	config, err := otlpTLS(s.signal)
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig = config
	s.base = t
	return &http.Client{Transport: s.RoundTripper(t)}, nil
}

// sendLeft shows the spool how to send, so that what an earlier run left need not wait for the first export.
func (s *spooled) sendLeft(ctx context.Context) {
	if s.Stats().Requests > 0 {
		_ = s.prime(spool.Prime(ctx)) // if not, the first export does it
	}
}

// release has spans that are still in memory not wait for an answer to those before them. The batcher gives up on its exporter at the
// end of its context, also if that has only used all of it to send. So the close is bounded by ctx, and the batcher by what is returned.
func (s *spooled) release(ctx context.Context) (longer context.Context, cancel context.CancelFunc) {
	s.Release()
	s.bound = ctx
	longer = context.WithoutCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(longer, end.Add(parting))
	}
	return longer, func() {}
}

// close sends what it can within ctx. What is left stays for the next run and is no error.
func (s *spooled) close(ctx context.Context) error {
	if s.bound != nil {
		ctx = s.bound
	}
	err := s.Close(ctx)
	if s.base != nil {
		s.base.CloseIdleConnections()
	}
	var queued *spool.QueuedError
	if errors.As(err, &queued) {
		s.logger().Info("otelnet: exports stay on disk for the next run", "signal", s.signal,
			"requests", queued.Requests, "dir", s.Dir(), "error", queued.Cause)
		return nil
	}
	return err
}

// spooledMetrics closes the spool before the exporter, whose connection it needs.
type spooledMetrics struct {
	sdkmetric.Exporter
	spool *spooled
}

func (e spooledMetrics) Shutdown(ctx context.Context) error {
	return errors.Join(e.spool.close(ctx), endExporter(ctx, e.Exporter.Shutdown))
}

// endExporter ends an exporter whose spool has been closed. Nothing is under way any more, so it takes no time, and that the spool's last
// attempt has used up all of ctx is no error.
func endExporter(ctx context.Context, shutdown func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return shutdown(ctx)
}

// spooledSpans does the same for spans.
type spooledSpans struct {
	sdktrace.SpanExporter
	spool *spooled
}

func (e spooledSpans) Shutdown(ctx context.Context) error {
	return errors.Join(e.spool.close(ctx), endExporter(ctx, e.SpanExporter.Shutdown))
}

// otlpVar returns the name and the value of a signal's OTLP variable, or of the one for all signals. readEnv has checked both.
func otlpVar(signal, name string) (variable, value string) {
	own := map[string]string{signalMetrics: "METRICS_", signalTraces: "TRACES_"}[signal]
	for _, variable = range []string{"OTEL_EXPORTER_OTLP_" + own + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value = env(variable, ""); value != "" {
			break
		}
	}
	return variable, value
}

func otlpEnv(signal, name string) string {
	_, value := otlpVar(signal, name)
	return value
}

func otlpTimeout(signal string) time.Duration {
	ms, err := strconv.Atoi(otlpEnv(signal, "TIMEOUT"))
	if err != nil {
		return 0 // not set: the default
	}
	return time.Duration(ms) * time.Millisecond
}

// otlpTLS is what the variables say of certificates, nil if nothing.
func otlpTLS(signal string) (*tls.Config, error) {
	ca, cert, key := otlpEnv(signal, "CERTIFICATE"), otlpEnv(signal, "CLIENT_CERTIFICATE"), otlpEnv(signal, "CLIENT_KEY")
	if ca == "" && cert == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem)
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
