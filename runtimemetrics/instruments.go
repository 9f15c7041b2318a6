package runtimemetrics

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/goconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/processconv"
)

// goroutineStateKey tells what the goroutines counted by otelnet.go.goroutine.states are doing.
const goroutineStateKey = attribute.Key("otelnet.go.goroutine.state")

type kind int

const (
	counter kind = iota
	upDownCounter
	gauge
)

func (k kind) String() string {
	return [...]string{"counter", "updowncounter", "gauge"}[k]
}

// instrument describes one observable instrument. Its values are integers unless float is set, as it is for seconds and
// parts of a CPU.
type instrument struct {
	kind        kind
	name        string
	unit        string
	description string
	float       bool
	points      []point
}

// point is one attribute set of an instrument: the value of key, less those of minus.
type point struct {
	attr  []attribute.KeyValue
	key   string
	minus []string
}

// registered is anything in goconv: it knows what the registry calls it.
type registered interface {
	Name() string
	Unit() string
	Description() string
}

func fromRegistry(k kind, r registered, points ...point) instrument {
	return instrument{kind: k, name: r.Name(), unit: r.Unit(), description: r.Description(), points: points}
}

func own(k kind, name, unit, description string, points ...point) instrument {
	return instrument{kind: k, name: name, unit: unit, description: description, points: points}
}

func key(k string) point { return point{key: k} }

func keyAs(k string, attr attribute.KeyValue) point {
	return point{key: k, attr: []attribute.KeyValue{attr}}
}

// runtimeInstruments lists what Start reports of the runtime without WithDetails.
func runtimeInstruments() []instrument {
	const (
		total    = "/memory/classes/total:bytes"
		released = "/memory/classes/heap/released:bytes"
		stacks   = "/memory/classes/heap/stacks:bytes"
	)
	list := []instrument{
		fromRegistry(upDownCounter, goconv.MemoryUsed{},
			keyAs(stacks, semconv.GoMemoryTypeStack),
			point{key: total, minus: []string{released, stacks}, attr: []attribute.KeyValue{semconv.GoMemoryTypeOther}}),
		fromRegistry(upDownCounter, goconv.MemoryLimit{}, key("/gc/gomemlimit:bytes")),
		fromRegistry(counter, goconv.MemoryAllocated{}, key("/gc/heap/allocs:bytes")),
		fromRegistry(counter, goconv.MemoryAllocations{}, key("/gc/heap/allocs:objects")),
		fromRegistry(upDownCounter, goconv.MemoryGCGoal{}, key("/gc/heap/goal:bytes")),
		fromRegistry(counter, goconv.MemoryGCCycles{}, key("/gc/cycles/total:gc-cycles")),
		fromRegistry(upDownCounter, goconv.GoroutineCount{}, key("/sched/goroutines:goroutines")),
		fromRegistry(upDownCounter, goconv.ProcessorLimit{}, key("/sched/gomaxprocs:threads")),
		fromRegistry(upDownCounter, goconv.ConfigGogc{}, key("/gc/gogc:percent")),
		fromRegistry(counter, goconv.CPUTime{},
			keyAs("/cpu/classes/user:cpu-seconds", semconv.GoCPUStateUser),
			keyAs("/cpu/classes/gc/total:cpu-seconds", semconv.GoCPUStateGC),
			keyAs("/cpu/classes/scavenge/total:cpu-seconds", semconv.GoCPUStateScavenge),
			keyAs("/cpu/classes/idle:cpu-seconds", semconv.GoCPUStateIdle)),

		own(upDownCounter, "otelnet.go.memory.heap.live", "By",
			"Heap memory that the last finished GC cycle found in use.", key("/gc/heap/live:bytes")),
		own(upDownCounter, "otelnet.go.memory.heap.objects", "{object}",
			"Objects on the heap, live or not yet swept.", key("/gc/heap/objects:objects")),
		own(gauge, "otelnet.go.gc.limiter.last", "{gc_cycle}",
			"The last GC cycle in which the CPU limiter was active, 0 if never.", key("/gc/limiter/last-enabled:gc-cycle")),
		own(upDownCounter, "otelnet.go.goroutine.states", "{goroutine}",
			"Approximate count of goroutines by what they are doing.",
			keyAs("/sched/goroutines/runnable:goroutines", goroutineStateKey.String("runnable")),
			keyAs("/sched/goroutines/running:goroutines", goroutineStateKey.String("running")),
			keyAs("/sched/goroutines/waiting:goroutines", goroutineStateKey.String("waiting")),
			keyAs("/sched/goroutines/not-in-go:goroutines", goroutineStateKey.String("not_in_go"))),
		own(counter, "otelnet.go.goroutine.created", "{goroutine}",
			"Goroutines created since the program started.", key("/sched/goroutines-created:goroutines")),
		own(upDownCounter, "otelnet.go.thread.count", "{thread}",
			"Live threads that the Go runtime owns.", key("/sched/threads/total:threads")),
		own(counter, "otelnet.go.mutex.wait.time", "s",
			"Approximate time goroutines have been blocked on a mutex.", key("/sync/mutex/wait/total:seconds")),
		own(counter, "otelnet.go.cgo.calls", "{call}",
			"Calls made from Go to C.", key("/cgo/go-to-c-calls:calls")),
		own(counter, "otelnet.go.finalizer.queued", "{finalizer}",
			"Finalizers that the collector has put into the queue.", key("/gc/finalizers/queued:finalizers")),
		own(counter, "otelnet.go.finalizer.executed", "{finalizer}",
			"Finalizers that have run.", key("/gc/finalizers/executed:finalizers")),
		own(counter, "otelnet.go.cleanup.queued", "{cleanup}",
			"Approximate count of cleanups that the collector has put into the queue.", key("/gc/cleanups/queued:cleanups")),
		own(counter, "otelnet.go.cleanup.executed", "{cleanup}",
			"Approximate count of cleanups that have run.", key("/gc/cleanups/executed:cleanups")),
	}
	return markFloats(list)
}

// systemInstruments lists what Start reports of the process and its container.
func systemInstruments() []instrument {
	of := func(f fact) point { return key(factKeys[f]) }
	return markFloats([]instrument{
		fromRegistry(counter, processconv.CPUTime{},
			keyAs(factKeys[userCPU], semconv.CPUModeUser), keyAs(factKeys[systemCPU], semconv.CPUModeSystem)),
		fromRegistry(upDownCounter, processconv.MemoryUsageObservable{}, of(residentMemory)),
		fromRegistry(upDownCounter, processconv.UnixFileDescriptorCountObservable{}, of(openFiles)),

		own(upDownCounter, "otelnet.process.unix.file_descriptor.limit", "{file_descriptor}",
			"Unix file descriptors that the process may have open.", of(fileLimit)),
		own(upDownCounter, "otelnet.container.cpu.limit", "{cpu}",
			"CPUs whose time the container may use.", of(cpuLimit)),
		own(counter, "otelnet.container.cpu.periods", "{period}",
			"Periods of the CPU quota in which the container had something to run.", of(cpuPeriods)),
		own(counter, "otelnet.container.cpu.throttled.periods", "{period}",
			"Periods in which the container used its CPU quota up and was held up.", of(throttledPeriods)),
		own(counter, "otelnet.container.cpu.throttled.time", "s",
			"Time for which the container was held up because its CPU quota was used up.", of(throttledTime)),
		own(upDownCounter, "otelnet.container.memory.limit", "By",
			"Memory that the container may use before the kernel reclaims or kills.", of(memoryLimit)),
	})
}

func markFloats(list []instrument) []instrument {
	for i := range list {
		list[i].float = list[i].unit == "s" || list[i].unit == "{cpu}"
	}
	return list
}

// histogram describes one metric of the producer.
type histogram struct {
	name        string
	unit        string
	description string
	key         string
}

func histograms() []histogram {
	registry := func(r registered, key string) histogram {
		return histogram{name: r.Name(), unit: r.Unit(), description: r.Description(), key: key}
	}
	return []histogram{
		registry(goconv.ScheduleDuration{}, "/sched/latencies:seconds"),
		registry(goconv.MemoryGCPauseDuration{}, "/sched/pauses/total/gc:seconds"),
		{
			name: "otelnet.go.pause.duration", unit: "s", key: "/sched/pauses/total/other:seconds",
			description: "Distribution of stop-the-world pauses that are not the garbage collector's, from deciding to stop to running again.",
		},
	}
}

// MetricNames returns the names of all metrics that this package may report, sorted. It lets a rule about one that was
// not collected yet be told from a misspelt one.
func MetricNames() []string {
	var names []string
	for _, i := range append(runtimeInstruments(), systemInstruments()...) {
		names = append(names, i.name)
	}
	for _, h := range histograms() {
		names = append(names, h.name)
	}
	slices.Sort(names)
	return names
}
