package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// queue is the requests on disk, oldest first, in segments. It is safe for concurrent use.
type queue struct {
	dir      string
	open     openFile
	maxBytes int64        // of all segments together
	maxPart  int64        // of one, unless a single request is larger
	renew    func() error // makes dir again where somebody has removed it; nil: it stays away

	mu       sync.Mutex
	segments []*segment // the last is written to
	lastID   uint64     // of the newest segment's name
	seq      uint64     // of the last record appended
	size     int64      // of all segments
	pending  int
	taken    *segment // where the record that take gave out is; nil without one
	takenLen int64    // of that record in the file
	scratch  []byte
}

// segment is one file and how far it has been settled.
type segment struct {
	path    string
	file    file // nil for one found at start whose turn has not come
	size    int64
	next    int64  // where the first pending record begins
	pending int    // records from there
	seq     uint64 // of the first pending record
}

const segmentSuffix = ".seg"

// errNotNow is for a segment that cannot be opened, as with too many open files: what is in it is not lost by that.
var errNotNow = errors.New("not opened")

// errTooLarge is for a request that does not fit into the queue even when it is empty.
var errTooLarge = errors.New("the request is larger than the spool may be")

// openQueue reads what is in dir, which belongs to this process. It returns beside the queue what was found damaged; the error is for
// a directory that cannot be used at all.
func openQueue(dir string, open openFile, maxBytes int64) (q *queue, damaged []error, err error) {
	q = &queue{dir: dir, open: open, maxBytes: maxBytes, maxPart: maxBytes / 8}
	names, err := segmentNames(dir)
	if err != nil {
		return nil, nil, err
	}
	opened := q
	defer func() {
		if err != nil {
			_ = opened.close()
		}
	}()
	for _, name := range names {
		q.lastID = max(q.lastID, segmentID(name))
		s, trouble, err := q.recover(filepath.Join(dir, name))
		if err != nil {
			return nil, nil, err
		}
		if trouble != nil {
			damaged = append(damaged, trouble)
		}
		if s == nil {
			continue
		}
		s.seq = q.seq + 1
		q.seq += uint64(s.pending)
		q.pending += s.pending
		q.size += s.size
		q.segments = append(q.segments, s)
	}
	// What was found is never written to again: a new segment takes the new requests. Making it shows that the directory can be written.
	if err := q.grow(); err != nil {
		return nil, nil, err
	}
	return q, damaged, nil
}

// recover reads one segment and cuts off what is not whole; nil if nothing is left of it. It leaves the file closed: a service that was
// restarted a thousand times in an outage has left as many.
func (q *queue) recover(path string) (s *segment, trouble, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	f, err := q.open(path, os.O_RDWR)
	if err != nil {
		return nil, nil, err
	}
	found, err := read(f, info.Size())
	if err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	switch found.damage {
	case torn:
		trouble = fmt.Errorf("%s ended in the middle of a record: the last %d bytes are lost", path, info.Size()-found.end)
	case corrupt:
		aside, err := setAside(path)
		trouble = errors.Join(fmt.Errorf("%s is damaged after byte %d: kept aside as %s", path, found.end, aside), err)
	}
	if found.damage != whole && found.pending > 0 {
		if err := f.Truncate(found.end); err != nil {
			_ = f.Close()
			return nil, nil, err
		}
	}
	if found.pending == 0 {
		return nil, trouble, errors.Join(f.Close(), os.Remove(path))
	}
	return &segment{path: path, size: found.end, next: found.next, pending: found.pending}, trouble, f.Close()
}

// append keeps r as the newest record and returns its number. Oldest segments are given up for it where there is no room, and the
// number of their records is returned. With sync the record is on the disk when it returns.
func (q *queue) append(r record, sync bool) (seq uint64, dropped int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.scratch = appendRecord(q.scratch[:0], r)
	n := int64(len(q.scratch))
	if n+int64(len(magic)) > q.maxBytes || len(r.request) > maxRequest {
		return 0, 0, errTooLarge
	}
	if len(q.segments) == 0 {
		if err := q.grow(); err != nil {
			return 0, 0, err
		}
	}
	last := q.segments[len(q.segments)-1]
	if last.size+n > q.maxPart && last.size > int64(len(magic)) {
		if err := q.grow(); err != nil {
			return 0, 0, err
		}
		last = q.segments[len(q.segments)-1]
	}
	for q.size+n > q.maxBytes && len(q.segments) > 1 {
		lost, err := q.evict()
		dropped += lost
		if err != nil {
			return 0, dropped, err
		}
	}
	if _, err := last.file.WriteAt(q.scratch, last.size); err != nil {
		return 0, dropped, errors.Join(err, last.file.Truncate(last.size))
	}
	if sync {
		if err := last.file.Sync(); err != nil {
			return 0, dropped, errors.Join(err, last.file.Truncate(last.size))
		}
	}
	q.seq++
	if last.pending == 0 {
		last.next, last.seq = last.size, q.seq
	}
	last.size += n
	last.pending++
	q.size += n
	q.pending++
	if cap(q.scratch) > 4<<20 {
		q.scratch = nil // one large request is no reason to hold its memory for ever
	}
	return q.seq, dropped, nil
}

// take returns the oldest record without removing it; settle or release follows. ok is false if there is none.
func (q *queue) take() (r record, seq uint64, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.oldest()
	if s == nil {
		return record{}, 0, false, nil
	}
	if err := q.ready(s); err != nil {
		return record{}, 0, false, err
	}
	r, good, err := readRecord(s.file, s.next, s.size)
	if err == nil && !good {
		err = fmt.Errorf("%s: the record at byte %d is not as it was written", s.path, s.next)
	}
	if err != nil {
		return record{}, 0, false, err
	}
	q.taken, q.takenLen = s, headerSize+int64(len(r.request))
	return r, s.seq, true, nil
}

// oldest is the segment with the oldest pending record, nil if there is none.
func (q *queue) oldest() *segment {
	for _, s := range q.segments {
		if s.pending > 0 {
			return s
		}
	}
	return nil
}

// ready opens the file of a segment that was found at start.
func (q *queue) ready(s *segment) error {
	if s.file != nil {
		return nil
	}
	f, err := q.open(s.path, os.O_RDWR)
	if errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotNow, err)
	}
	s.file = f
	return nil
}

// settle removes the record that was taken.
func (q *queue) settle() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.taken
	q.taken = nil
	if s == nil || !slices.Contains(q.segments, s) {
		return nil // its segment has been given up meanwhile
	}
	return q.remove(s, q.takenLen)
}

// release gives the record that was taken back. It answers false if its segment has been given up meanwhile.
func (q *queue) release() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.taken
	q.taken = nil
	return s != nil && slices.Contains(q.segments, s)
}

// remove settles the first pending record of s, which is of the given length. After an error it is settled all the same, but the next
// process may not know it.
func (q *queue) remove(s *segment, length int64) error {
	s.pending--
	s.seq++
	q.pending--
	if s.pending == 0 {
		if s == q.segments[len(q.segments)-1] {
			return q.reset(s)
		}
		return q.giveUp(s)
	}
	_, err := s.file.WriteAt([]byte{stateSettled}, s.next)
	s.next += length
	return err
}

// reset empties the segment that is written to, so that a queue with nothing in it takes no room.
func (q *queue) reset(s *segment) error {
	if err := s.file.Truncate(int64(len(magic))); err != nil {
		return errors.Join(err, q.giveUp(s)) // the next record gets a new one
	}
	q.size -= s.size - int64(len(magic))
	s.size, s.next = int64(len(magic)), int64(len(magic))
	return nil
}

// dropOldest gives up the oldest segment that has a pending record, for one that cannot be read, and returns how many it had.
func (q *queue) dropOldest() (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.oldest()
	if s == nil {
		return 0, nil
	}
	n := s.pending
	aside, err := setAside(s.path)
	if err == nil {
		err = fmt.Errorf("%d requests given up, their file is kept aside as %s", n, aside)
	}
	return n, errors.Join(err, q.giveUp(s))
}

// evict gives up the oldest segment, and returns how many records are lost with it. One that is being sent is not among them: what
// becomes of it is counted by whoever took it.
func (q *queue) evict() (int, error) {
	s := q.segments[0]
	lost := s.pending
	if s == q.taken {
		lost--
	}
	return lost, q.giveUp(s)
}

// giveUp removes a segment and its file.
func (q *queue) giveUp(s *segment) error {
	q.segments = slices.DeleteFunc(q.segments, func(one *segment) bool { return one == s })
	q.size -= s.size
	q.pending -= s.pending
	return errors.Join(s.close(), remove(s.path))
}

// remove deletes a file; one that somebody else has deleted is no error.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (s *segment) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// dropOlder removes records made before t and returns how many.
func (q *queue) dropOlder(t time.Time) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		s := q.oldest()
		if s == nil || q.taken != nil {
			return n, nil
		}
		if q.ready(s) != nil {
			return n, nil // take tells of it
		}
		var raw [headerSize]byte
		if _, err := s.file.ReadAt(raw[:], s.next); err != nil {
			return n, nil // take tells of it
		}
		h, ok := parseHeader(&raw)
		if !ok || !h.at.Before(t) {
			return n, nil
		}
		n++
		if err := q.remove(s, headerSize+h.length); err != nil {
			return n, err
		}
	}
}

// grow begins a new segment.
func (q *queue) grow() error {
	path := filepath.Join(q.dir, segmentName(q.lastID+1))
	const create = os.O_RDWR | os.O_CREATE | os.O_TRUNC
	f, err := q.open(path, create)
	if errors.Is(err, os.ErrNotExist) && q.renew != nil {
		if err = q.renew(); err == nil {
			f, err = q.open(path, create)
		}
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(magic), 0); err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	q.lastID++
	n := int64(len(magic))
	q.segments = append(q.segments, &segment{path: path, file: f, size: n, next: n, seq: q.seq + 1})
	q.size += n
	if len(q.segments) > 1 && q.segments[len(q.segments)-2].pending == 0 {
		return q.giveUp(q.segments[len(q.segments)-2])
	}
	return nil
}

// depth is how many records wait, and the size of their files.
func (q *queue) depth() (requests int, size int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pending, q.size
}

// sync forces what was appended to the disk.
func (q *queue) sync() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var errs []error
	for _, s := range q.segments {
		if s.pending == 0 {
			continue
		}
		unopened := s.file == nil
		if err := q.ready(s); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, s.file.Sync())
		if unopened {
			errs = append(errs, s.file.Close())
			s.file = nil
		}
	}
	return errors.Join(errs...)
}

// close leaves what waits on the disk, and no file without any.
func (q *queue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var errs []error
	for _, s := range q.segments {
		if s.pending > 0 && s.file != nil {
			errs = append(errs, s.file.Sync())
		}
		errs = append(errs, s.close())
		if s.pending == 0 {
			errs = append(errs, remove(s.path))
		}
	}
	q.segments = nil
	return errors.Join(errs...)
}

// segmentName makes names that sort as their numbers do.
func segmentName(id uint64) string { return fmt.Sprintf("%020d%s", id, segmentSuffix) }

func segmentID(name string) (id uint64) {
	_, _ = fmt.Sscanf(strings.TrimSuffix(name, segmentSuffix), "%d", &id)
	return id
}

func segmentNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && strings.HasSuffix(name, segmentSuffix) && name == segmentName(segmentID(name)) {
			names = append(names, name)
		}
	}
	return names, nil
}
