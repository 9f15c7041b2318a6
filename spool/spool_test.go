package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// receiver is the far end of a sendFunc: it answers what it is told to and remembers what it took.
type receiver struct {
	mu       sync.Mutex
	answer   func(request string) error // nil: takes everything
	took     []string
	attempts int
}

func (r *receiver) send(ctx context.Context, one record) (reply, error) {
	request, err := unpack(one)
	if err != nil {
		return reply{}, err
	}
	r.mu.Lock()
	r.attempts++
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		if err := answer(string(request)); err != nil {
			return reply{}, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, string(request))
	return reply{}, ctx.Err()
}

func (r *receiver) is(answer func(string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) tries() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts
}

func (r *receiver) has() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.took)
}

// errorList is an OnError.
type errorList struct {
	mu   sync.Mutex
	told []string
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, err.Error())
}

func (l *errorList) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told)
}

var errRefused = errors.New("dial tcp 127.0.0.1:4317: connect: connection refused")

func down(string) error { return errRefused }

func openSpool(t *testing.T, c Config, openFile openFile) (*Spool, *errorList) {
	t.Helper()
	var told errorList
	c.OnError = told.add
	if c.Name == "" {
		c.Name = "metrics"
	}
	s, err := open(c, openFile)
	if err != nil {
		t.Fatal(err)
	}
	return s, &told
}

func (s *Spool) export(ctx context.Context, request string, r *receiver) error {
	_, err := s.deliver(ctx, record{at: time.Now(), request: []byte(request)}, r.send)
	return err
}

func wantQueued(t *testing.T, err error, requests int) {
	t.Helper()
	var queued *QueuedError
	if !errors.As(err, &queued) || queued.Requests != requests {
		t.Fatalf("err = %v, want %d requests kept", err, requests)
	}
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, told := openSpool(t, Config{Dir: dir}, osOpen)
		r := &receiver{}
		var want []string
		next := func() string {
			want = append(want, fmt.Sprint("interval ", len(want), strings.Repeat(" some text", 100)))
			return want[len(want)-1]
		}
		if err := s.export(t.Context(), next(), r); err != nil {
			t.Fatal(err)
		}
		r.is(down)
		for i := range 60 {
			wantQueued(t, s.export(t.Context(), next(), r), i+1)
			time.Sleep(time.Second)
		}
		if n := r.tries(); n < 4 || n > 12 {
			t.Errorf("%d attempts in a minute's outage, want a few", n)
		}
		st := s.Stats()
		if st.Requests != 60 || !st.Away || st.Sent != 1 || st.Size == 0 || st.Size > 60*500 {
			t.Errorf("in the outage %+v, want 60 requests waiting, compressed", st)
		}
		r.is(nil)
		time.Sleep(maxBackoff)
		synctest.Wait()
		if err := s.export(t.Context(), next(), r); err != nil {
			t.Errorf("after the outage: %v", err)
		}
		if got := r.has(); !slices.Equal(got, want) {
			t.Errorf("the receiver took %d requests, or in another order; want %d in theirs", len(got), len(want))
		}
		if st := s.Stats(); st.Requests != 0 || st.Away || st.Sent != 62 || st.Size != int64(len(magic)) {
			t.Errorf("after the outage %+v", st)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.export(t.Context(), "late", r); err == nil {
			t.Error("a closed spool took a request")
		}
		if len(told.all()) > 0 {
			t.Errorf("told %q", told.all())
		}
	})
}

// A live request does not overtake those that are being sent, and does not wait for them either.
func TestLiveGoesBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openSpool(t, Config{Dir: t.TempDir()}, osOpen)
		r := &receiver{}
		r.is(down)
		for i := range 10 {
			wantQueued(t, s.export(t.Context(), fmt.Sprint(i), r), i+1)
		}
		r.is(func(string) error { time.Sleep(3 * time.Second); return nil })
		time.Sleep(2 * time.Second) // it is sending the first
		begin := time.Now()
		err := s.export(t.Context(), "10", r)
		var queued *QueuedError
		if !errors.As(err, &queued) || queued.Requests < 5 {
			t.Errorf("a live request behind others: %v", err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("it waited for %v", took)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got, want := r.has(), []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}; !slices.Equal(got, want) {
			t.Errorf("took %v, want %v", got, want)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := openSpool(t, Config{Dir: t.TempDir()}, osOpen)
		r := &receiver{}
		bad := status.Error(codes.InvalidArgument, "no such tenant")
		r.is(func(string) error { return bad })
		if err := s.export(t.Context(), "0", r); !errors.Is(err, bad) {
			t.Errorf("the exporter was told %v, want the receiver's answer", err)
		}
		if n := len(told.all()); n != 0 {
			t.Errorf("told %v beside the exporter", told.all())
		}
		r.is(down)
		for i := range 5 {
			wantQueued(t, s.export(t.Context(), fmt.Sprint(i), r), i+1)
		}
		r.is(func(request string) error {
			if request == "1" || request == "2" {
				return bad
			}
			return nil
		})
		time.Sleep(maxBackoff)
		synctest.Wait()
		if got, want := r.has(), []string{"0", "3", "4"}; !slices.Equal(got, want) {
			t.Errorf("took %v, want %v: what is refused must not hold up the rest", got, want)
		}
		if n := s.Stats().Dropped[ReasonRefused]; n != 3 {
			t.Errorf("%d dropped as refused, want 3", n)
		}
		if n := told.all(); len(n) != 1 || !strings.Contains(n[0], "no such tenant") {
			t.Errorf("told %q, want the cause once", n)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openSpool(t, Config{Dir: t.TempDir()}, osOpen)
		busy, err := status.New(codes.ResourceExhausted, "busy").WithDetails(
			&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		r := &receiver{}
		r.is(func(string) error { return busy.Err() })
		wantQueued(t, s.export(t.Context(), "0", r), 1)
		wantQueued(t, s.Flush(t.Context()), 1) // at once, and without an attempt
		r.is(nil)
		time.Sleep(2*time.Minute - time.Second)
		synctest.Wait()
		if n := r.tries(); n != 1 {
			t.Errorf("%d attempts within the pause that the receiver asked for, want the first alone", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := r.has(); len(got) != 1 {
			t.Errorf("took %v after the pause", got)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAttemptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openSpool(t, Config{Dir: t.TempDir(), Timeout: 7 * time.Second}, osOpen)
		hangs := func(ctx context.Context, _ record) (reply, error) { <-ctx.Done(); return reply{}, ctx.Err() }
		begin := time.Now()
		_, err := s.deliver(t.Context(), record{at: time.Now(), request: []byte("0")}, hangs)
		wantQueued(t, err, 1)
		if took := time.Since(begin); took != 7*time.Second {
			t.Errorf("a receiver that does not answer held the exporter for %v, want 7s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin = time.Now()
		wantQueued(t, s.Close(ctx), 1)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("Close took %v, want its context's 3s", took)
		}
	})
}

// The exporter gives up before the attempt does; the request is still kept, and sent once.
func TestExporterGivesUpFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openSpool(t, Config{Dir: t.TempDir()}, osOpen)
		r := &receiver{}
		r.is(func(string) error { time.Sleep(2 * time.Second); return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantQueued(t, s.export(ctx, "0", r), 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := r.has(); len(got) != 1 || len(s.waiting) != 0 {
			t.Errorf("took %v, %d wait", got, len(s.waiting))
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestPanickingTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openSpool(t, Config{Dir: t.TempDir()}, osOpen)
		r := &receiver{}
		r.is(func(string) error { panic("a transport of the service's own") })
		wantQueued(t, s.export(t.Context(), "0", r), 1)
		r.is(nil)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := r.has(); len(got) != 1 {
			t.Errorf("took %v", got)
		}
	})
}

// Close tries at once, however long the pause before the next attempt would be.
func TestCloseSendsWhatItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, _ := openSpool(t, Config{Dir: dir}, osOpen)
		r := &receiver{}
		r.is(down)
		for i := range 20 {
			wantQueued(t, s.export(t.Context(), fmt.Sprint(i), r), i+1)
		}
		time.Sleep(5 * time.Minute)
		// It is back for ten more requests, then away again.
		r.is(func(request string) error {
			if request == "10" {
				return errRefused
			}
			return nil
		})
		begin := time.Now()
		err := s.Close(t.Context())
		wantQueued(t, err, 10)
		if took := time.Since(begin); took > 0 {
			t.Errorf("Close took %v", took)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("the second Close: %v", err)
		}

		s, told := openSpool(t, Config{Dir: dir}, osOpen)
		if n := s.Stats().Requests; n != 10 {
			t.Fatalf("%d requests are left for the next process, want 10", n)
		}
		r.is(nil)
		var queued *QueuedError // of 11, or of fewer if the sender was quick
		if err := s.export(t.Context(), "20", r); err != nil && (!errors.As(err, &queued) || queued.Requests > 11) {
			t.Errorf("err = %v, want up to 11 requests kept", err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		var want []string
		for i := range 21 {
			want = append(want, fmt.Sprint(i))
		}
		if got := r.has(); !slices.Equal(got, want) {
			t.Errorf("took %v over both lives, want %v", got, want)
		}
		if len(told.all()) > 0 {
			t.Errorf("told %q", told.all())
		}
	})
}

func TestAgeAndSizeAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := openSpool(t, Config{Dir: t.TempDir(), MaxBytes: MinMaxBytes, MaxAge: 10 * time.Minute}, osOpen)
		r := &receiver{}
		r.is(down)
		for i := range 20 {
			_ = s.export(t.Context(), fmt.Sprint(i), r)
			time.Sleep(time.Minute)
		}
		if n := s.Stats(); n.Dropped[ReasonAge] != 10 || n.Requests != 10 {
			t.Errorf("%+v, want 10 dropped by age and 10 left", n)
		}
		for i := range 400 {
			_ = s.export(t.Context(), incompressible(i), r)
		}
		st := s.Stats()
		if st.Dropped[ReasonSize] == 0 || st.Dropped[ReasonSize]+st.Requests != 410 || st.Size > MinMaxBytes {
			t.Errorf("%+v, want 410 requests to be either dropped by size or left", st)
		}
		if n := len(told.all()); n != 2 {
			t.Errorf("told %q, want each cause once", told.all())
		}
		r.is(nil)
		if err := s.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		got := r.has()
		for i, request := range got {
			if want := incompressible(400 - len(got) + i); request != want {
				t.Fatalf("request %d of %d is another than the newest in order", i, len(got))
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func incompressible(seed int) string {
	var b strings.Builder
	x := uint32(seed)*2654435761 + 1
	for b.Len() < 1000 {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b.WriteByte(byte(x))
	}
	return b.String()
}

// Without a disk all is as without a spool, but for what must not overtake earlier requests.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &faulty{}
		s, told := openSpool(t, Config{Dir: t.TempDir()}, disk.openFile)
		r := &receiver{}
		synctest.Wait() // the sender too looks at the disk
		disk.write = syscall.ENOSPC
		for range 3 {
			if err := s.export(t.Context(), "live", r); err != nil {
				t.Errorf("the receiver is there and the disk is full: %v", err)
			}
		}
		r.is(down)
		if err := s.export(t.Context(), "0", r); !errors.Is(err, errRefused) {
			t.Errorf("the exporter was told %v, want the cause, for its own repetitions", err)
		}
		synctest.Wait()
		disk.write = nil
		wantQueued(t, s.export(t.Context(), "1", r), 1)
		synctest.Wait()
		disk.write = syscall.ENOSPC
		if err := s.export(t.Context(), "2", r); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("err = %v, want that the disk is full", err)
		}
		synctest.Wait()
		disk.write = nil
		wantQueued(t, s.export(t.Context(), "3", r), 2)
		r.is(nil)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got, want := r.has(), []string{"live", "live", "live", "1", "3"}; !slices.Equal(got, want) {
			t.Errorf("took %v, want %v", got, want)
		}
		if n := s.Stats().Dropped[ReasonDisk]; n != 1 {
			t.Errorf("%d dropped for the disk, want 1", n)
		}
		if got := told.all(); len(got) != 2 || !strings.Contains(got[0], "no space left on device") {
			t.Errorf("told %q, want the full disk once for each time that it was", got)
		}
	})
}

// A disk that cannot be read back costs the requests on it, not the service and not later ones.
func TestDiskCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &faulty{}
		s, told := openSpool(t, Config{Dir: t.TempDir()}, disk.openFile)
		r := &receiver{}
		r.is(down)
		for i := range 3 {
			_ = s.export(t.Context(), fmt.Sprint(i), r)
		}
		r.is(nil)
		synctest.Wait() // the sender too looks at the disk
		disk.read = syscall.EIO
		if err := s.Flush(t.Context()); err != nil {
			t.Errorf("nothing waits, but Flush says %v", err)
		}
		synctest.Wait()
		disk.read = nil
		if err := s.export(t.Context(), "3", r); err != nil {
			t.Error(err)
		}
		if n := s.Stats().Dropped[ReasonCorrupt]; n != 3 || len(told.all()) != 1 {
			t.Errorf("%d dropped, told %q; want 3 and one line", n, told.all())
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := r.has(); !slices.Equal(got, []string{"3"}) {
			t.Errorf("took %v, want what came after", got)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	notDir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{Name: "metrics"}, "must be set"},
		{Config{Dir: notDir, Name: "metrics"}, "not a directory"},
		{Config{Dir: t.TempDir(), Name: "metrics", MaxBytes: 1000}, "MaxBytes is 1000; allowed: 65536 or more"},
		{Config{Dir: t.TempDir(), Name: "metrics", MaxAge: -1}, "MaxAge is -1ns"},
	} {
		s, err := Open(test.config)
		if err == nil {
			s.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.config, err, test.want)
		}
	}
	disk := &faulty{open: syscall.EROFS}
	if _, err := open(Config{Dir: t.TempDir(), Name: "metrics"}, disk.openFile); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a read-only directory: %v", err)
	}
}

func TestProcessesShareADirectory(t *testing.T) {
	dir := t.TempDir()
	r := &receiver{}
	r.is(down)
	var all []*Spool
	for i := range 3 {
		s, _ := openSpool(t, Config{Dir: dir}, osOpen) // locks belong to open files, so this process stands for three
		wantQueued(t, s.export(t.Context(), fmt.Sprint("of ", i), r), 1)
		all = append(all, s)
	}
	if got, want := filepath.Base(all[2].Dir()), "metrics-2"; got != want {
		t.Errorf("the third process took %s, want %s", got, want)
	}
	wantQueued(t, all[0].Close(t.Context()), 1)
	wantQueued(t, all[2].Close(t.Context()), 1)
	s, _ := openSpool(t, Config{Dir: dir}, osOpen)
	if n := s.Stats().Requests; n != 2 {
		t.Errorf("a process that starts finds %d requests of ended ones, want 2", n)
	}
	r.is(nil)
	for _, s := range []*Spool{s, all[1]} {
		if err := s.export(t.Context(), "live", r); err != nil {
			var queued *QueuedError
			if !errors.As(err, &queued) {
				t.Error(err)
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got, want := r.has(), []string{"of 0", "of 2", "live", "of 1", "live"}; !slices.Equal(got, want) {
		t.Errorf("took %q, want %q", got, want)
	}
}

// Somebody makes room by removing the directory under a service that runs: what waits is still sent, and what comes is kept again.
func TestDirectoryRemoved(t *testing.T) {
	dir := t.TempDir()
	r := &receiver{}
	r.is(down)
	s, told := openSpool(t, Config{Dir: dir, MaxBytes: MinMaxBytes}, osOpen)
	var want []string
	for i := range 30 {
		if i == 10 {
			if err := os.RemoveAll(s.Dir()); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, incompressible(i))
		wantQueued(t, s.export(t.Context(), want[i], r), i+1)
	}
	if names := files(t, s.Dir()); len(names) < 2 || names[len(names)-1] != "lock" {
		t.Errorf("files %q, want segments and the lock", names)
	}
	other, _ := openSpool(t, Config{Dir: dir}, osOpen)
	if other.Dir() == s.Dir() {
		t.Error("another process has taken the place of one that runs")
	}
	r.is(nil)
	if err := errors.Join(s.Flush(t.Context()), s.Close(t.Context()), other.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if !slices.Equal(r.has(), want) {
		t.Errorf("took %d requests, want all 30 in order", len(r.has()))
	}
	if st := s.Stats(); st.Sent != 30 || len(told.all()) != 0 {
		t.Errorf("%+v, told %q; want 30 sent and nothing to tell", st, told.all())
	}
}
