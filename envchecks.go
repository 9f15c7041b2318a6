package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/http/httpguts"
)

// The checks. Each answers what is allowed, never the value itself.

func anything(string) error { return nil }

// oneOf takes any case.
func oneOf(allowed ...string) func(string) error {
	return func(value string) error { return exactly(allowed...)(strings.ToLower(value)) }
}

func exactly(allowed ...string) func(string) error {
	return func(value string) error {
		if slices.Contains(allowed, value) {
			return nil
		}
		return fmt.Errorf("allowed: %s", strings.Join(allowed, ", "))
	}
}

func listOf(allowed ...string) func(string) error {
	return func(value string) error {
		for _, part := range splitList(value) {
			if !slices.Contains(allowed, strings.ToLower(part)) {
				return fmt.Errorf("allowed: a comma-separated list of %s", strings.Join(allowed, ", "))
			}
		}
		return nil
	}
}

func boolean(value string) error {
	if strings.EqualFold(value, "true") || strings.EqualFold(value, "false") {
		return nil
	}
	return errors.New("allowed: true, false")
}

const day = 24 * time.Hour

func milliseconds(value string) error {
	if numberBetween(1, day.Milliseconds())(value) != nil {
		return fmt.Errorf("allowed: a whole number of milliseconds from 1 to %d (one day)", day.Milliseconds())
	}
	return nil
}

func minutes(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < time.Minute {
		return errors.New("allowed: a duration of a minute or more, such as 10m")
	}
	return nil
}

func numberBetween(least, most int64) func(string) error {
	return func(value string) error {
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < least || n > most {
			return fmt.Errorf("allowed: a whole number from %d to %d", least, most)
		}
		return nil
	}
}

// bspMax bounds the queue and the batches of spans.
const bspMax = 10_000_000

// batchSize is for the spans of one export. The SDK would put its own number in the place of one that is larger than the queue.
func batchSize(value string) error {
	most := int64(sdktrace.DefaultMaxQueueSize)
	if n, err := strconv.ParseInt(env(envBSPQueue, ""), 10, 64); err == nil && n >= 1 && n <= bspMax {
		most = n
	}
	if err := numberBetween(1, most)(value); err != nil {
		return fmt.Errorf("%w, which is %s", err, envBSPQueue)
	}
	return nil
}

// bytesFrom is for sizes.
func bytesFrom(least int64) func(string) error {
	return func(value string) error {
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < least {
			return fmt.Errorf("allowed: a whole number of bytes, %d or more", least)
		}
		return nil
	}
}

func duration(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d <= 0 {
		return errors.New("allowed: a duration such as 90m or 24h, more than 0")
	}
	return nil
}

func fraction(value string) error {
	if f, err := strconv.ParseFloat(value, 64); err != nil || !(f >= 0 && f <= 1) {
		return errors.New("allowed: a number from 0 to 1")
	}
	return nil
}

func endpoint(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil:
	case u.User != nil:
		return errors.New("allowed: a URL without a user; the exporters send none: credentials belong into the HEADERS variable")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("allowed: a URL without a query; the exporters send none")
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && validPort(u.Port()):
		return nil
	case u.Scheme == "unix" && (u.Path != "" || u.Opaque != ""):
		return nil
	}
	return errors.New("allowed: a URL such as http://localhost:4317, https://collector:4317 or unix:///run/otel.sock")
}

func validPort(port string) bool {
	return port == "" || numberBetween(1, math.MaxUint16)(port) == nil
}

// checkSockets refuses what only gRPC can reach.
func (s settings) checkSockets() error {
	var errs []error
	for _, one := range []struct{ signal, exporter, protocol string }{
		{signalMetrics, s.metricsExporter, s.metricsProtocol},
		{signalTraces, s.tracesExporter, s.tracesProtocol},
	} {
		name, value := otlpVar(one.signal, "ENDPOINT")
		if one.exporter == exporterOTLP && one.protocol == protocolHTTPProtobuf && strings.HasPrefix(value, "unix:") {
			errs = append(errs, fmt.Errorf("%s: allowed with the protocol %s: http and https; a Unix socket is reached by %s alone",
				name, protocolHTTPProtobuf, protocolGRPC))
		}
	}
	return errors.Join(errs...)
}

func keyValues(value string) error {
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		k, v, found := strings.Cut(part, "=")
		if !found || strings.TrimSpace(k) == "" {
			return errors.New("allowed: key=value pairs separated by commas, values percent-encoded")
		}
		if _, err := url.PathUnescape(v); err != nil {
			return fmt.Errorf("allowed: key=value pairs separated by commas, values percent-encoded; that of %q is not", k)
		}
	}
	return nil
}

// headers are key=value pairs that can be sent. The SDK leaves out a name that cannot, and each export fails with such a value. A
// wrong name is not repeated: it may be a whole header, "Authorization: Bearer …=".
func headers(value string) error {
	n := 0
	for part := range strings.SplitSeq(value, ",") {
		if n++; strings.TrimSpace(part) == "" {
			continue
		}
		k, v, found := strings.Cut(part, "=")
		k = strings.TrimSpace(k)
		v, err := url.PathUnescape(v)
		switch {
		case !found:
			return errors.New("allowed: key=value pairs separated by commas, values percent-encoded")
		case !httpguts.ValidHeaderFieldName(k):
			return fmt.Errorf("allowed: key=value pairs separated by commas; the key of number %d is not the name of a header", n)
		case err != nil:
			return fmt.Errorf("allowed: key=value pairs separated by commas, values percent-encoded; that of %q is not", k)
		case strings.ContainsFunc(strings.TrimSpace(v), func(r rune) bool { return r < ' ' || r > '~' }):
			return fmt.Errorf("allowed: values of printable ASCII; that of %q is not", k)
		}
	}
	return nil
}

func certificates(value string) error {
	pem, err := os.ReadFile(value)
	if err != nil {
		return fmt.Errorf("allowed: a file of PEM certificates: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return errors.New("allowed: a file of PEM certificates; there is none in it")
	}
	return nil
}

// keyPairOf checks a certificate and its key together: one without the other would be passed over silently.
func keyPairOf(certVar, keyVar string) func(string) error {
	return func(string) error {
		certFile, keyFile := env(certVar, ""), env(keyVar, "")
		if certFile == "" || keyFile == "" {
			return fmt.Errorf("allowed: %s and %s both set, or neither", certVar, keyVar)
		}
		if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
			return fmt.Errorf("allowed: PEM files of a certificate and its key: %w", err)
		}
		return nil
	}
}
