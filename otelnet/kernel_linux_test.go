//go:build linux && !386 && !s390x

package otelnet

import (
	"os"
	"testing"
	"unsafe"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// forgetUntold leaves out the metrics that the kernel may not tell: here there are none.
func forgetUntold(_, _ map[string]string) {}

// waitState waits until the kernel has this state for the connection, without touching the connection's own counts.
func waitState(t *testing.T, s *ConnStats, want tcpinfo.State) {
	t.Helper()
	rd := tcpinfo.NewReader()
	eventually(t, "a TCP state", func() bool {
		if err := rd.Read(s.raw); err != nil {
			t.Fatal(err)
		}
		return rd.Info.State == want
	})
}

func TestKernelCountsInUse(t *testing.T) {
	ln := listen(t, newMeter(t).option())
	server, _ := pair(t, ln)
	if _, ok := server.(*tcpConn); !ok {
		t.Errorf("an accepted connection is a %T, want one that the kernel counts", server)
	}
}

// A kernel or sandbox that refuses the question, in whatever words, must not leave connections without counts.
func TestKernelThatRefuses(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	pipe, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t, newMeter(t).option())
	server, _ := pair(t, ln)
	socket := statsOf(server).raw

	var k answering
	if k.answers(pipe) {
		t.Error("ENOTSOCK counts as an answer")
	}
	if k.silent.Load() {
		t.Error("one refusal counts as that of the kernel")
	}
	if !k.answers(socket) {
		t.Error("the kernel is not asked again")
	}
	if !k.answers(pipe) {
		t.Error("the kernel is asked for each connection after its first answer")
	}
}

func TestRecordSize(t *testing.T) {
	// With the socket's syscall.RawConn and a slot in the table, that is 256 bytes.
	if got := unsafe.Sizeof(tcpConn{}); got > 240 {
		t.Errorf("a tracked connection takes %d bytes, want at most 240", got)
	}
}
