package runtimemetrics

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/internal/cgroup"
	"github.com/otelnet/agent/internal/procself"
)

// fact is one number that the operating system keeps about the process or its container.
type fact int

const (
	userCPU fact = iota
	systemCPU
	residentMemory
	openFiles
	fileLimit
	cpuLimit
	cpuPeriods
	throttledPeriods
	throttledTime
	memoryLimit

	facts // how many there are
)

// factKeys tells where each comes from, in the words of the package comment.
var factKeys = [facts]string{
	userCPU:          "getrusage(2) ru_utime",
	systemCPU:        "getrusage(2) ru_stime",
	residentMemory:   "/proc/self/statm resident",
	openFiles:        "/proc/self/fd",
	fileLimit:        "getrlimit(2) RLIMIT_NOFILE",
	cpuLimit:         "cgroup cpu.max or cpu.cfs_quota_us",
	cpuPeriods:       "cgroup cpu.stat nr_periods",
	throttledPeriods: "cgroup cpu.stat nr_throttled",
	throttledTime:    "cgroup cpu.stat throttled_usec or throttled_time",
	memoryLimit:      "cgroup memory.max or memory.limit_in_bytes",
}

// systemIndex tells where a systemReader keeps each fact. All are there on every platform; those that nobody knows have
// no value at collect, and the SDK leaves an instrument without points out.
func systemIndex() map[string]int {
	index := make(map[string]int, facts)
	for i, key := range factKeys {
		index[key] = i
	}
	return index
}

// systemReader asks the operating system at each collect.
type systemReader struct {
	mu      sync.Mutex // several readers may collect at once
	process *procself.Process
	group   *cgroup.Group // nil where there is none
	closed  bool
	values  [facts]float64
	known   [facts]bool
	series  []series
}

func newSystemReader(root string) *systemReader {
	group, err := cgroup.Open(root)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		otel.Handle(err)
	}
	return &systemReader{process: procself.Open(), group: group}
}

func (r *systemReader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.process.Close()
	if r.group != nil {
		r.group.Close()
	}
}

// observe is a callback of every collect.
func (r *systemReader) observe(_ context.Context, o metric.Observer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	observe(o, r, r.series)
	return nil
}

func (r *systemReader) integer(s *series) (int64, bool) {
	return int64(r.values[s.plus]), r.known[s.plus]
}

func (r *systemReader) float(s *series) (float64, bool) {
	return r.values[s.plus], r.known[s.plus]
}

func (r *systemReader) read() {
	user, system, ok := r.process.CPU()
	r.set(userCPU, user.Seconds(), ok)
	r.set(systemCPU, system.Seconds(), ok)
	resident, ok := r.process.Resident()
	r.set(residentMemory, float64(resident), ok)
	open, ok := r.process.OpenFiles()
	r.set(openFiles, float64(open), ok)
	limit, ok := r.process.FileLimit()
	r.set(fileLimit, float64(limit), ok)
	if r.group == nil {
		return
	}
	cpus, ok := r.group.CPULimit()
	r.set(cpuLimit, cpus, ok)
	t, ok := r.group.Throttling()
	r.set(cpuPeriods, float64(t.Periods), ok)
	r.set(throttledPeriods, float64(t.Throttled), ok)
	r.set(throttledTime, t.Time.Seconds(), ok)
	memory, ok := r.group.MemoryLimit()
	r.set(memoryLimit, float64(memory), ok)
}

func (r *systemReader) set(f fact, v float64, ok bool) {
	r.values[f], r.known[f] = v, ok
}
