package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/otelnet/agent/bench/internal/tables"
)

// report is what a run has found.
type report struct {
	effort effort
	begun  time.Time
	took   time.Duration
	agents []agentCost
	wire   wireCost
	tiers  []tierCost
}

// What the arithmetic takes for given.
const (
	exportEvery = 10.0 // s; the default is 60, this is for those who look closely
	perNode     = 20.0 // services on one node, and so at one agent Collector
	busy        = 0.5  // how much of its cores a Collector should use on an ordinary day
	copies      = 2.0  // gateways that may be lost at once, in cores beyond what is needed: one of two
	storedBytes = 1.5  // of a sample in Prometheus' blocks, by its own documentation 1 to 2
	headBytes   = 4e3  // of memory for a series in Prometheus' head, a rule of thumb
	retention   = 15.0 // days
)

func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString("| Series of a service | CPU of a tick | CPU of an export | share of a core at a tick in 5 s and an export in 10 s | memory a series |\n|---:|---:|---:|---:|---:|\n")
	for _, a := range r.agents {
		share := a.tick.Seconds()/5 + a.export.Seconds()/exportEvery
		fmt.Fprintf(&b, "| %s | %s | %s | %.3f %% | %s |\n", grouped(float64(a.series)), micro(a.tick), micro(a.export), 100*share, size(a.memory))
	}
	fmt.Fprintf(&b, "\n| A point on the wire | bytes |\n|---|---:|\n| OTLP by gRPC, as it is | %.0f |\n| with gzip | %.0f |\n| as it is, for each sample that Prometheus makes of it | %.0f |\n",
		r.wire.plain, r.wire.gzip, r.wire.perSample)
	if len(r.tiers) > 0 {
		b.WriteString("\n| Collector | simulated agents | points a second, sent | points a second a core | memory | file of the queue |\n|---|---:|---:|---:|---:|---:|\n")
		for _, t := range r.tiers {
			fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s |\n", t.name, t.agents, grouped(t.offered), grouped(t.perCore), size(t.memory), size(t.queuedDisk))
		}
		b.WriteString("\n" + r.arithmetic())
	}
	fmt.Fprintf(&b, "\n%s; %v in all.\n", tables.Machine(), r.took.Round(time.Second))
	return b.String()
}

// fleet is what so many services need.
type fleet struct {
	services   float64
	points     float64 // a second
	nodes      float64
	agentCores float64 // of all agent Collectors together
	perNode    float64 // cores of one of them
	gateway    float64 // cores of all gateways
	gateways   float64 // of 4 cores each
	network    float64 // bits a second into the gateways, compressed
	samples    float64 // a second into the store
	series     float64 // in the store
	head       float64 // bytes of memory there
	disk       float64 // bytes for the retention
}

func (r *report) fleet(services float64, samplesPerPoint float64) fleet {
	f := fleet{services: services, nodes: math.Ceil(services / perNode)}
	f.points = services * seriesOfService / exportEvery
	f.agentCores = f.points / r.tiers[0].perCore / busy
	f.perNode = f.agentCores / f.nodes
	f.gateway = f.points / r.tiers[1].perCore / busy
	f.gateways = max(copies, math.Ceil(f.gateway/4)+1)
	f.network = f.points * r.wire.gzip * 8
	f.samples = f.points * samplesPerPoint
	f.series = services * seriesOfService * samplesPerPoint
	f.head = f.series * headBytes
	f.disk = f.samples * storedBytes * 86400 * retention
	return f
}

func (r *report) arithmetic() string {
	samplesPerPoint := r.wire.plain / r.wire.perSample
	var fleets []fleet
	for _, n := range []float64{100, 10_000, 100_000} {
		fleets = append(fleets, r.fleet(n, samplesPerPoint))
	}
	var b strings.Builder
	row := func(name string, show func(fleet) string) {
		b.WriteString("| " + name)
		for _, f := range fleets {
			b.WriteString(" | " + show(f))
		}
		b.WriteString(" |\n")
	}
	row("Services", func(f fleet) string { return grouped(f.services) })
	b.WriteString("|---|---:|---:|---:|\n")
	row("Points a second", func(f fleet) string { return grouped(f.points) })
	row("Nodes, each with an agent Collector", func(f fleet) string { return grouped(f.nodes) })
	row("Cores of one agent Collector", func(f fleet) string { return fmt.Sprintf("%.2f", f.perNode) })
	row("Cores of all gateways", func(f fleet) string { return fmt.Sprintf("%.1f", f.gateway) })
	row("Gateways of 4 cores, one to spare", func(f fleet) string { return grouped(f.gateways) })
	row("Network into the gateways, gzip", func(f fleet) string { return bits(f.network) })
	row("Samples a second into the store", func(f fleet) string { return grouped(f.samples) })
	row("Series in the store", func(f fleet) string { return grouped(f.series) })
	row("Memory of the store's head", func(f fleet) string { return size(f.head) })
	row("Disk for 15 days", func(f fleet) string { return size(f.disk) })
	return b.String()
}

func micro(d time.Duration) string {
	if d >= time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.0f µs", float64(d)/1e3)
}

// grouped writes three digits that count, with commas.
func grouped(x float64) string {
	if x >= 1000 {
		unit := math.Pow(10, math.Floor(math.Log10(x))-2)
		x = math.Round(x/unit) * unit
	}
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(bytes float64) string { return scaled(bytes, "B") }

func bits(perSecond float64) string { return scaled(perSecond, "bit/s") }

func scaled(x float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T"}
	for len(prefixes) > 1 && x >= 1000 {
		x /= 1000
		prefixes = prefixes[1:]
	}
	if x < 10 {
		return fmt.Sprintf("%.1f %s%s", x, prefixes[0], unit)
	}
	return fmt.Sprintf("%.0f %s%s", x, prefixes[0], unit)
}
