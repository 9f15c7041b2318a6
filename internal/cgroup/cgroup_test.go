package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The contents are the kernel's own, as seen in such places.
const (
	v2Mount = "30 25 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"
	// Docker on a machine with v1: the container sees its own group at each mount, and the host's path in its membership.
	v1Mounts = "657 655 0:49 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755\n" +
		"658 657 0:26 /docker/5a2e /sys/fs/cgroup/systemd ro,nosuid,nodev,noexec,relatime master:9 - cgroup cgroup rw,xattr,name=systemd\n" +
		"662 657 0:30 /docker/5a2e /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:14 - cgroup cgroup rw,cpu,cpuacct\n" +
		"665 657 0:33 /docker/5a2e /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:17 - cgroup cgroup rw,memory\n" +
		"666 657 0:34 /docker/5a2e /sys/fs/cgroup/cpuset ro,nosuid,nodev,noexec,relatime master:18 - cgroup cgroup rw,cpuset\n"
	v1Groups = "12:cpuset:/docker/5a2e\n9:memory:/docker/5a2e\n6:cpu,cpuacct:/docker/5a2e\n1:name=systemd:/docker/5a2e\n0::/system.slice/containerd.service\n"
	v2Stat   = "usage_usec 7134221\nuser_usec 5000122\nsystem_usec 2134099\nnice_usec 0\ncore_sched.force_idle_usec 0\n" +
		"nr_periods 1200\nnr_throttled 300\nthrottled_usec 4500000\nnr_bursts 0\nburst_usec 0\n"
	v1Stat  = "nr_periods 50\nnr_throttled 7\nthrottled_time 350000000\n"
	v1NoMax = "9223372036854771712\n"
)

// answers are what a Group says; nil for nothing.
type answers struct {
	CPULimit    *float64
	MemoryLimit *int64
	Throttling  *Throttling
}

func ask(g *Group) answers {
	var a answers
	if v, ok := g.CPULimit(); ok {
		a.CPULimit = &v
	}
	if v, ok := g.MemoryLimit(); ok {
		a.MemoryLimit = &v
	}
	if v, ok := g.Throttling(); ok {
		a.Throttling = &v
	}
	return a
}

func TestLimitsAndThrottling(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  answers
	}{
		{
			name: "v2 container with its own namespace",
			files: map[string]string{
				"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
				"sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/cpu.stat": v2Stat, "sys/fs/cgroup/memory.max": "268435456\n",
			},
			want: answers{new(0.5), new(int64(256 << 20)), &Throttling{1200, 300, 4500 * time.Millisecond}},
		},
		{
			name: "v2 container without limits",
			files: map[string]string{
				"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
				"sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n",
				"sys/fs/cgroup/cpu.stat": "usage_usec 1\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
			},
		},
		{
			name: "v2 on the host, limits of the service and of its slice",
			files: map[string]string{
				"proc/self/cgroup": "0::/shop.slice/checkout.service\n", "proc/self/mountinfo": v2Mount,
				"sys/fs/cgroup/cpu.stat":                                 "usage_usec 1\n", // the uppermost has no limits
				"sys/fs/cgroup/shop.slice/cpu.max":                       "150000 100000\n",
				"sys/fs/cgroup/shop.slice/cpu.stat":                      v2Stat,
				"sys/fs/cgroup/shop.slice/memory.max":                    "1073741824\n",
				"sys/fs/cgroup/shop.slice/checkout.service/cpu.max":      "400000 200000\n",
				"sys/fs/cgroup/shop.slice/checkout.service/cpu.stat":     "nr_periods 10\nnr_throttled 1\nthrottled_usec 20\n",
				"sys/fs/cgroup/shop.slice/checkout.service/memory.max":   "2147483648\n",
				"sys/fs/cgroup/other.slice/memory.max":                   "1\n",
				"sys/fs/cgroup/shop.slice/checkout.service/ignored.file": "1\n",
			},
			want: answers{new(1.5), new(int64(1 << 30)), &Throttling{1210, 301, 4500*time.Millisecond + 20*time.Microsecond}},
		},
		{
			name: "v1 container, host's paths in the membership",
			files: map[string]string{
				"proc/self/cgroup": v1Groups, "proc/self/mountinfo": v1Mounts,
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
				"sys/fs/cgroup/cpu,cpuacct/cpu.stat": v1Stat, "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
			},
			want: answers{new(2.5), new(int64(512 << 20)), &Throttling{50, 7, 350 * time.Millisecond}},
		},
		{
			name: "v1 container without limits",
			files: map[string]string{
				"proc/self/cgroup": v1Groups, "proc/self/mountinfo": v1Mounts,
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
				"sys/fs/cgroup/cpu,cpuacct/cpu.stat":         "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": v1NoMax,
			},
		},
		{
			name: "CPU in v1, memory in v2",
			files: map[string]string{
				"proc/self/cgroup": "3:cpu:/a\n0::/b\n",
				"proc/self/mountinfo": "32 31 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu\n" +
					"41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n",
				"cg/cpu/a/cpu.cfs_quota_us": "10000\n", "cg/cpu/a/cpu.cfs_period_us": "100000\n",
				"cg/unified/b/memory.max": "4096\n", "cg/unified/b/cpu.max": "1 1\n",
			},
			want: answers{CPULimit: new(0.1), MemoryLimit: new(int64(4096))},
		},
		{
			name: "mount point with a blank, second mount is the one that shows the group",
			files: map[string]string{
				"proc/self/cgroup": "0::/here/inner\n",
				"proc/self/mountinfo": "1 1 0:1 /elsewhere /cg/one rw - cgroup2 cgroup2 rw\n" +
					"2 1 0:1 /here /cg/number\\040two rw shared:1 - cgroup2 cgroup2 rw\n",
				"cg/one/memory.max": "1\n", "cg/number two/inner/memory.max": "8192\n",
			},
			want: answers{MemoryLimit: new(int64(8192))},
		},
		{
			name: "garbage in one file hides that number alone",
			files: map[string]string{
				"proc/self/cgroup": "nonsense\n\n0::/\n", "proc/self/mountinfo": "x\n - \n" + v2Mount,
				"sys/fs/cgroup/cpu.max": "lots 100000\n", "sys/fs/cgroup/cpu.stat": "nr_periods\nnr_throttled x\n\n", "sys/fs/cgroup/memory.max": "77\n",
			},
			want: answers{MemoryLimit: new(int64(77))},
		},
		{
			name: "a period of 0 is no quota",
			files: map[string]string{
				"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/cpu.max": "50000 0\n",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ask(openTest(t, tree(t, test.files)))); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no /proc":                     {},
		"no mounts":                    {"proc/self/cgroup": "0::/\n"},
		"nothing mounted":              {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "22 27 0:21 / /proc rw - proc proc rw\n"},
		"group outside the namespace":  {"proc/self/cgroup": "0::/../other\n", "proc/self/mountinfo": v2Mount, "sys/fs/memory.max": "1\n"},
		"group of a like-named parent": {"proc/self/cgroup": "0::/ab\n", "proc/self/mountinfo": "1 1 0:1 /a /cg rw - cgroup2 c rw\n", "cg/memory.max": "1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := Open(tree(t, files))
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %v and error %v, want one that wraps errors.ErrUnsupported", g, err)
			}
		})
	}
}

func TestEveryCallReadsAfresh(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
		"sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/cpu.stat": v2Stat, "sys/fs/cgroup/memory.max": "268435456\n",
	})
	g := openTest(t, root)
	ask(g)
	write(t, root, "sys/fs/cgroup/cpu.max", "300000 100000\n")
	write(t, root, "sys/fs/cgroup/cpu.stat", "nr_periods 1300\nnr_throttled 310\nthrottled_usec 5000000\n")
	write(t, root, "sys/fs/cgroup/memory.max", "max\n")
	want := answers{CPULimit: new(3.0), Throttling: &Throttling{1300, 310, 5 * time.Second}}
	if diff := cmp.Diff(want, ask(g)); diff != "" {
		t.Errorf("after the limits changed (-want +got):\n%s", diff)
	}
}

func TestLevelsAreBounded(t *testing.T) {
	deep, files := "", map[string]string{"proc/self/mountinfo": v2Mount}
	for range 40 {
		deep += "/g"
		files["sys/fs/cgroup"+deep+"/memory.max"] = "4096\n"
	}
	files["proc/self/cgroup"] = "0::" + deep + "\n"
	if got := len(openTest(t, tree(t, files)).memory); got != maxLevels {
		t.Errorf("got %d levels, want %d", got, maxLevels)
	}
}

func TestCloseEndsTheAnswers(t *testing.T) {
	g := openTest(t, tree(t, map[string]string{
		"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/cpu.max": "1 1\n", "sys/fs/cgroup/memory.max": "1\n",
	}))
	files := []*os.File{g.cpu[0].max, g.memory[0].max}
	g.Close()
	g.Close()
	if diff := cmp.Diff(answers{}, ask(g)); diff != "" {
		t.Errorf("answers after Close (-want +got):\n%s", diff)
	}
	for _, f := range files {
		if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s is still open", filepath.Base(f.Name()))
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"v2": {
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/cpu.stat": v2Stat, "sys/fs/cgroup/memory.max": "268435456\n",
		},
		"v1": {
			"proc/self/cgroup": v1Groups, "proc/self/mountinfo": v1Mounts,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.stat": v1Stat, "sys/fs/cgroup/memory/memory.limit_in_bytes": v1NoMax,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := openTest(t, tree(t, files))
			got := testing.AllocsPerRun(100, func() {
				g.CPULimit()
				g.Throttling()
				g.MemoryLimit()
			})
			if got != 0 {
				t.Errorf("allocates %v times, want 0", got)
			}
		})
	}
}

func BenchmarkReal(b *testing.B) {
	g, err := Open("/")
	if err != nil {
		b.Skip(err)
	}
	defer g.Close()
	b.ReportAllocs()
	for b.Loop() {
		g.CPULimit()
		g.Throttling()
		g.MemoryLimit()
	}
	b.ReportMetric(float64(len(g.cpu)), "cpu-levels")
	b.ReportMetric(float64(len(g.memory)), "memory-levels")
}
