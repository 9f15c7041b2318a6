package capture

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is one sort of evidence.
type Kind string

// The kinds, in the order in which a capture records them.
const (
	Connections   Kind = "connections"   // the connection table, as /api/connections gives it
	Metrics       Kind = "metrics"       // all metrics of the last ten minutes, as /api/history gives them
	Trace         Kind = "trace"         // the flight recorder: the execution trace of the last seconds
	Goroutine     Kind = "goroutine"     // the stacks of all goroutines
	Heap          Kind = "heap"          // what is allocated and by whom, as of the last garbage collection
	CPU           Kind = "cpu"           // what ran in the five seconds after the request
	Mutex         Kind = "mutex"         // who was waited for at locks in the same seconds; always taken with CPU
	GoroutineLeak Kind = "goroutineleak" // goroutines that nothing can wake; where the runtime has that profile. Runs a GC
)

// order is that of recording: what is about the past, and cheap, first.
var order = []Kind{Connections, Metrics, Trace, Goroutine, Heap, CPU, Mutex, GoroutineLeak}

// files are the names under which kinds are stored.
var files = map[Kind]string{
	Connections:   "connections.json",
	Metrics:       "metrics.json",
	Trace:         "trace.out.gz",
	Goroutine:     "goroutine.pb.gz",
	Heap:          "heap.pb.gz",
	CPU:           "cpu.pb.gz",
	Mutex:         "mutex.pb.gz",
	GoroutineLeak: "goroutineleak.pb.gz",
}

// PagePath is where the admin server shows a capture: its id follows.
const PagePath = "/captures/"

// ManifestFile is the name of the manifest in a capture.
const ManifestFile = "manifest.json"

// File returns the name under which evidence of this kind is stored, "" for an unknown one.
func (k Kind) File() string { return files[k] }

// Kinds returns all kinds in the order of recording. A request without kinds means these but [GoroutineLeak].
func Kinds() []Kind { return slices.Clone(order) }

// ParseKinds reads names of kinds. The error names the first unknown one and what is allowed. No names give nil.
func ParseKinds(names []string) ([]Kind, error) {
	var kinds []Kind
	for _, name := range names {
		if files[Kind(name)] == "" {
			return nil, fmt.Errorf("capture: unknown kind %.40q; allowed: %s", name, joinKinds(order))
		}
		kinds = append(kinds, Kind(name))
	}
	return kinds, nil
}

func joinKinds(kinds []Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// wanted is a set of kinds.
type wanted map[Kind]bool

// add takes in what a request asks for. The table and the metrics belong to every request of a person or an alert: they
// are what profiles are read against.
func (w wanted) add(r Request) {
	kinds := r.Kinds
	if len(kinds) == 0 {
		kinds = order[:len(order)-1]
	}
	for _, k := range kinds {
		w[k] = true
	}
	if r.Reason != Continuous {
		w[Connections], w[Metrics] = true, true
	}
	if w[CPU] {
		w[Mutex] = true
	}
}
