package spool

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/otelnet/agent/internal/filelock"
)

// maxProcesses is how many may share a directory at a time.
const maxProcesses = 64

// place is the subdirectory that this process owns.
type place struct {
	path string
	lock *os.File
}

// takePlace takes the first free of dir/name-0, dir/name-1, … and moves into it what processes that have ended left in the others.
func takePlace(dir, name string) (*place, error) {
	var own *place
	for i := range maxProcesses {
		path := filepath.Join(dir, fmt.Sprintf("%s-%d", name, i))
		if own != nil {
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				break
			}
		}
		p, err := tryPlace(path)
		switch {
		case err != nil && own == nil:
			return nil, err
		case err != nil || p == nil:
			continue // another process is there, or it is not ours to read
		case own == nil:
			own = p
			continue
		}
		err = own.adopt(p)
		p.leave()
		if err != nil {
			own.leave()
			return nil, err
		}
	}
	if own == nil {
		return nil, fmt.Errorf("%s: %d processes use it already, the most that may", dir, maxProcesses)
	}
	return own, nil
}

// tryPlace takes a subdirectory, nil if another process has it.
func tryPlace(path string) (*place, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(path, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	free, err := filelock.Try(f)
	if err != nil || !free {
		_ = f.Close()
		if err != nil {
			err = fmt.Errorf("lock %s: %w", name, err)
		}
		return nil, err
	}
	return &place{path: path, lock: f}, nil
}

// adopt moves the segments of another place behind those already here.
func (p *place) adopt(from *place) error {
	here, err := segmentNames(p.path)
	if err != nil {
		return err
	}
	id := uint64(0)
	if len(here) > 0 {
		id = segmentID(slices.MaxFunc(here, func(a, b string) int { return cmp.Compare(segmentID(a), segmentID(b)) }))
	}
	names, err := segmentNames(from.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		id++
		if err := os.Rename(filepath.Join(from.path, name), filepath.Join(p.path, segmentName(id))); err != nil {
			return err
		}
	}
	return nil
}

// renew makes the place again after somebody has removed the directory, to make room or by a cleaner of old files.
func (p *place) renew() error {
	again, err := tryPlace(p.path)
	if err != nil {
		return err
	}
	if again == nil {
		return fmt.Errorf("%s was removed, and another process has taken its place", p.path)
	}
	_ = p.lock.Close()
	p.lock = again.lock
	return nil
}

// leave lets the next process have the place. The lock file stays: removing it while another opens it would give two the same place.
func (p *place) leave() { _ = p.lock.Close() }
