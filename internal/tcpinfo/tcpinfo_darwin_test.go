package tcpinfo

import (
	"io"
	"net"
	"syscall"
	"testing"
)

func TestReadOfAConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := a.Write(make([]byte, 12_345)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(b, make([]byte, 12_000)); err != nil {
		t.Fatal(err)
	}
	raw := func(c syscall.Conn) syscall.RawConn {
		r, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	rd, sender, receiver := NewReader(), raw(a.(*net.TCPConn)), raw(b.(*net.TCPConn))
	if err := rd.Read(sender); err != nil {
		t.Fatal(err)
	}
	if rd.Info.SegmentsOut == 0 {
		t.Errorf("12,345 bytes have come, and the sender's answer is %+v", rd.Info)
	}
	if err := rd.Read(receiver); err != nil {
		t.Fatal(err)
	}
	if rd.Info.SegmentsIn == 0 {
		t.Errorf("12,345 bytes have come, and the receiver's answer is %+v", rd.Info)
	}
	// The last of them may not have come yet.
	if n, err := rd.Unread(receiver); err != nil || n > 345 {
		t.Errorf("unread: got %d, %v, want at most 345", n, err)
	}
	if err := rd.Read(raw(ln.(*net.TCPListener))); err == nil {
		t.Error("a listening socket: got no error")
	}
	b.Close()
	if err := rd.Read(receiver); err == nil {
		t.Error("a closed socket: got no error")
	}
}
