// Package runtimemetrics reports the Go runtime through the OpenTelemetry metric API.
//
// The shortest use, with the global meter provider:
//
//	c, err := runtimemetrics.Start()
//	if err != nil {
//		return err
//	}
//	defer c.Stop()
//
// Histograms come from a producer, because the runtime already keeps their buckets. Give it to the reader:
//
//	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithProducer(runtimemetrics.NewProducer()))
//
// # Metrics
//
// Each line is a metric with its kind, unit and the runtime/metrics keys it is computed from. A minus sign before a key
// means that it is subtracted. A key that the running Go version does not have gives no point at all, never a zero.
//
//	go.memory.used                  updowncounter    By               go.memory.type=stack: /memory/classes/heap/stacks:bytes
//	go.memory.used                  updowncounter    By               go.memory.type=other: /memory/classes/total:bytes -/memory/classes/heap/released:bytes -/memory/classes/heap/stacks:bytes
//	go.memory.limit                 updowncounter    By               /gc/gomemlimit:bytes
//	go.memory.allocated             counter          By               /gc/heap/allocs:bytes
//	go.memory.allocations           counter          {allocation}     /gc/heap/allocs:objects
//	go.memory.gc.goal               updowncounter    By               /gc/heap/goal:bytes
//	go.memory.gc.cycles             counter          {gc_cycle}       /gc/cycles/total:gc-cycles
//	go.goroutine.count              updowncounter    {goroutine}      /sched/goroutines:goroutines
//	go.processor.limit              updowncounter    {thread}         /sched/gomaxprocs:threads
//	go.config.gogc                  updowncounter    %                /gc/gogc:percent
//	go.cpu.time                     counter          s                go.cpu.state=user: /cpu/classes/user:cpu-seconds
//	go.cpu.time                     counter          s                go.cpu.state=gc: /cpu/classes/gc/total:cpu-seconds
//	go.cpu.time                     counter          s                go.cpu.state=scavenge: /cpu/classes/scavenge/total:cpu-seconds
//	go.cpu.time                     counter          s                go.cpu.state=idle: /cpu/classes/idle:cpu-seconds
//	otelnet.go.memory.heap.live     updowncounter    By               /gc/heap/live:bytes
//	otelnet.go.memory.heap.objects  updowncounter    {object}         /gc/heap/objects:objects
//	otelnet.go.gc.limiter.last      gauge            {gc_cycle}       /gc/limiter/last-enabled:gc-cycle
//	otelnet.go.goroutine.states     updowncounter    {goroutine}      otelnet.go.goroutine.state=runnable: /sched/goroutines/runnable:goroutines
//	otelnet.go.goroutine.states     updowncounter    {goroutine}      otelnet.go.goroutine.state=running: /sched/goroutines/running:goroutines
//	otelnet.go.goroutine.states     updowncounter    {goroutine}      otelnet.go.goroutine.state=waiting: /sched/goroutines/waiting:goroutines
//	otelnet.go.goroutine.states     updowncounter    {goroutine}      otelnet.go.goroutine.state=not_in_go: /sched/goroutines/not-in-go:goroutines
//	otelnet.go.goroutine.created    counter          {goroutine}      /sched/goroutines-created:goroutines
//	otelnet.go.thread.count         updowncounter    {thread}         /sched/threads/total:threads
//	otelnet.go.mutex.wait.time      counter          s                /sync/mutex/wait/total:seconds
//	otelnet.go.cgo.calls            counter          {call}           /cgo/go-to-c-calls:calls
//
// And by [NewProducer]:
//
//	go.schedule.duration            histogram        s                /sched/latencies:seconds
//	go.memory.gc.pause.duration     histogram        s                /sched/pauses/total/gc:seconds
//	otelnet.go.pause.duration       histogram        s                /sched/pauses/total/other:seconds
//
// Names beginning with "go." are those of the OpenTelemetry registry for Go
// (https://opentelemetry.io/docs/specs/semconv/runtime/go-metrics/), the others are our own.
//
// Some of the runtime's numbers have habits worth knowing:
//
//   - go.cpu.time is an estimate that the runtime renews at the end of each GC cycle. Between two cycles it stands still.
//   - go.memory.limit is absent while no limit is set, go.config.gogc and go.memory.gc.goal while the collector is off.
//   - otelnet.go.memory.heap.live is what the last GC cycle found alive, without garbage and without what was allocated
//     since: the number to watch for a leak. It is 0 until the first cycle has ended.
//   - The goroutine states are counted one after the other and need not add up to go.goroutine.count.
//   - otelnet.go.gc.limiter.last is the number of the last GC cycle in which the limiter cut the collector's CPU time, 0 if
//     never: when it moves, the heap has no room to live in.
//
// # Cost
//
// Every collect reads all keys afresh with a single metrics.Read; no value is older than the collect. That takes about
// 3 µs and no allocation here, nothing in between; the SDK adds its own for making points of them, about 50 µs in all.
// The producer takes about 5 µs and a few kB, which the reader keeps.
package runtimemetrics

// ScopeName is the instrumentation scope of everything this package reports.
const ScopeName = "github.com/otelnet/agent/runtimemetrics"
