package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/otelnet"
)

// errCapturesOff is the answer where nobody has said where captures may go.
var errCapturesOff = errors.New("agent: captures are off: set WithCaptureDir or " + envCaptureDir)

// Capture records the evidence of this moment and waits for it, about six seconds with a CPU profile; see
// [capture.Capturer.Capture]. The zero Request asks for everything, in the name of a person. Without a capture directory
// the error says so.
func (a *Agent) Capture(ctx context.Context, r capture.Request) (capture.Manifest, error) {
	if a.captures == nil {
		return capture.Manifest{}, errCapturesOff
	}
	return a.captures.Capture(ctx, r)
}

// Captures returns what makes and keeps captures, to list and open them; nil without a capture directory.
func (a *Agent) Captures() *capture.Capturer { return a.captures }

// checkCaptures says which of the options on captures lack the directory.
func (c *config) checkCaptures() error {
	if c.captures.Dir != "" {
		return nil
	}
	var errs []error
	if c.captures.FlightRecorder {
		errs = append(errs, fmt.Errorf("WithFlightRecorder, %s: there is nowhere to store what it records: set WithCaptureDir or %s",
			envFlightRecorder, envCaptureDir))
	}
	if c.captures.Continuous != 0 {
		errs = append(errs, fmt.Errorf("WithContinuousProfile, %s: there is nowhere to store profiles: set WithCaptureDir or %s",
			envContinuousProfile, envCaptureDir))
	}
	return errors.Join(errs...)
}

// startCaptures makes the Capturer, nil without a directory for it.
func (a *Agent) startCaptures(rules alertproc.Config) (*capture.Capturer, error) {
	cfg := a.config.captures
	if cfg.Dir == "" {
		if asking := rulesWithCapture(rules); len(asking) > 0 {
			a.config.log().Warn("otelnet: alert rules ask for captures, and there is no directory for them: set WithCaptureDir or "+envCaptureDir,
				"rules", strings.Join(asking, ", "))
		}
		return nil, nil
	}
	if cfg.Connections == nil {
		cfg.Connections = otelnet.ConnectionsPage
	}
	cfg.History = cmp.Or(cfg.History, a.history)
	if cfg.Quiet == nil {
		cfg.Quiet = a.quiet
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = a.metrics.provider
	}
	cfg.Service = cmp.Or(cfg.Service, resourceString(a.resource, semconv.ServiceNameKey))
	cfg.Instance = cmp.Or(cfg.Instance, resourceString(a.resource, semconv.ServiceInstanceIDKey))
	capturer, err := capture.New(cfg)
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		err = fmt.Errorf("WithCaptureDir, %s: %w", envCaptureDir, err)
	}
	return capturer, err
}

func rulesWithCapture(rules alertproc.Config) (names []string) {
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if len(r.Capture) > 0 {
				names = append(names, r.Alert)
			}
		}
	}
	return names
}

// quiet says whether no alert is firing.
func (a *Agent) quiet() bool {
	return !slices.ContainsFunc(a.alerts.Alerts(), func(alert alertproc.Alert) bool { return alert.State == alertproc.StateFiring })
}

// evidence begins a capture for an alert that has begun to fire or got worse. It is called while the rules are
// evaluated, so it waits for nothing.
func (a *Agent) evidence(t alertproc.Transition) alertproc.Evidence {
	if a.captures == nil {
		return alertproc.Evidence{}
	}
	kinds, err := capture.ParseKinds(t.Alert.Capture)
	if err != nil {
		return alertproc.Evidence{} // the rules were checked; it cannot be
	}
	m, err := a.captures.Begin(capture.Request{
		Reason: capture.Alert, Alert: t.Alert.Rule, Labels: t.Alert.Labels, Severity: t.Alert.Severity,
		Value: t.Alert.Value, Threshold: t.Alert.Threshold, Note: t.Reason, Kinds: kinds,
	})
	if m.ID == "" {
		if !errors.Is(err, capture.ErrClosed) {
			a.config.log().Info("otelnet: an alert is not captured", "alert", t.Alert.Rule, "reason", err)
		}
		return alertproc.Evidence{}
	}
	return alertproc.Evidence{ID: m.ID, URL: a.captureURL(m.ID)}
}

// captureURL is where the page shows a capture, "" without a page.
func (a *Agent) captureURL(id string) string {
	if a.admin == nil {
		return ""
	}
	base := cmp.Or(a.externalURL, a.admin.URL())
	return strings.TrimSuffix(base, "/") + capture.PagePath + id
}
