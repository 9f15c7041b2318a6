package main

import (
	"math"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
)

func TestMain(m *testing.M) {
	if os.Getenv(sinkVar) != "" {
		if err := serveSink(os.Stdout, os.Stdin); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A run without a Collector, small, but all the way.
func TestMeasure(t *testing.T) {
	r, err := measure(t.Context(), tiny, "", "../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.agents) != 2 || r.agents[0].tick <= 0 || r.agents[1].export <= 0 {
		t.Errorf("agents: %+v", r.agents)
	}
	if r.wire.gzip <= 0 || r.wire.gzip >= r.wire.plain || r.wire.perSample >= r.wire.plain {
		t.Errorf("wire: %+v", r.wire)
	}
	if text := r.markdown(); !strings.Contains(text, "| with gzip |") || strings.Contains(text, "NaN") {
		t.Errorf("report:\n%s", text)
	}
}

func TestPayloadIsOneServiceInEachInstance(t *testing.T) {
	p, err := newPayload(t.Context(), 200)
	if err != nil {
		t.Fatal(err)
	}
	if want := 80*17 + 120; p.samples != want { // 14 bounds make 15 buckets, and sum and count
		t.Errorf("%d samples, want %d", p.samples, want)
	}
	ids := map[string]bool{}
	for i := range 3 {
		b, err := p.of(i)
		if err != nil {
			t.Fatal(err)
		}
		var r collectorpb.ExportMetricsServiceRequest
		if err := proto.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		for _, kv := range r.ResourceMetrics[0].Resource.Attributes {
			if kv.Key == "service.instance.id" {
				ids[kv.Value.GetStringValue()] = true
			}
		}
	}
	if len(ids) != 3 {
		t.Errorf("instances: %v, want 3", ids)
	}
}

// The arithmetic, by hand: 1,000 services of 500 series each 10 s are 50,000 points a second.
func TestFleet(t *testing.T) {
	r := &report{wire: wireCost{gzip: 20}, tiers: []tierCost{{perCore: 100_000}, {perCore: 50_000}}}
	f := r.fleet(1000, 7)
	for name, got := range map[string][2]float64{
		"points":       {f.points, 50_000},
		"nodes":        {f.nodes, 50},
		"agent cores":  {f.agentCores, 1},
		"of a node":    {f.perNode, 0.02},
		"gateway":      {f.gateway, 2},
		"gateways":     {f.gateways, 2},
		"network":      {f.network, 8e6},
		"samples":      {f.samples, 350_000},
		"series":       {f.series, 3.5e6},
		"head":         {f.head, 14e9},
		"disk, a week": {f.disk / 15 * 7, 350_000 * 1.5 * 7 * 86400},
	} {
		if math.Abs(got[0]-got[1]) > 1e-6*got[1] {
			t.Errorf("%s: got %v, want %v", name, got[0], got[1])
		}
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		grouped(1234567): "1,230,000", grouped(999): "999", grouped(12): "12", size(1.5e9): "1.5 GB", size(20): "20 B", bits(8e6): "8.0 Mbit/s",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestCollectorsOwnNumbers(t *testing.T) {
	got := sumsOf(`# HELP otelcol_exporter_queue_size Current size
otelcol_exporter_queue_size{exporter="a",data_type="metrics"} 3
otelcol_exporter_queue_size{exporter="b"} 4
otelcol_exporter_send_failed_metric_points_total{exporter="a"} 2
plain 1.5
`)
	if got["otelcol_exporter_queue_size"] != 7 || got["otelcol_exporter_send_failed_metric_points"] != 2 || got["plain"] != 1.5 {
		t.Errorf("got %v", got)
	}
}
