//go:build linux && !386 && !s390x

package otelnet

import (
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

func TestRecordSize(t *testing.T) {
	// With the socket's syscall.RawConn and a slot in the table, that is 256 bytes.
	if got := unsafe.Sizeof(tcpConn{}); got > 240 {
		t.Errorf("a tracked connection takes %d bytes, want at most 240", got)
	}
}
