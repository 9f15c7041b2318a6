package tracesum

import "strings"

// The names of the causes.
const (
	causeNetwork   = "network"
	causeMutex     = "mutex"
	causeWaitGroup = "wait group"
	causeCondition = "condition"
	causeChannel   = "channel"
	causeSelect    = "select"
	causeSleep     = "sleep"
	causeSyscall   = "system call"
	causeGC        = "garbage collector"
	causeIdle      = "waiting for work"
	causeOther     = "other"
	causeRuntime   = "" // the runtime's own affairs, not counted
)

// idle are functions in which a goroutine waits for somebody to want something: an accept loop, a connection between two requests.
// Such waits are long in a healthy service too, and would bury the others.
var idle = []string{
	"net.(*netFD).accept",
	"net/http.(*connReader).backgroundRead",
	"net/http.(*conn).readRequest",
	"net/http.(*persistConn).readLoop",
	"net/http.(*persistConn).writeLoop",
	"net/http.(*http2serverConn).serve",
	"net/http.(*http2serverConn).readFrames",
	"net/http.(*http2clientConnReadLoop).run",
	"golang.org/x/net/http2.(*serverConn).serve",
	"golang.org/x/net/http2.(*serverConn).readFrames",
	"golang.org/x/net/http2.(*clientConnReadLoop).run",
	"google.golang.org/grpc/internal/transport.(*loopyWriter).run",
	"google.golang.org/grpc/internal/transport.(*http2Server).HandleStreams",
	"google.golang.org/grpc/internal/transport.(*http2Client).reader",
	"google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run",
	"database/sql.(*DB).connectionOpener",
	"os/signal.loop",
}

// remote are functions that wait for a peer by way of a channel.
var remote = []string{
	"net/http.(*persistConn).roundTrip",
	"net/http.(*http2clientStream)",
	"golang.org/x/net/http2.(*clientStream)",
	"net.(*Resolver)",
}

// waitGroup are waits for goroutines to be done, which the runtime gives the same reason as a lock that is taken.
var waitGroup = []string{"sync.(*WaitGroup)."}

// byReason has the reasons that the runtime gives in a trace.
var byReason = map[string]string{
	"network":                      causeNetwork,
	"select":                       causeSelect,
	"sync":                         causeMutex,
	"sync.(*Cond).Wait":            causeCondition,
	"chan send":                    causeChannel,
	"chan receive":                 causeChannel,
	"sleep":                        causeSleep,
	"GC mark assist wait for work": causeGC,
	"wait until GC ends":           causeGC,
	"GC weak to strong wait":       causeGC,
	"GC background sweeper wait":   causeRuntime,
	"system goroutine wait":        causeRuntime,
	"preempted":                    causeRuntime,
	"wait for debug call":          causeRuntime,
}

// byFunction serves goroutines that waited already when the trace began, for which it has a stack but no reason.
var byFunction = []struct{ prefix, cause string }{
	{"internal/poll.runtime_pollWait", causeNetwork},
	{"internal/poll.", causeNetwork},
	{"time.Sleep", causeSleep},
	{"sync.(*Cond)", causeCondition},
	{"sync.runtime_notifyListWait", causeCondition},
	{"sync.", causeMutex},
	{"internal/sync.", causeMutex},
	{"runtime.selectgo", causeSelect},
	{"runtime.chan", causeChannel},
}

// causeOf tells what a goroutine waits for in s. An empty reason means that the trace has none.
func causeOf(reason string, s *site) string {
	cause, known := byReason[reason]
	if !known {
		cause = causeOther
		for _, f := range s.frames[:min(3, len(s.frames))] {
			if i := indexPrefix(f.Func); i >= 0 && reason == "" {
				cause = byFunction[i].cause
				break
			}
		}
	}
	if cause == causeRuntime || cause == causeGC {
		return cause
	}
	if cause == causeMutex && within(s, 3, waitGroup) {
		return causeWaitGroup
	}
	if within(s, maxFrames, idle) || betweenRequests(s) {
		return causeIdle
	}
	if cause == causeSelect && within(s, 6, remote) {
		return causeNetwork
	}
	return cause
}

// betweenRequests tells the wait of net/http's server for the next request on a connection. It is made like any read, from within the
// function that serves the connection.
func betweenRequests(s *site) bool {
	for i := range len(s.frames) - 1 {
		if s.frames[i].Func == "bufio.(*Reader).Peek" && s.frames[i+1].Func == "net/http.(*conn).serve" {
			return true
		}
	}
	return false
}

func indexPrefix(function string) int {
	for i, f := range byFunction {
		if strings.HasPrefix(function, f.prefix) {
			return i
		}
	}
	return -1
}

// within tells whether one of the functions stands in the top n frames.
func within(s *site, n int, functions []string) bool {
	for _, f := range s.frames[:min(n, len(s.frames))] {
		for _, prefix := range functions {
			if strings.HasPrefix(f.Func, prefix) {
				return true
			}
		}
	}
	return false
}

// ofRuntime tells whether a goroutine that begins with the function is one of the runtime's own.
func ofRuntime(entry string) bool {
	return strings.HasPrefix(entry, "runtime.") && entry != "runtime.main" || strings.HasPrefix(entry, "runtime/trace.")
}
