package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// A Collector that cannot be reached costs the service one line in its log, and nothing else.
func TestUnreachableCollector(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(strings.ReplaceAll(protocol, "/", "-"), func(t *testing.T) {
			demo := stack.StartDemo(t, stack.Dir(t), stack.DemoConfig{
				OTLPEndpoint: stack.FreeAddr(t), // nothing listens there
				Env:          []string{"OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol, "OTEL_EXPORTER_OTLP_TIMEOUT=500"},
			})
			const failure = "export fails"
			stack.Until(t, 30*time.Second, "a line about the failed export", func(context.Context) error {
				if log := demo.Log(t); !strings.Contains(log, failure) {
					return fmt.Errorf("no %q in the log:\n%s", failure, log)
				}
				return nil
			})

			// Requests are answered over the time of several more exports, each of which fails.
			for begun := time.Now(); time.Since(begun) < 5*stack.ExportInterval; {
				stack.Send(t, demo.Client, demo.URL+"/api/data", 10)
			}
			if log := demo.Log(t); strings.Count(log, failure) != 1 {
				t.Errorf("%d lines with %q, want 1; the log:\n%s", strings.Count(log, failure), failure, log)
			}

			demo.Stop(t)
			if status := demo.Wait(t, time.Second); status != 0 {
				t.Errorf("exit status %d after SIGTERM, want 0; the log:\n%s", status, demo.Log(t))
			}
		})
	}
}
