// Package runtimemetrics reports the Go runtime, the process and the limits of its container through the OpenTelemetry
// metric API.
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
// Who builds the reader may let the producer do all of it, at a fraction of the cost and without Start:
//
//	sdkmetric.WithProducer(runtimemetrics.NewProducer(runtimemetrics.WithAll()))
//
// The agent does so, unless a view matches one of these metrics or the exporter asks for delta temporality.
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
//	otelnet.go.finalizer.queued     counter          {finalizer}      /gc/finalizers/queued:finalizers
//	otelnet.go.finalizer.executed   counter          {finalizer}      /gc/finalizers/executed:finalizers
//	otelnet.go.cleanup.queued       counter          {cleanup}        /gc/cleanups/queued:cleanups
//	otelnet.go.cleanup.executed     counter          {cleanup}        /gc/cleanups/executed:cleanups
//
// And by [NewProducer]:
//
//	go.schedule.duration            histogram        s                /sched/latencies:seconds
//	go.memory.gc.pause.duration     histogram        s                /sched/pauses/total/gc:seconds
//	otelnet.go.pause.duration       histogram        s                /sched/pauses/total/other:seconds
//
// The process and its container, with the system call or file that each number comes from:
//
//	process.cpu.time                              counter        s                  cpu.mode=user: getrusage(2) ru_utime
//	process.cpu.time                              counter        s                  cpu.mode=system: getrusage(2) ru_stime
//	process.memory.usage                          updowncounter  By                 /proc/self/statm resident
//	process.unix.file_descriptor.count            updowncounter  {file_descriptor}  /proc/self/fd
//	otelnet.process.unix.file_descriptor.limit    updowncounter  {file_descriptor}  getrlimit(2) RLIMIT_NOFILE
//	otelnet.container.cpu.limit                   updowncounter  {cpu}              cgroup cpu.max or cpu.cfs_quota_us
//	otelnet.container.cpu.periods                 counter        {period}           cgroup cpu.stat nr_periods
//	otelnet.container.cpu.throttled.periods       counter        {period}           cgroup cpu.stat nr_throttled
//	otelnet.container.cpu.throttled.time          counter        s                  cgroup cpu.stat throttled_usec or throttled_time
//	otelnet.container.memory.limit                updowncounter  By                 cgroup memory.max or memory.limit_in_bytes
//
// Linux has all of them, other Unix systems process.cpu.time and the limit of file descriptors, Windows none. What is
// not there, or not limited, has no point.
//
// Names that begin with "go." or "process." are those of the OpenTelemetry registry
// (https://opentelemetry.io/docs/specs/semconv/runtime/go-metrics/, .../system/process-metrics/), the others are our own.
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
//   - Finalizers or cleanups that are queued but not executed wait behind one that is slow.
//   - process.cpu.time is what the kernel has charged, and includes threads that run C; go.cpu.time is the runtime's own
//     estimate, its sum with idle being GOMAXPROCS times the time passed. The two are not to be compared.
//   - process.memory.usage contains memory that the runtime has freed and the kernel has not taken back yet.
//   - The limits of the container are the tightest of all control groups from the process's own upwards, v1 or v2, as far
//     as they are visible. A process that is moved to another group after Start keeps reporting the old one.
//   - otelnet.container.cpu.throttled.periods divided by otelnet.container.cpu.periods is the share of periods, usually of
//     100 ms, in which the service was stopped for the rest. Latency follows it. They are absent until a quota has been in
//     force.
//
// # Cost
//
// Every collect reads everything afresh; no value is older than the collect, and nothing runs in between. No call stops
// the world. On a two-core machine of 2.5 GHz:
//
//   - the runtime takes about 3 µs with one metrics.Read, and no allocation;
//   - the histograms take about 4 µs and 4 allocations;
//   - the process takes about 5 µs and its container 12 µs, in groups three levels deep, and no allocation: their files
//     are opened once and read again from the beginning;
//   - making points of all that costs more than the rest. With [Start] the SDK takes about 1.5 µs and 4 allocations for
//     each: it forgets every observed series after a collect and makes it anew in the next. With [WithAll] it is one
//     allocation a metric, which no producer can save: metricdata.Metrics holds an interface value, and whoever collects
//     may keep it.
//
// All of the runtime in one collect, points included, is 15 µs and 29 allocations with WithAll and WithoutProcess, 35 µs
// and 33 allocations with WithAll; with Start 89 µs and 199 allocations.
package runtimemetrics

// ScopeName is the instrumentation scope of everything this package reports.
const ScopeName = "github.com/otelnet/agent/runtimemetrics"
