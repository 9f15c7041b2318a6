package stack

import (
	"net/http"
	"path/filepath"
	"testing"
)

// StartVictoriaMetrics starts a real one, which has Prometheus' interfaces for writing and for queries, with an empty store below dir.
// What was written may be asked for at once, not after half a minute.
func StartVictoriaMetrics(tb testing.TB, dir string) *Prometheus {
	tb.Helper()
	addr := FreeAddr(tb)
	p := &Prometheus{URL: "http://" + addr, command: Command{
		Name: "victoria-metrics",
		Path: Program(tb, "victoria-metrics", "victoria-metrics"),
		Args: []string{"-storageDataPath=" + filepath.Join(dir, "victoria-metrics"), "-httpListenAddr=" + addr, "-search.latencyOffset=0s"},
		Dir:  dir,
	}}
	p.process = Start(tb, p.command)
	p.process.ready(tb, http.DefaultClient, p.URL+"/health")
	return p
}
