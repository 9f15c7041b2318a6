package version

import (
	"runtime/debug"
	"testing"
)

func TestOf(t *testing.T) {
	other := &debug.Module{Path: "example.com/other", Version: "v9.0.0"}
	for name, test := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"a dependency":       {debug.BuildInfo{Deps: []*debug.Module{other, {Path: module, Version: "v1.2.0"}}}, "v1.2.0"},
		"a fork":             {debug.BuildInfo{Deps: []*debug.Module{{Path: module, Version: "v1.2.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.2.1"}}}}, "v1.2.1"},
		"a directory":        {debug.BuildInfo{Deps: []*debug.Module{{Path: module, Version: "v1.2.0", Replace: &debug.Module{Path: "../agent"}}}}, ""},
		"a workspace":        {debug.BuildInfo{Deps: []*debug.Module{{Path: module, Version: "(devel)"}}}, ""},
		"this module's own":  {debug.BuildInfo{Main: debug.Module{Path: module, Version: "v0.0.0-20260101000000-abcdefabcdef+dirty"}, Deps: []*debug.Module{other}}, ""},
		"none at all":        {debug.BuildInfo{}, ""},
		"of a similar name":  {debug.BuildInfo{Deps: []*debug.Module{{Path: module + "/v2", Version: "v2.0.0"}}}, ""},
		"without a go.mod's": {debug.BuildInfo{Deps: []*debug.Module{{Path: module}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := of(&test.info); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
