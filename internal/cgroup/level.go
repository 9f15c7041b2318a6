package cgroup

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// cpuLevel is one group in the hierarchy of the CPU controller.
type cpuLevel struct {
	max           *os.File // v2; nil in v1
	quota, period *os.File // v1; nil in v2
	stat          *os.File
	unit          time.Duration // of the throttled time in stat
}

// openCPU says false if the group sets no quota: the uppermost, or one without the controller.
func openCPU(dir string) (l cpuLevel, ok bool) {
	if l.max = open(dir, "cpu.max"); l.max != nil {
		l.unit = time.Microsecond
	} else {
		l.quota, l.period = open(dir, "cpu.cfs_quota_us"), open(dir, "cpu.cfs_period_us")
		if l.quota == nil || l.period == nil {
			l.close()
			return cpuLevel{}, false
		}
		l.unit = time.Nanosecond
	}
	l.stat = open(dir, "cpu.stat")
	return l, true
}

func (l *cpuLevel) close() { closeAll(l.max, l.quota, l.period, l.stat) }

func (l *cpuLevel) limit(buf []byte) (cpus float64, ok bool) {
	var quota, period int64
	if l.max != nil {
		q, p, _ := bytes.Cut(read(l.max, buf), []byte{' '}) // "50000 100000", or "max 100000" without a quota
		quota, ok = number(q)
		if !ok {
			return 0, false
		}
		period, ok = number(p)
	} else {
		quota, ok = number(read(l.quota, buf)) // -1 without a quota
		if !ok || quota <= 0 {
			return 0, false
		}
		period, ok = number(read(l.period, buf))
	}
	if !ok || quota <= 0 || period <= 0 {
		return 0, false
	}
	return float64(quota) / float64(period), true
}

func (l *cpuLevel) addThrottling(t *Throttling, buf []byte) {
	for rest := read(l.stat, buf); len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		name, value, _ := bytes.Cut(line, []byte{' '})
		n, ok := number(value)
		if !ok {
			continue
		}
		switch string(name) {
		case "nr_periods":
			t.Periods += n
		case "nr_throttled":
			t.Throttled += n
		case "throttled_usec", "throttled_time":
			t.Time += time.Duration(n) * l.unit
		}
	}
}

// memoryLevel is one group in the hierarchy of the memory controller.
type memoryLevel struct{ max *os.File }

func openMemory(dir string) (memoryLevel, bool) {
	for _, name := range []string{"memory.max", "memory.limit_in_bytes"} { // v2, v1
		if f := open(dir, name); f != nil {
			return memoryLevel{f}, true
		}
	}
	return memoryLevel{}, false
}

func (l *memoryLevel) close() { closeAll(l.max) }

// unlimited and above is v1's way to say that there is no limit: the highest number of whole pages. v2 says "max".
const unlimited = 1 << 62

func (l *memoryLevel) limit(buf []byte) (int64, bool) {
	n, ok := number(read(l.max, buf))
	return n, ok && n < unlimited
}

func open(dir, name string) *os.File {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil
	}
	return f
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// read returns what f holds now, nothing if it cannot be read. These files fit into one page.
func read(f *os.File, buf []byte) []byte {
	if f == nil {
		return nil
	}
	n, _ := f.ReadAt(buf, 0) // the error is io.EOF, or n is 0
	return buf[:n]
}

func number(b []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	return n, err == nil
}
