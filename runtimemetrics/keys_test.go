package runtimemetrics

import (
	"runtime/metrics"
	"strings"
	"testing"
)

// leftOut holds every key of runtime/metrics that is deliberately not reported, with the reason. A key that ends in a
// slash stands for all that begin with it.
var leftOut = map[string]string{
	"/cpu/classes/total:cpu-seconds":       "the sum of the four states of go.cpu.time",
	"/gc/cycles/automatic:gc-cycles":       "go.memory.gc.cycles has no attribute for it; forced cycles are rare and show in a profile",
	"/gc/cycles/forced:gc-cycles":          "the other part of the same total",
	"/gc/heap/allocs-by-size:bytes":        "a histogram of 68 sizes that a heap profile tells better, with the place",
	"/gc/heap/frees-by-size:bytes":         "as allocs-by-size",
	"/gc/heap/frees:bytes":                 "go.memory.allocated less the objects' bytes of go.memory.used with details",
	"/gc/heap/frees:objects":               "go.memory.allocations less otelnet.go.memory.heap.objects",
	"/gc/heap/tiny/allocs:objects":         "the registry computes go.memory.allocations without them",
	"/gc/pauses:seconds":                   "deprecated for /sched/pauses/total/gc:seconds, which is reported",
	"/gc/scan/globals:bytes":               "an input of the collector's pacer: for those who work on it",
	"/gc/scan/heap:bytes":                  "as globals",
	"/gc/scan/stack:bytes":                 "as globals",
	"/gc/scan/total:bytes":                 "as globals",
	"/gc/stack/starting-size:bytes":        "nothing that an operator can act on",
	"/godebug/non-default-behavior/":       "one key for each compatibility setting: a matter of upgrades, not of operation",
	"/sched/pauses/stopping/gc:seconds":    "the first part of the total, which is reported",
	"/sched/pauses/stopping/other:seconds": "the first part of the total, which is reported",
}

// TestEveryKeyIsDecided fails with a Go version that has a key nobody has decided about: report it, or say in leftOut
// why not. It fails too when a decision is out of date.
func TestEveryKeyIsDecided(t *testing.T) {
	all := metrics.All()
	used := make(map[string]bool)
	for _, list := range [][]instrument{runtimeInstruments(), withDetails(runtimeInstruments(), all)} {
		for _, inst := range list {
			for _, p := range inst.points {
				used[p.key] = true
				for _, m := range p.minus {
					used[m] = true
				}
			}
		}
	}
	for _, h := range histograms() {
		used[h.key] = true
	}
	if len(used) < 45 {
		t.Fatalf("only %d keys are used", len(used))
	}

	known, matched := make(map[string]bool), make(map[string]bool)
	for _, d := range all {
		known[d.Name] = true
		reason := ""
		for k := range leftOut {
			if k == d.Name || strings.HasSuffix(k, "/") && strings.HasPrefix(d.Name, k) {
				reason = k
				matched[k] = true
			}
		}
		switch {
		case used[d.Name] && reason != "":
			t.Errorf("%s is reported, and left out by %q", d.Name, reason)
		case !used[d.Name] && reason == "":
			t.Errorf("nobody has decided about %s:\n%s", d.Name, d.Description)
		}
	}
	for k := range used {
		if !known[k] {
			t.Errorf("%s is reported, and not in runtime/metrics", k)
		}
	}
	for k := range leftOut {
		if !matched[k] {
			t.Errorf("%s is left out, and not in runtime/metrics", k)
		}
	}
}
