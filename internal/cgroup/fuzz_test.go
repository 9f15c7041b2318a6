package cgroup

import (
	"path"
	"strings"
	"testing"
)

// Whatever the two files say, what is looked for lies below a mount's point and is bounded.
func FuzzDirectories(f *testing.F) {
	f.Add(v1Groups, v1Mounts)
	f.Add("0::/shop.slice/checkout.service\n", v2Mount)
	f.Add("0::/../..\n", "1 1 0:1 /../.. /cg rw - cgroup2 c rw\n")
	f.Add("3:cpu:a/../..\n", "1 1 0:1 / /cg\\134 rw - cgroup c cpu\n")
	f.Fuzz(func(t *testing.T, membership, mountinfo string) {
		mounts := parseMounts([]byte(mountinfo))
		for _, controller := range []string{"cpu", "memory"} {
			dirs := directories(controller, parseGroups([]byte(membership)), mounts)
			if len(dirs) > maxLevels {
				t.Errorf("%d directories, want at most %d", len(dirs), maxLevels)
			}
			for _, dir := range dirs {
				inside := false
				for _, m := range mounts {
					point := path.Join(m.point)
					inside = inside || dir == point || strings.HasPrefix(dir, strings.TrimSuffix(point, "/")+"/")
				}
				if !inside {
					t.Errorf("%q is below no mount of %q", dir, mountinfo)
				}
			}
		}
	})
}
