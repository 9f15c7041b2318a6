package cgroup

import (
	"path"
	"slices"
	"strings"
)

// group is a line of /proc/self/cgroup: where the process is in one hierarchy.
type group struct {
	controllers []string // none in v2, whose one hierarchy has all that no v1 hierarchy has
	path        string
}

// mount is a line of /proc/self/mountinfo that mounts a hierarchy, or a part of it, somewhere.
type mount struct {
	v2          bool
	controllers []string // v1 only, among other mount options
	root        string   // of the hierarchy, what is seen at point
	point       string
}

// parseGroups skips what it cannot read: it is a kernel's line that a later kernel may extend.
func parseGroups(b []byte) []group {
	var groups []group
	for line := range strings.Lines(string(b)) {
		// 4:cpu,cpuacct:/docker/5a2e or 0::/user.slice
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		g := group{path: parts[2]}
		if parts[1] != "" {
			g.controllers = strings.Split(parts[1], ",")
		} else if parts[0] != "0" {
			continue
		}
		groups = append(groups, g)
	}
	return groups
}

func parseMounts(b []byte) []mount {
	var mounts []mount
	for line := range strings.Lines(string(b)) {
		// 36 31 0:33 /root /point rw,relatime shared:9 - cgroup cgroup rw,devices
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(kind) < 3 {
			continue
		}
		m := mount{root: unescape.Replace(fields[3]), point: unescape.Replace(fields[4])}
		switch kind[0] {
		case "cgroup":
			m.controllers = strings.Split(kind[2], ",")
		case "cgroup2":
			m.v2 = true
		default:
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// unescape undoes what the kernel does to blanks and backslashes in mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// directories returns those of controller's groups: the process's own, then its parents as far as they are mounted.
func directories(controller string, groups []group, mounts []mount) []string {
	v2 := false
	i := slices.IndexFunc(groups, func(g group) bool { return slices.Contains(g.controllers, controller) })
	if i < 0 {
		v2 = true
		i = slices.IndexFunc(groups, func(g group) bool { return g.controllers == nil })
	}
	if i < 0 {
		return nil
	}
	for _, m := range mounts {
		if m.v2 != v2 || !v2 && !slices.Contains(m.controllers, controller) {
			continue
		}
		if below, ok := m.below(groups[i].path); ok {
			return upTo(m.point, below)
		}
	}
	return nil
}

// below returns where p of the hierarchy is below the mount's point, and false if it is not there.
func (m mount) below(p string) (string, bool) {
	if strings.HasPrefix(p, "/..") {
		return "", false // outside of what this cgroup namespace may see
	}
	if m.root == "/" {
		return p, true
	}
	rest, ok := strings.CutPrefix(p, m.root)
	return rest, ok && (rest == "" || rest[0] == '/')
}

func upTo(point, below string) []string {
	var dirs []string
	for below = path.Join("/", below); len(dirs) < maxLevels; below = path.Dir(below) {
		dirs = append(dirs, path.Join(point, below))
		if below == "/" {
			break
		}
	}
	return dirs
}
