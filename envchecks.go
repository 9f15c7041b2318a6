package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The checks. Each answers what is allowed, never the value itself.

func anything(string) error { return nil }

func oneOf(allowed ...string) func(string) error {
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
			if !slices.Contains(allowed, part) {
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

func milliseconds(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n <= 0 || time.Duration(n) > 24*time.Hour/time.Millisecond {
		return errors.New("allowed: a whole number of milliseconds from 1 to 86400000 (one day)")
	}
	return nil
}

func minutes(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < time.Minute {
		return errors.New("allowed: a duration of a minute or more, such as 10m")
	}
	return nil
}

func wholeNumber(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < -1 {
		return errors.New("allowed: a whole number, -1 or more")
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

func files(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 || n > 10_000 {
		return errors.New("allowed: a whole number from 1 to 10000")
	}
	return nil
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
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return nil
	case err == nil && u.Scheme == "unix" && (u.Path != "" || u.Opaque != ""):
		return nil
	}
	return errors.New("allowed: a URL such as http://localhost:4317, https://collector:4317 or unix:///run/otel.sock")
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
