package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faulty is a disk on which operations fail while their error is set.
type faulty struct {
	write, sync, truncate, read, open error
	short                             int // bytes that a failing write still writes

	opened func(by int) // told of each file that is opened (1) or closed (-1); may be nil
}

func (d *faulty) openFile(name string, flag int) (file, error) {
	if d.open != nil {
		return nil, d.open
	}
	f, err := osOpen(name, flag)
	if err != nil {
		return nil, err
	}
	d.tell(1)
	return &faultyFile{f, d}, nil
}

func (d *faulty) tell(by int) {
	if d.opened != nil {
		d.opened(by)
	}
}

type faultyFile struct {
	file
	disk *faulty
}

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if f.disk.write == nil {
		return f.file.WriteAt(b, off)
	}
	n, _ := f.file.WriteAt(b[:min(f.disk.short, len(b))], off)
	return n, f.disk.write
}

func (f *faultyFile) ReadAt(b []byte, off int64) (int, error) {
	if f.disk.read != nil {
		return 0, f.disk.read
	}
	return f.file.ReadAt(b, off)
}

func (f *faultyFile) Close() error {
	f.disk.tell(-1)
	return f.file.Close()
}

func (f *faultyFile) Sync() error { return errors.Join(f.disk.sync, f.file.Sync()) }

func (f *faultyFile) Truncate(n int64) error {
	if f.disk.truncate != nil {
		return f.disk.truncate
	}
	return f.file.Truncate(n)
}

func newQueue(t *testing.T, dir string, open openFile, maxBytes int64) (*queue, []error) {
	t.Helper()
	q, damaged, err := openQueue(dir, open, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return q, damaged
}

func push(t *testing.T, q *queue, requests ...string) (dropped int) {
	t.Helper()
	for _, r := range requests {
		_, n, err := q.append(record{at: time.Now(), request: []byte(r)}, false)
		if err != nil {
			t.Fatal(err)
		}
		dropped += n
	}
	return dropped
}

// drain takes and settles everything.
func drain(t *testing.T, q *queue) (requests []string) {
	t.Helper()
	for {
		r, _, ok, err := q.take()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return requests
		}
		requests = append(requests, string(r.request))
		if err := q.settle(); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func numbered(from, to int) (requests []string) {
	for i := from; i < to; i++ {
		requests = append(requests, fmt.Sprintf("%-1000d", i))
	}
	return requests
}

func TestQueueKeepsOrderOverReopening(t *testing.T) {
	dir := t.TempDir()
	q, _ := newQueue(t, dir, osOpen, 1<<20)
	all := numbered(0, 300) // more than two segments
	push(t, q, all[:200]...)
	for range 150 {
		if _, _, ok, err := q.take(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if err := q.settle(); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
	q, damaged := newQueue(t, dir, osOpen, 1<<20)
	push(t, q, all[200:]...)
	if n, _ := q.depth(); n != 150 || len(damaged) > 0 {
		t.Errorf("%d requests wait after reopening, damaged %v, want 150 and none", n, damaged)
	}
	if got := drain(t, q); !slices.Equal(got, all[150:]) {
		t.Errorf("%d requests, or in another order, want 150 in theirs", len(got))
	}
	if n, size := q.depth(); n != 0 || size != int64(len(magic)) {
		t.Errorf("an empty queue has %d requests in %d bytes", n, size)
	}
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("an empty queue leaves %v behind", left)
	}
}

// The process dies: nothing is closed, and the file ends anywhere.
func TestQueueAfterATornWrite(t *testing.T) {
	dir := t.TempDir()
	q, _ := newQueue(t, dir, osOpen, 1<<20)
	push(t, q, "one", "two", "three")
	path := q.segments[0].path
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer q.close()
	for size := len(whole) - 1; size >= 0; size-- {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		q, damaged := newQueue(t, dir, osOpen, 1<<20)
		push(t, q, "four")
		var want []string
		at := len(magic)
		for _, r := range []string{"one", "two", "three"} {
			if at += headerSize + len(r); at <= size {
				want = append(want, r)
			}
		}
		if got := drain(t, q); !slices.Equal(got, append(want, "four")) {
			t.Errorf("cut to %d bytes: %q, want %q and four", size, got, want)
		}
		atEnd := size == len(magic) || size == len(magic)+headerSize+3 || size == len(magic)+2*(headerSize+3)
		if (len(damaged) == 0) != atEnd {
			t.Errorf("cut to %d bytes: told %v", size, damaged)
		}
		if err := q.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQueueSetsDamageAside(t *testing.T) {
	dir := t.TempDir()
	for id := uint64(1); id <= 4; id++ {
		b := segmentOf(0, fmt.Sprint("good ", id), "bad", "lost")
		b[len(magic)+2*headerSize+6] = '?' // the first byte of "bad"
		if err := os.WriteFile(filepath.Join(dir, segmentName(id)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	q, damaged := newQueue(t, dir, osOpen, 1<<20)
	if len(damaged) != 4 || !strings.Contains(damaged[0].Error(), "kept aside as") {
		t.Errorf("told %v, want four files kept aside", damaged)
	}
	if got, want := drain(t, q), []string{"good 1", "good 2", "good 3", "good 4"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
	if got, want := files(t, dir), []string{segmentName(3) + ".corrupt", segmentName(4) + ".corrupt"}; !slices.Equal(got, want) {
		t.Errorf("files %v, want the newest two damaged ones: %v", got, want)
	}
}

// A record that changes on the disk while the process runs.
func TestQueueGivesUpARecordThatChanged(t *testing.T) {
	dir := t.TempDir()
	q, _ := newQueue(t, dir, osOpen, 64<<10)
	defer q.close()
	push(t, q, numbered(0, 20)...) // several segments
	lost := q.segments[0].pending
	if err := os.WriteFile(q.segments[0].path, []byte("overwritten"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := q.take(); err == nil {
		t.Fatal("a record that is not as it was written was given out")
	}
	n, err := q.dropOldest()
	if n != lost || err == nil || !strings.Contains(err.Error(), "kept aside") {
		t.Errorf("gave up %d requests, %v, want %d and where they are", n, err, lost)
	}
	if got := drain(t, q); !slices.Equal(got, numbered(lost, 20)) {
		t.Errorf("%d requests left, want the %d of other segments", len(got), 20-lost)
	}
}

// What many short lives have left takes no more open files than what one has, and is no reason to give anything up where there are
// none to be had.
func TestQueueOpensWhatItNeeds(t *testing.T) {
	dir := t.TempDir()
	for i := range 100 {
		q, _ := newQueue(t, dir, osOpen, 1<<20)
		push(t, q, fmt.Sprint(i))
		if err := q.close(); err != nil {
			t.Fatal(err)
		}
	}
	open := 0
	disk := &faulty{opened: func(by int) { open += by }}
	q, damaged := newQueue(t, dir, disk.openFile, 1<<20)
	if len(damaged) > 0 || open != 1 {
		t.Errorf("damaged %v, %d files open; want none and the one that is written to", damaged, open)
	}
	if err := q.sync(); err != nil || open != 1 {
		t.Errorf("sync: %v, %d files open; want 1", err, open)
	}
	disk.open = syscall.EMFILE
	if _, _, _, err := q.take(); !errors.Is(err, errNotNow) || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("take with no file to be had: %v, want errNotNow", err)
	}
	disk.open = nil
	if got := drain(t, q); len(got) != 100 || got[0] != "0" || got[99] != "99" {
		t.Errorf("took %q, want 0 to 99", got)
	}
	if err := q.close(); err != nil || open != 0 {
		t.Errorf("close: %v, %d files open", err, open)
	}
}

func TestQueueIsBounded(t *testing.T) {
	const most = 64 << 10
	dir := t.TempDir()
	q, _ := newQueue(t, dir, osOpen, most)
	defer q.close()
	all := numbered(0, 500)
	dropped := 0
	for _, r := range all {
		dropped += push(t, q, r)
		var size int64
		for _, name := range files(t, dir) {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		if _, said := q.depth(); size > most || size != said {
			t.Fatalf("%d bytes on disk, said to be %d, allowed %d", size, said, most)
		}
	}
	got := drain(t, q)
	if !slices.Equal(got, all[dropped:]) {
		t.Errorf("%d requests left of %d with %d dropped; want the newest", len(got), len(all), dropped)
	}
	if least := most * 3 / 4 / 1020; len(got) < least {
		t.Errorf("%d requests are kept, want at least %d", len(got), least)
	}
	if _, _, err := q.append(record{request: make([]byte, most)}, false); !errors.Is(err, errTooLarge) {
		t.Errorf("a request larger than the queue: %v", err)
	}
	push(t, q, strings.Repeat("x", most-100)) // takes the room of everything else
	if got := drain(t, q); len(got) != 1 {
		t.Errorf("%d requests, want the one large", len(got))
	}
}

// The segment of the record that is being sent is pushed out: it must be counted once, by whoever sends it.
func TestQueuePushesOutWhatIsBeingSent(t *testing.T) {
	q, _ := newQueue(t, t.TempDir(), osOpen, 64<<10)
	defer q.close()
	all := numbered(0, 200)
	push(t, q, all[0])
	if _, _, ok, err := q.take(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	dropped := push(t, q, all[1:]...)
	if q.release() {
		t.Error("a record that was pushed out was taken back")
	}
	if got := drain(t, q); len(got)+dropped+1 != len(all) {
		t.Errorf("%d left, %d dropped and one in flight, want %d together", len(got), dropped, len(all))
	}
	if err := q.settle(); err != nil {
		t.Error(err)
	}
}

func TestQueueDropsByAge(t *testing.T) {
	q, _ := newQueue(t, t.TempDir(), osOpen, 64<<10)
	defer q.close()
	now := time.Now()
	for i := range 30 {
		r := record{at: now.Add(time.Duration(i) * time.Minute), request: []byte(numbered(i, i+1)[0])}
		if _, _, err := q.append(r, false); err != nil {
			t.Fatal(err)
		}
	}
	n, err := q.dropOlder(now.Add(20 * time.Minute))
	if n != 20 || err != nil {
		t.Errorf("dropped %d, %v, want 20", n, err)
	}
	if got := drain(t, q); !slices.Equal(got, numbered(20, 30)) {
		t.Errorf("%d requests left, want 10", len(got))
	}
}

func TestQueueOnAFullDisk(t *testing.T) {
	for _, short := range []int{0, 10, 500} {
		disk := &faulty{}
		dir := t.TempDir()
		q, _ := newQueue(t, dir, disk.openFile, 64<<10)
		push(t, q, numbered(0, 3)...)
		disk.write, disk.short = syscall.ENOSPC, short
		for i := range 20 {
			if _, _, err := q.append(record{request: []byte(numbered(3+i, 4+i)[0])}, true); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("err = %v", err)
			}
		}
		disk.write = nil
		push(t, q, numbered(3, 6)...)
		if err := q.close(); err != nil {
			t.Fatal(err)
		}
		q, damaged := newQueue(t, dir, osOpen, 64<<10)
		if got := drain(t, q); !slices.Equal(got, numbered(0, 6)) || len(damaged) > 0 {
			t.Errorf("after a full disk: %d requests, damaged %v, want 6 whole ones", len(got), damaged)
		}
		if err := q.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQueueOnADiskThatFails(t *testing.T) {
	disk := &faulty{}
	q, _ := newQueue(t, t.TempDir(), disk.openFile, 64<<10)
	defer q.close()
	push(t, q, "one")
	disk.sync = syscall.EIO
	if _, _, err := q.append(record{request: []byte("not kept")}, true); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync fails: %v", err)
	}
	disk.sync, disk.truncate = nil, syscall.EROFS
	if _, _, ok, err := q.take(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := q.settle(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("truncate fails: %v", err)
	}
	disk.truncate = nil
	push(t, q, "two")
	if got := drain(t, q); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%q, want two alone", got)
	}
	disk.open = syscall.EROFS
	if _, _, err := openQueue(t.TempDir(), disk.openFile, 64<<10); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a read-only directory: %v", err)
	}
}
