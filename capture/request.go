package capture

import (
	"errors"
	"fmt"
	"time"
)

// Reason says who asked for a capture.
type Reason string

// The reasons. Only those of alerts have a cool-down and an hourly limit.
const (
	Alert      Reason = "alert"      // a rule that has `capture:` began to fire, or got worse
	Manual     Reason = "manual"     // a person or the service's code; the zero Reason means this
	Continuous Reason = "continuous" // the clock; see [Config.Continuous]
)

// Errors that [Capturer.Begin], [Capturer.Capture] and [Capturer.CPUProfile] wrap.
var (
	// ErrLimited says that no new capture was made for the sake of a limit. The manifest returned with it is that of the
	// capture that the request was attached to; its ID is "" if there is none any more.
	ErrLimited = errors.New("no new capture")
	// ErrBusy says that the process's one CPU profiler is taken, and still was after a while.
	ErrBusy = errors.New("the CPU profiler is busy")
	// ErrClosed says that the Capturer was shut down.
	ErrClosed = errors.New("the capturer is shut down")
)

// Request asks for a capture. The zero Request asks for everything but goroutine leaks, for a person.
type Request struct {
	Reason Reason
	// Alert names the rule; it stands in the capture's ID, and cool-downs go by it. Needed with the reason Alert.
	Alert     string
	Labels    map[string]string // the alert's; stored as they are
	Severity  string            // "warn" or "crit"
	Value     float64           // the alert's; further away from Threshold is worse
	Threshold float64
	Note      string // for a person: the alert's reason, or why somebody asked
	// Kinds says what to record. Nil means everything but GoroutineLeak. Connections and Metrics are added, and Mutex
	// to CPU.
	Kinds []Kind
	// Force records also what would be skipped for the process's sake: a CPU profile when it uses most of its quota, a
	// heap profile close to its memory limit.
	Force bool
}

// check says what is wrong with a request.
func (r *Request) check() error {
	if r.Reason == "" {
		r.Reason = Manual
	}
	switch r.Reason {
	case Manual, Continuous:
	case Alert:
		if r.Alert == "" {
			return errors.New("capture: a request of an alert names no alert")
		}
	default:
		return fmt.Errorf("capture: unknown reason %.40q; allowed: %s, %s, %s", r.Reason, Alert, Manual, Continuous)
	}
	for _, k := range r.Kinds {
		if files[k] == "" {
			return fmt.Errorf("capture: unknown kind %.40q; allowed: %s", k, joinKinds(order))
		}
	}
	return nil
}

// attachment makes an entry of a request that another capture answers.
func (r *Request) attachment(at time.Time, why string) Attachment {
	return Attachment{
		At: at, Reason: r.Reason, Alert: r.Alert, Labels: r.Labels, Severity: r.Severity, Value: r.Value, Threshold: r.Threshold, Why: why,
	}
}
