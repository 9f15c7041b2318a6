package capture

import (
	"fmt"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/otelnet/agent/internal/cgroup"
	"github.com/otelnet/agent/internal/procself"
)

// tooMuch is the share of a limit from which on a process is left alone.
const tooMuch = 0.9

// measureAtLeast is the shortest time over which the use of a CPU quota is worth judging: two and a half of the
// kernel's usual periods.
const measureAtLeast = 250 * time.Millisecond

// pressure tells how close the process is to its limits. It is not safe for concurrent use.
type pressure struct {
	process *procself.Process
	group   *cgroup.Group // nil where there is none
	at      time.Time
	used    time.Duration

	// What tests replace.
	cpuQuota    func() (cpus float64, ok bool)
	memoryLimit func() (bytes int64, ok bool)
}

func openPressure() *pressure {
	p := &pressure{process: procself.Open()}
	if group, err := cgroup.Open("/"); err == nil {
		p.group = group
	}
	p.cpuQuota = func() (float64, bool) {
		if p.group == nil {
			return 0, false
		}
		return p.group.CPULimit()
	}
	p.memoryLimit = func() (int64, bool) {
		limit, ok := debug.SetMemoryLimit(-1), true
		if limit == math.MaxInt64 {
			ok = false
		}
		if p.group != nil {
			if l, set := p.group.MemoryLimit(); set && (!ok || l < limit) {
				limit, ok = l, true
			}
		}
		return limit, ok
	}
	return p
}

func (p *pressure) close() {
	p.process.Close()
	if p.group != nil {
		p.group.Close()
	}
}

// begin is where the measurement of CPU time starts.
func (p *pressure) begin() {
	user, system, _ := p.process.CPU()
	p.at, p.used = time.Now(), user+system
}

// measured says how much longer begin must lie back for cpu to be worth asking.
func (p *pressure) measured() time.Duration {
	if _, ok := p.cpuQuota(); !ok {
		return 0
	}
	return measureAtLeast - time.Since(p.at)
}

// cpu says why the process has no CPU time to spare, "" if it has. Without a quota it has: there is none to run into.
func (p *pressure) cpu() string {
	quota, ok := p.cpuQuota()
	if !ok || quota <= 0 {
		return ""
	}
	user, system, ok := p.process.CPU()
	elapsed := time.Since(p.at)
	if !ok || elapsed <= 0 {
		return ""
	}
	if share := (user + system - p.used).Seconds() / elapsed.Seconds() / quota; share > tooMuch {
		return fmt.Sprintf("the process uses %.0f %% of its quota of %.2g CPUs", 100*share, quota)
	}
	return ""
}

// memory says why the process has no memory to spare, "" if it has. Its limit is the smaller one of GOMEMLIMIT and the
// control group's.
func (p *pressure) memory() string {
	limit, ok := p.memoryLimit()
	if !ok || limit <= 0 {
		return ""
	}
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	used := samples[0].Value.Uint64() - samples[1].Value.Uint64() // what GOMEMLIMIT is held against
	if share := float64(used) / float64(limit); share > tooMuch {
		return fmt.Sprintf("the process uses %.0f %% of its %s of memory", 100*share, mebibytes(limit))
	}
	return ""
}
