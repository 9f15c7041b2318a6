package main

import "time"

// The subjects. The first of a scenario is what the others are compared with.
const (
	bare       = "bare"
	ours       = "otelnet"
	oursCalls  = "otelnet by calls" // the bytes are counted by Read and Write, as where no kernel does it
	oursJoined = "otelnet joined"   // each request is joined to its connection
	oursRoutes = "otelnet Routes"   // with a request context of its own
	oursAll    = "otelnet WithAll"  // the producer gives everything, in place of runtimemetrics.Start
	oursGoOnly = "otelnet Go only"  // the same without the process and its container
	oursIdle   = "otelnet, recorder off"
	conntrack  = "go-conntrack"
	mutexMap   = "mutex and map"
	addPerCall = "OTel Add"
	otelHTTP   = "otelhttp"
	promHTTP   = "promhttp"
	contrib    = "contrib"
	contribAll = "contrib, producer"
	goProm     = "NewGoCollector"

	runtimeRecorder = "runtime's recorder" // trace.FlightRecorder and nothing of ours
)

// group is a part of the table: its scenarios have the same columns.
type group struct {
	title     string
	subjects  []string
	scenarios []scenario
}

// scenario is one thing to measure.
type scenario struct {
	name     string
	subjects []string
	rows     []row // what is printed of it

	// start sets a subject up, in a process of its own.
	start func(subject string) (*work, error)
	// drive makes the subject at addr do n operations, from the main process, and returns what is to be called after
	// the measurement. It is nil where the subject does them alone.
	drive func(addr string, n int) (release func(), err error)

	ops    int           // operations of a round; 0 means as many as fill its time
	most   int           // at most so many; 0 means any number
	rounds int           // of a full run; 0 means what the effort says
	round  time.Duration // length of a round of a full run; 0 means what the effort says
	files  uint64        // open files that one process needs; 0 means few
}

// work is a subject that has been set up.
type work struct {
	addr  string            // where it listens, if it is driven
	run   func(n int) error // does n operations; nil if it is driven
	begin func() error      // called before the clock starts; may be nil
	end   func() values     // called after it stopped, gives values of its own; may be nil
	close func()            // called when the process ends in order; may be nil
}

// value names a number that a round gives.
type value string

const (
	cpuTime  value = "cpu"    // ns of the process, for each operation
	wallTime value = "wall"   // ns, for each operation
	allocs   value = "allocs" // for each operation
	memory   value = "memory" // bytes for each connection
	series   value = "series" // that one collect gives
)

// values are what one round of one subject gave.
type values map[value]float64

// groups returns everything that is measured.
func groups() []group {
	return []group{
		{
			title:     "Connections",
			subjects:  connSubjects,
			scenarios: append(append(append(ioScenarios(), acceptScenario()), transferScenarios()...), collectScenarios()...),
		},
		{
			title:     "HTTP",
			subjects:  []string{bare, ours, oursJoined, oursRoutes, otelHTTP, promHTTP},
			scenarios: []scenario{handlerScenario(), joinScenario(), transportScenario(), serverScenario()},
		},
		{
			title:     "A request on a whole server, part by part",
			subjects:  partSubjects,
			scenarios: []scenario{partsScenario()},
		},
		{
			title:     "The Go runtime, one collect",
			subjects:  runtimeSubjects,
			scenarios: []scenario{runtimeScenario()},
		},
		{
			title:    "Captures",
			subjects: captureSubjects,
			scenarios: []scenario{
				recorderScenario("recorder empty", "Flight recorder, a request that does nothing", 0, 1.12),
				recorderScenario("recorder work", "Flight recorder, a request that works for a third of a millisecond", hashes, 1.01),
				lockScenario(),
				pauseScenario(),
			},
		},
		{
			title:     "Alert rules, one tick",
			subjects:  []string{ours},
			scenarios: []scenario{rulesScenario()},
		},
	}
}
