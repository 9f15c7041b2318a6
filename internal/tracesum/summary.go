// Package tracesum reads an execution trace and says what the goroutines of a process did in it: how long they waited to run, what
// they waited for and where, what the collector took, who used the processors.
//
//	sum, err := tracesum.Read(ctx, file)
//
// It reads the traces of runtime/trace and of its flight recorder, of Go 1.22 and later, with golang.org/x/exp/trace. A trace of
// 1.5 million events takes about a second. Memory is that of one generation of the trace, about a second's worth of events, and of
// the goroutines alive at a time: at the most events a second that a program can make, five times the trace's size. Both are bounded.
//
// A wait that began before the trace counts from the trace's first moment, and one that has not ended counts to its last. A goroutine
// that never moved in the whole trace is not counted as waiting: it stands under [Summary.Still].
package tracesum

import "time"

// Summary is what [Read] found. Durations are seconds. Lists are sorted, the largest first, and never nil.
type Summary struct {
	Start      time.Time `json:"start,omitzero"` // the wall clock at the first event; zero where the trace does not carry one
	Seconds    float64   `json:"seconds"`        // from the first event to the last
	Events     int64     `json:"events"`
	Goroutines int       `json:"goroutines"` // that were seen, those of the runtime left out
	Procs      int       `json:"procs"`      // GOMAXPROCS, the largest seen; 0 if the trace does not say
	BusyShare  float64   `json:"busyShare"`  // of Procs times Seconds: goroutines ran
	Stopped    string    `json:"stopped,omitempty"`

	Scheduling Times   `json:"scheduling"` // from being able to run until running
	Causes     []Cause `json:"causes"`     // what goroutines waited for, by total
	Longest    []Wait  `json:"longest"`    // single waits, at most eight of each cause
	Still      []Group `json:"still"`      // goroutines that did not move in the whole trace, by number
	GC         GC      `json:"gc"`
	Busiest    []Work  `json:"busiest"` // goroutines by the time they ran, joined by the function they began with
}

// Times is a distribution. Percentiles are at most 3 % above what they should be; Max and Total are exact.
type Times struct {
	Count   int64   `json:"count"`
	Total   float64 `json:"total"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
	Buckets []int64 `json:"buckets"` // of the decades in [Bounds] and one open upwards; nil if Count is 0
}

// Bounds are the upper bounds of [Times.Buckets] in seconds.
var Bounds = []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1}

// Cause is one kind of wait. Times has the waits that ended; its Total also what had passed of those that had not.
type Cause struct {
	Cause string `json:"cause"`
	Times
	Waiting int    `json:"waiting"` // goroutines that still waited at the end, those that never moved left out
	Sites   []Site `json:"sites"`   // where, by total; at most six
}

// Site is a place in the code where goroutines waited.
type Site struct {
	Count  int64   `json:"count"`
	Total  float64 `json:"total"`
	Max    float64 `json:"max"`
	Caller string  `json:"caller"` // the first function from the top that is of the program's own code
	Stack  []Frame `json:"stack"`
}

// Wait is one wait of one goroutine.
type Wait struct {
	Goroutine int64   `json:"goroutine"`
	Cause     string  `json:"cause"`
	At        float64 `json:"at"` // since Summary.Start
	Seconds   float64 `json:"seconds"`
	Before    bool    `json:"before,omitempty"` // it had begun before the trace, so it was longer
	Open      bool    `json:"open,omitempty"`   // it had not ended
	Caller    string  `json:"caller"`
	Stack     []Frame `json:"stack"`
	WokenBy   string  `json:"wokenBy,omitempty"` // the function that let it go on, such as the one that unlocked
}

// Group is a number of goroutines in one place.
type Group struct {
	Count  int     `json:"count"`
	Cause  string  `json:"cause"`
	Caller string  `json:"caller"`
	Stack  []Frame `json:"stack"`
}

// GC is what the garbage collector did.
type GC struct {
	Cycles       int              `json:"cycles"` // concurrent mark phases that began or were under way
	MarkSeconds  float64          `json:"markSeconds"`
	MarkShare    float64          `json:"markShare"`    // of the trace: a mark phase was under way
	WorkSeconds  float64          `json:"workSeconds"`  // processor time of the mark workers
	Assist       Times            `json:"assist"`       // work that allocating goroutines had to do, one by one
	Sweep        Times            `json:"sweep"`        // sweeping on allocation
	Pauses       Times            `json:"pauses"`       // the world stood still, whatever for
	PauseReasons map[string]Times `json:"pauseReasons"` // the same by reason
}

// Work is what goroutines that began with one function did.
type Work struct {
	Func       string  `json:"func"`
	Goroutines int     `json:"goroutines"`
	Running    float64 `json:"running"`
	Ready      float64 `json:"ready"`   // able to run, waiting for a processor
	Waiting    float64 `json:"waiting"` // for anything else, idle ones included
	Syscall    float64 `json:"syscall"`
	Longest    float64 `json:"longest"`   // the most that one of them ran
	Goroutine  int64   `json:"goroutine"` // which one that was
}

// Frame is one function of a stack, the innermost first.
type Frame struct {
	Func string `json:"func"`
	File string `json:"file"`
	Line int    `json:"line"`
}
