//go:build linux && !386 && !s390x

package tcpinfo

import (
	"io"
	"net"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func loopback(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

func rawConn(t *testing.T, c *net.TCPConn) syscall.RawConn {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestKernelCountsWhatWasMoved(t *testing.T) {
	a, b := loopback(t)
	if _, err := a.Write(make([]byte, 12_345)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(b, make([]byte, 12_345)); err != nil {
		t.Fatal(err)
	}
	rd := NewReader()
	if err := rd.Read(rawConn(t, a)); err != nil {
		t.Fatal(err)
	}
	if got := rd.Info.SentBytes(); got != 12_345 {
		t.Errorf("sent: got %d, want 12345", got)
	}
	a.Close()
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("got %v, want EOF", err)
	}
	if err := rd.Read(rawConn(t, b)); err != nil {
		t.Fatal(err)
	}
	if got := rd.Info.ReceivedBytes(false); got != 12_345 || rd.Info.State != CloseWait {
		t.Errorf("received: got %d in state %d, want 12345 in CLOSE_WAIT", got, rd.Info.State)
	}
}

func TestUnread(t *testing.T) {
	a, b := loopback(t)
	if _, err := a.Write(make([]byte, 777)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(b, make([]byte, 700)); err != nil {
		t.Fatal(err)
	}
	rd := NewReader()
	if got, err := rd.Unread(rawConn(t, b)); got != 77 || err != nil {
		t.Errorf("got %d, %v, want 77, nil", got, err)
	}
	b.Close()
	if _, err := rd.Unread(rawConn(t, a)); err != nil {
		t.Errorf("the peer has closed: got %v", err)
	}
}

func TestAcceptQueue(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for range 3 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rd := NewReader()
	if err := rd.ReadOnce(raw); err != nil {
		t.Fatal(err)
	}
	if rd.Info.State != Listening || rd.Info.QueueLength != 3 || rd.Info.QueueLimit < 3 {
		t.Errorf("got state %d, queue %d of %d, want state 10, 3 of at least 3", rd.Info.State, rd.Info.QueueLength, rd.Info.QueueLimit)
	}
}

func TestPendingErrorIsTakenOnce(t *testing.T) {
	a, b := loopback(t)
	if err := a.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	a.Close() // resets
	rd, raw := NewReader(), rawConn(t, b)
	for rd.Info.State != Closed {
		if err := rd.Read(raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := rd.PendingError(raw); err != syscall.ECONNRESET {
		t.Errorf("got %v, want ECONNRESET", err)
	}
	if err := rd.PendingError(raw); err != nil {
		t.Errorf("second time: got %v, want nil", err)
	}
}

func TestReadAfterClose(t *testing.T) {
	a, _ := loopback(t)
	raw := rawConn(t, a)
	a.Close()
	if err := NewReader().Read(raw); err == nil {
		t.Error("got no error for a closed socket")
	}
}

func TestReadAllocates(t *testing.T) {
	a, _ := loopback(t)
	rd, raw := NewReader(), rawConn(t, a)
	if n := testing.AllocsPerRun(100, func() { _ = rd.Read(raw) }); n != 0 {
		t.Errorf("got %v allocations a read, want 0", n)
	}
	if !rd.PlainTCP(raw) {
		t.Error("a TCP socket is not recognised as one")
	}
}

func BenchmarkRead(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	rd := NewReader()
	b.ReportAllocs()
	for b.Loop() {
		if err := rd.Read(raw); err != nil {
			b.Fatal(err)
		}
	}
}
