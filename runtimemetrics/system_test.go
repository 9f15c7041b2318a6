package runtimemetrics

import (
	"testing"
)

func TestContainerIsWhatItsFilesSay(t *testing.T) {
	root := containerRoot(t)
	reader, provider := newReader(t)
	startIn(t, root, WithMeterProvider(provider))
	check := func(want map[string]float64) {
		t.Helper()
		got := collect(t, reader)
		for _, name := range []string{
			"otelnet.container.cpu.limit", "otelnet.container.cpu.periods", "otelnet.container.cpu.throttled.periods",
			"otelnet.container.cpu.throttled.time", "otelnet.container.memory.limit",
		} {
			v, ok := value(t, got, name)
			if w, wanted := want[name]; ok != wanted || v != w {
				t.Errorf("%s: got %v, %t, want %v, %t", name, v, ok, w, wanted)
			}
		}
	}
	check(map[string]float64{
		"otelnet.container.cpu.limit":             1.5,
		"otelnet.container.cpu.periods":           1200,
		"otelnet.container.cpu.throttled.periods": 300,
		"otelnet.container.cpu.throttled.time":    4.5,
		"otelnet.container.memory.limit":          256 << 20,
	})
	// A resize in place, between two collects.
	writeFile(t, root, "sys/fs/cgroup/cpu.max", "max 100000\n")
	writeFile(t, root, "sys/fs/cgroup/memory.max", "536870912\n")
	writeFile(t, root, "sys/fs/cgroup/cpu.stat", "usage_usec 1\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n")
	check(map[string]float64{"otelnet.container.memory.limit": 512 << 20})
}

func TestNoContainerIsAbsent(t *testing.T) {
	reader, provider := newReader(t)
	startIn(t, t.TempDir(), WithMeterProvider(provider))
	got := collect(t, reader)
	for _, name := range []string{"otelnet.container.cpu.limit", "otelnet.container.cpu.periods", "otelnet.container.memory.limit"} {
		if m, ok := got[name]; ok {
			t.Errorf("%s came without control groups: %v", name, m.Data)
		}
	}
	mustValue(t, got, "go.goroutine.count")
}
