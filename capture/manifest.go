package capture

import (
	"encoding/json"
	"math"
	"time"
)

// Status says what became of one piece of evidence.
type Status string

// The statuses.
const (
	StatusOK      Status = "ok"      // it is stored
	StatusSkipped Status = "skipped" // it was not tried; Why says what stood against it
	StatusFailed  Status = "failed"  // it was tried; Why is the error
)

// State says how far a capture has come.
type State string

// The states.
const (
	StateRunning     State = "running"     // it is being made; artefacts appear one by one
	StateDone        State = "done"        // all that will be there is there
	StateInterrupted State = "interrupted" // the process that made it ended before it was done
)

// Manifest describes a capture. Its JSON form is manifest.json and what /api/captures serves. A value that a Capturer
// returned is a copy as of that moment; do not change what its slices and maps hold.
type Manifest struct {
	ID     string        `json:"id"` // unique, and sorted by time: 20261125T224152Z-HighLatency-3f9a
	State  State         `json:"state"`
	At     time.Time     `json:"at"` // when it was asked for
	Took   time.Duration `json:"-"`  // until it was done; in JSON tookSeconds
	Reason Reason        `json:"reason"`

	// Of an alert; empty otherwise. See [Request].
	Alert     string            `json:"alert,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Severity  string            `json:"severity,omitempty"`
	Value     float64           `json:"value,omitempty"`
	Threshold float64           `json:"threshold,omitempty"`
	Note      string            `json:"note,omitempty"`

	// Quiet says that no alert was firing when it began, so that it shows how things are when all is well.
	Quiet bool `json:"quiet"`
	// Artefacts has one entry for each kind that was asked for, in the order of recording.
	Artefacts []Artefact `json:"artefacts"`
	// Attached are requests that this capture answers too, the oldest first, at most 50. AttachedMore counts the others.
	Attached     []Attachment `json:"attached,omitempty"`
	AttachedMore int          `json:"attachedMore,omitempty"`

	// Process tells whose evidence it is.
	Process Process `json:"process"`
}

// Artefact is one piece of evidence, or its absence.
type Artefact struct {
	Kind   Kind          `json:"kind"`
	File   string        `json:"file"` // its name in the capture; only there when Status is ok
	Status Status        `json:"status"`
	Why    string        `json:"why,omitempty"`  // why it is missing or incomplete, in a sentence
	Size   int64         `json:"size,omitempty"` // bytes as stored
	Took   time.Duration `json:"-"`              // to record it; in JSON tookSeconds
}

// Attachment is a request that an existing capture answers.
type Attachment struct {
	At       time.Time         `json:"at"`
	Reason   Reason            `json:"reason"`
	Alert    string            `json:"alert,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Severity string            `json:"severity,omitempty"`
	// Value and Threshold are those of an alert.
	Value     float64 `json:"value,omitempty"`
	Threshold float64 `json:"threshold,omitempty"`
	Why       string  `json:"why"` // why there is no capture of its own
}

// Process identifies a running program.
type Process struct {
	Service    string `json:"service,omitempty"`
	Instance   string `json:"instance,omitempty"`
	PID        int    `json:"pid"`
	GoVersion  string `json:"goVersion"`
	GOMAXPROCS int    `json:"gomaxprocs"`
}

// Artefact returns the entry of a kind, and whether there is one.
func (m Manifest) Artefact(k Kind) (Artefact, bool) {
	for _, a := range m.Artefacts {
		if a.Kind == k {
			return a, true
		}
	}
	return Artefact{}, false
}

// Calm reports whether the file shows how things are in quiet times: it is whole, no alert fired when the capture began, and none asked
// for it.
func (m Manifest) Calm(file string) bool {
	if !m.Quiet || m.Reason == Alert || m.State != StateDone {
		return false
	}
	for _, a := range m.Artefacts {
		if a.File == file {
			return a.Status == StatusOK && a.Why == ""
		}
	}
	return false
}

// Size returns how many bytes the artefacts take up.
func (m Manifest) Size() (n int64) {
	for _, a := range m.Artefacts {
		n += a.Size
	}
	return n
}

// stored says whether any evidence is there.
func (m Manifest) stored() bool {
	for _, a := range m.Artefacts {
		if a.Status == StatusOK {
			return true
		}
	}
	return false
}

// MarshalJSON writes Took as tookSeconds.
func (m Manifest) MarshalJSON() ([]byte, error) {
	type plain Manifest
	return json.Marshal(struct {
		plain
		TookSeconds float64 `json:"tookSeconds"`
	}{plain(m), m.Took.Seconds()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Manifest) UnmarshalJSON(b []byte) error {
	type plain Manifest
	read := struct {
		*plain
		TookSeconds float64 `json:"tookSeconds"`
	}{plain: (*plain)(m)}
	if err := json.Unmarshal(b, &read); err != nil {
		return err
	}
	m.Took = fromSeconds(read.TookSeconds)
	return nil
}

// MarshalJSON writes Took as tookSeconds.
func (a Artefact) MarshalJSON() ([]byte, error) {
	type plain Artefact
	return json.Marshal(struct {
		plain
		TookSeconds float64 `json:"tookSeconds"`
	}{plain(a), a.Took.Seconds()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Artefact) UnmarshalJSON(b []byte) error {
	type plain Artefact
	read := struct {
		*plain
		TookSeconds float64 `json:"tookSeconds"`
	}{plain: (*plain)(a)}
	if err := json.Unmarshal(b, &read); err != nil {
		return err
	}
	a.Took = fromSeconds(read.TookSeconds)
	return nil
}

// fromSeconds is the duration that was written as seconds, to the nanosecond: a decimal fraction is mostly a little more or less.
func fromSeconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
