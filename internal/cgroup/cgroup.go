// Package cgroup asks Linux which limits the control groups of the running process set on CPU time and memory, and how
// often the first has held the process up. It reads cgroup v1, v2 and machines that mix the two
// (Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst in the kernel's source).
//
// A limit binds everything below the group that has it, so all groups from the process's own up to the highest that is
// mounted here are read: one in a container, some more elsewhere. Their files are opened once and read again from their
// start, at 2 to 4 µs each.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Group is where the process was when Open looked. It reads afresh on every call and allocates nothing. It is not safe
// for concurrent use. Moving the process to another group later goes unnoticed; removing the old one makes its numbers
// absent.
type Group struct {
	cpu    []cpuLevel
	memory []memoryLevel
	buf    [4096]byte
}

// maxLevels bounds the open files: a control group tree may be as deep as an administrator likes.
const maxLevels = 16

// Open finds the groups of the running process. root stands before every path, "/" for the real ones. The error wraps
// errors.ErrUnsupported where there are no groups with a CPU or memory controller to read, as on anything but Linux.
func Open(root string) (*Group, error) {
	membership, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil, fmt.Errorf("cgroup: no control groups: %w: %w", errors.ErrUnsupported, err)
	}
	mountinfo, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("cgroup: no mounts: %w: %w", errors.ErrUnsupported, err)
	}
	groups, mounts := parseGroups(membership), parseMounts(mountinfo)
	g := new(Group)
	for _, dir := range directories("cpu", groups, mounts) {
		if l, ok := openCPU(filepath.Join(root, dir)); ok {
			g.cpu = append(g.cpu, l)
		}
	}
	for _, dir := range directories("memory", groups, mounts) {
		if l, ok := openMemory(filepath.Join(root, dir)); ok {
			g.memory = append(g.memory, l)
		}
	}
	if len(g.cpu)+len(g.memory) == 0 {
		return nil, fmt.Errorf("cgroup: neither a CPU nor a memory controller is mounted here: %w", errors.ErrUnsupported)
	}
	return g, nil
}

// Close closes the files; afterwards every answer is false. A second Close does nothing.
func (g *Group) Close() {
	for i := range g.cpu {
		g.cpu[i].close()
	}
	for i := range g.memory {
		g.memory[i].close()
	}
	g.cpu, g.memory = nil, nil
}

// CPULimit returns how many CPUs' time the process may use, 0.5 for half of one: the smallest quota divided by its
// period, from cpu.max in v2, cpu.cfs_quota_us and cpu.cfs_period_us in v1. ok is false if there is no quota.
func (g *Group) CPULimit() (cpus float64, ok bool) {
	for i := range g.cpu {
		if v, set := g.cpu[i].limit(g.buf[:]); set && (!ok || v < cpus) {
			cpus, ok = v, true
		}
	}
	return cpus, ok
}

// Throttling tells what the quotas have done since the groups were made, from cpu.stat.
type Throttling struct {
	Periods   int64         // nr_periods: the group had something to run
	Throttled int64         // nr_throttled: of those, it used its quota up
	Time      time.Duration // throttled_usec, in v1 throttled_time: how long it was held up after that
}

// Throttling returns the sum over the groups. ok is false if no quota has ever been in force.
func (g *Group) Throttling() (t Throttling, ok bool) {
	for i := range g.cpu {
		g.cpu[i].addThrottling(&t, g.buf[:])
	}
	return t, t.Periods > 0
}

// MemoryLimit returns how many bytes the process and those in the group with it may use before the kernel reclaims or
// kills: the smallest memory.max in v2, memory.limit_in_bytes in v1. ok is false if there is no limit.
func (g *Group) MemoryLimit() (bytes int64, ok bool) {
	for i := range g.memory {
		if v, set := g.memory[i].limit(g.buf[:]); set && (!ok || v < bytes) {
			bytes, ok = v, true
		}
	}
	return bytes, ok
}
