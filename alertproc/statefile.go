package alertproc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

// What bounds a state file.
const (
	stateVersion      = 1
	maxStateFileBytes = 64 << 20
)

// savedState is the content of a state file.
type savedState struct {
	Version int         `json:"version"`
	At      time.Time   `json:"at"` // of the last evaluation in it
	Rules   []savedRule `json:"rules"`
}

// savedRule holds what Reload, too, would carry over, under the same condition: the same group, name, labels and By.
type savedRule struct {
	Group     string            `json:"group"`
	Alert     string            `json:"alert"`
	Labels    map[string]string `json:"labels,omitempty"`
	By        []string          `json:"by,omitempty"`
	Instances []savedInstance   `json:"instances,omitempty"`
	Burn      []savedBurn       `json:"burn,omitempty"`
}

type savedInstance struct {
	By       map[string]string `json:"by,omitempty"`
	Key      string            `json:"key,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"` // of the alert; absent while inactive
	Levels   [2]savedLevel     `json:"levels"`
	Resolved []Alert           `json:"resolved,omitempty"`
	Evidence Evidence          `json:"evidence,omitzero"`
}

type savedLevel struct {
	State     State         `json:"state,omitempty"`
	Value     float64       `json:"value,omitempty"`
	Active    time.Time     `json:"active,omitzero"`
	Fired     time.Time     `json:"fired,omitzero"`
	Paused    time.Duration `json:"paused,omitempty"`
	KeepSince time.Time     `json:"keepSince,omitzero"`
	Held      uint64        `json:"held,omitempty"`
}

// save copies what is to be kept. The caller holds p.mu.
func (e *engine) save(at time.Time, now int64) savedState {
	s := savedState{Version: stateVersion, At: at.Round(0)}
	for _, g := range e.groups {
		for _, r := range g.rules {
			saved := savedRule{Group: g.name, Alert: r.Alert, Labels: r.Labels, By: r.By, Burn: r.saveBurn(now)}
			for _, inst := range r.order {
				if one, ok := inst.save(); ok {
					saved.Instances = append(saved.Instances, one)
				}
			}
			if len(saved.Instances)+len(saved.Burn) > 0 {
				s.Rules = append(s.Rules, saved)
			}
		}
	}
	return s
}

// save is false for an instance that has nothing to tell.
func (inst *instance) save() (savedInstance, bool) {
	s := &inst.state
	state, _ := s.shown()
	if state == StateInactive && len(s.resolved) == 0 {
		return savedInstance{}, false
	}
	saved := savedInstance{By: inst.by.asMap(), Key: inst.key, Labels: s.labels, Evidence: s.evidence}
	for i, l := range s.levels {
		if l.state != StateInactive || l.held != 0 {
			saved.Levels[i] = savedLevel{
				State: l.state, Value: finite(s.values[i]), Active: l.active.Round(0), Fired: l.fired.Round(0), Paused: l.paused,
				KeepSince: l.keepSince.Round(0), Held: l.held,
			}
		}
	}
	for _, old := range s.resolved {
		a := old.alert
		a.Value, a.Capture = finite(a.Value), nil
		saved.Resolved = append(saved.Resolved, a)
	}
	return saved, true
}

// finite makes a number that JSON can hold.
func finite(v float64) float64 { return min(max(v, -math.MaxFloat64), math.MaxFloat64) }

// stateFile writes states to a file from a goroutine of its own, so that a slow disk does not hold up an evaluation.
type stateFile struct {
	path    string
	wake    chan struct{} // has room for one
	closing chan struct{}
	done    chan struct{}

	mu      sync.Mutex
	pending *savedState // the newest that is not written yet
}

func startStateFile(path string) *stateFile {
	f := &stateFile{path: path, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	go f.run()
	return f
}

// put has the state written soon. A state that was not written yet is replaced.
func (f *stateFile) put(s savedState) {
	f.mu.Lock()
	f.pending = &s
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// wait returns when all is written after closing was closed, or when ctx ends.
func (f *stateFile) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("alertproc: shutdown: the state file is not written: %w", ctx.Err())
	}
}

func (f *stateFile) run() {
	defer close(f.done)
	healthy := true
	for {
		closing := false
		select {
		case <-f.wake:
		case <-f.closing:
			closing = true
		}
		f.mu.Lock()
		s := f.pending
		f.pending = nil
		f.mu.Unlock()
		if s != nil {
			err := writeState(f.path, s)
			if err != nil && healthy { // once for each trouble, not for each change
				otel.Handle(fmt.Errorf("alertproc: state file: %w", err))
			}
			healthy = err == nil
		}
		if closing {
			return
		}
	}
}

// writeState puts s in place of the file's content, or leaves that as it was.
func writeState(path string, s *savedState) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync() // else a power failure could leave an empty file under the good name
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// readState returns what is in the file, nil if there is none. A file that cannot be understood is renamed to
// path.corrupt, so that the next write does not destroy what a person may want to look at.
func readState(path string) (*savedState, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxStateFileBytes+1))
	f.Close()
	if err != nil {
		return nil, err
	}
	var s savedState
	err = json.Unmarshal(data, &s)
	switch {
	case len(data) > maxStateFileBytes:
		err = fmt.Errorf("larger than %d bytes", maxStateFileBytes)
	case err == nil && s.Version != stateVersion:
		err = fmt.Errorf("has version %d, want %d", s.Version, stateVersion)
	}
	if err == nil {
		return &s, nil
	}
	aside := path + ".corrupt"
	if renamed := os.Rename(path, aside); renamed != nil {
		return nil, fmt.Errorf("%s: %w, and it could not be renamed: %w", path, err, renamed)
	}
	return nil, fmt.Errorf("%s: %w; alerts begin anew, and it is now %s", path, err, aside)
}
