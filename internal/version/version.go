// Package version tells which version of this module a program was built with: the version of the instrumentation scopes.
package version

import (
	"runtime/debug"
	"sync"
)

const module = "github.com/otelnet/agent"

// Module is the version that the service's go.mod names, such as "v1.2.0", and "" where there is none: in this module's own commands,
// and where a directory stands in for it. Reading it costs once some ten microseconds, then nothing. It is safe for concurrent use.
var Module = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return of(info)
})

func of(info *debug.BuildInfo) string {
	for _, dep := range info.Deps {
		switch {
		case dep.Path != module:
		case dep.Replace != nil:
			return known(dep.Replace.Version)
		default:
			return known(dep.Version)
		}
	}
	return ""
}

func known(v string) string {
	if v == "(devel)" {
		return ""
	}
	return v
}
