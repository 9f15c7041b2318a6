//go:build unix

package tracesum

import (
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

func blockInCall(fd int) {
	for {
		if _, err := syscall.Read(fd, make([]byte, 1)); err != syscall.EINTR {
			return
		}
	}
}

func TestSystemCall(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(r.Fd()) // makes it a blocking one
	sum := read(t, record(t, func() {
		var done sync.WaitGroup
		done.Go(func() { blockInCall(fd) })
		parked(1, "tracesum.blockInCall")
		time.Sleep(nap)
		if _, err := w.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		done.Wait()
	}))
	if got := sum.cause(t, causeSyscall).site(t, "blockInCall"); got.Max < 0.95*nap.Seconds() {
		t.Errorf("got %+v, want a call of about %s", got, nap)
	}
}
