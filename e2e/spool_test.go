package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// An outage of the Collector of 35 export intervals, over half a minute here and over half an hour at the usual ones. In the middle of it
// the service is killed with SIGKILL and started again. What the service wrote down before it exported is what both stores must hold in the
// end: each interval once, with its own time. Both lives write into one series, so what is late or out of order would be refused.
func TestCollectorAwayAndServiceKilled(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(strings.ReplaceAll(protocol, "/", " "), func(t *testing.T) {
			t.Parallel() // they mostly wait
			p := startPipeline(t)
			endpoint := p.collector.GRPCEndpoint
			if protocol != "grpc" {
				endpoint = p.collector.HTTPEndpoint
			}
			w := stack.StartWitness(t, p.dir,
				"OTELNET_SPOOL_DIR="+filepath.Join(p.dir, "spool"),
				"OTEL_EXPORTER_OTLP_PROTOCOL="+protocol,
				"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+endpoint,
				"OTEL_RESOURCE_ATTRIBUTES=service.instance.id=one")
			w.Pass(t, 3)
			p.collector.Kill()
			w.Pass(t, 15)
			time.Sleep(stack.ExportInterval / 3) // between two exports
			w.Kill()
			w.Start(t)
			w.Pass(t, 20)
			p.collector.Start(t)
			stack.Until(t, 45*time.Second, "the recovery", func(context.Context) error { // the longest pause between attempts is 30 s
				if log := w.Log(t); !strings.Contains(log, "export works again") {
					return fmt.Errorf("not in the log:\n%s", log)
				}
				return nil
			})
			w.Pass(t, 2)
			w.Stop(t)

			want := w.Intervals(t)
			if len(want) < 40 {
				t.Fatalf("the service has made %d exports, want more", len(want))
			}
			stack.Until(t, 60*time.Second, "every interval in both stores", func(ctx context.Context) error {
				got, err := p.prometheus.Samples(ctx, "e2e_interval")
				if err != nil {
					return err
				}
				if err := sameIntervals(got, want); err != nil {
					return fmt.Errorf("Prometheus: %w", err)
				}
				rows, err := p.influx.Query(ctx, `SELECT count("gauge") FROM "e2e.interval"`)
				if err != nil {
					return err
				}
				if len(rows) != 1 || rows[0].Columns["count"] != float64(len(want)) {
					return fmt.Errorf("InfluxDB: %v, want %d points", rows, len(want))
				}
				return nil
			})
			t.Logf("%d intervals, %v to %v, each once in both stores", len(want), want[0].At, want[len(want)-1].At)
			log := w.Log(t)
			if n := strings.Count(log, "\n"); n != 4 {
				t.Errorf("the service has printed %d lines, want 4: the outage in each life, what was left, and the recovery\n%s", n, log)
			}
		})
	}
}

// sameIntervals tells in what the samples, in order of time, are not the intervals.
func sameIntervals(got []stack.Sample, want []stack.Interval) error {
	for i := range min(len(got), len(want)) {
		if int64(got[i].Value) != want[i].Number {
			return fmt.Errorf("sample %d is interval %v, want %d", i, got[i].Value, want[i].Number)
		}
		if d := got[i].Time.Sub(want[i].At).Abs(); d > stack.ExportInterval/3 {
			return fmt.Errorf("interval %d has the time of %v, want %v", want[i].Number, got[i].Time, want[i].At)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d samples, want %d", len(got), len(want))
	}
	return nil
}
