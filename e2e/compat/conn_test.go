package compat

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otelnet/agent/otelnet"
)

// pipe is an accepted connection and its bare other end.
func pipe(t *testing.T, m *meter, network, address string) (ours, bare net.Conn) {
	t.Helper()
	ln, err := otelnet.Listen(network, address, m.option(), otelnet.WithName(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	bare, err = net.Dial(network, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bare.Close() })
	ours, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	for _, c := range []net.Conn{ours, bare} {
		c.SetDeadline(time.Now().Add(patience))
	}
	return ours, bare
}

// A file descriptor that travels over a Unix socket of ours arrives and works, in both directions; the message around it counts.
func TestFileDescriptorsPass(t *testing.T) {
	m := newMeter()
	ours, bare := pipe(t, m, "unix", filepath.Join(t.TempDir(), "socket"))
	passFile(t, bare.(messenger), ours.(messenger), "a file for us")
	passFile(t, ours.(messenger), bare.(messenger), "one for the peer")
	want := flow{Sent: int64(len("one for the peer")), Received: int64(len("a file for us"))}
	if got := m.flow(otelnet.SideServer); got != want {
		t.Errorf("bytes: got %+v, want %+v", got, want)
	}
}

// messenger is the part of *net.UnixConn that carries file descriptors.
type messenger interface {
	ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error)
	WriteMsgUnix(b, oob []byte, addr *net.UnixAddr) (n, oobn int, err error)
}

// passFile sends an open file along with the message, and reads through the descriptor that arrives.
func passFile(t *testing.T, from, to messenger, message string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(message), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, _, err := from.WriteMsgUnix([]byte(message), unix.UnixRights(int(file.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	b, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := to.ReadMsgUnix(b, oob)
	if err != nil || string(b[:n]) != message {
		t.Fatalf("message: got %q, %v, want %q", b[:n], err, message)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		t.Fatalf("control messages: got %d, %v, want 1", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("file descriptors: got %v, %v, want one", fds, err)
	}
	arrived := os.NewFile(uintptr(fds[0]), "arrived")
	defer arrived.Close()
	if got, err := io.ReadAll(arrived); err != nil || string(got) != message {
		t.Errorf("file that arrived: got %q, %v, want %q", got, err, message)
	}
}

// A connection ends one direction at a time, as the bare one does.
func TestHalfClose(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "socket")} {
		t.Run(network, func(t *testing.T) {
			m := newMeter()
			ours, bare := pipe(t, m, network, address)
			half := ours.(interface {
				CloseRead() error
				CloseWrite() error
			})
			if _, err := ours.Write([]byte("last words")); err != nil {
				t.Fatal(err)
			}
			if err := half.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(bare); err != nil || string(got) != "last words" {
				t.Errorf("peer: got %q, %v, want %q and the end", got, err, "last words")
			}
			if _, err := bare.Write([]byte("an answer")); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, len("an answer"))
			if _, err := io.ReadFull(ours, b); err != nil || string(b) != "an answer" {
				t.Errorf("after CloseWrite: got %q, %v, want %q", b, err, "an answer")
			}
			if got, want := m.flow(otelnet.SideServer), (flow{Sent: 10, Received: 9}); got != want {
				t.Errorf("bytes: got %+v, want %+v", got, want)
			}
			if err := half.CloseRead(); err != nil {
				t.Fatal(err)
			}
			if n, err := ours.Read(b); n != 0 || err != io.EOF {
				t.Errorf("read after CloseRead: got %d, %v, want EOF", n, err)
			}
		})
	}
}

// Options set before the wrapping, and after it, are the kernel's.
func TestKeepAliveReachesTheSocket(t *testing.T) {
	ours, _ := pipe(t, newMeter(), "tcp", "127.0.0.1:0")
	if got := getsockopt(t, ours, unix.SOL_SOCKET, unix.SO_KEEPALIVE); got != 1 {
		t.Errorf("SO_KEEPALIVE: got %d, want 1, as package net sets it at accept", got)
	}
	config := net.KeepAliveConfig{Enable: true, Idle: 41 * time.Second, Interval: 43 * time.Second, Count: 7}
	if err := ours.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	}).SetKeepAliveConfig(config); err != nil {
		t.Fatal(err)
	}
	for option, want := range map[int]int{unix.TCP_KEEPIDLE: 41, unix.TCP_KEEPINTVL: 43, unix.TCP_KEEPCNT: 7} {
		if got := getsockopt(t, ours, unix.IPPROTO_TCP, option); got != want {
			t.Errorf("option %d: got %d, want %d", option, got, want)
		}
	}
}

// A deadline ends a read with the error of package net, and the connection goes on when it is lifted.
func TestDeadlines(t *testing.T) {
	m := newMeter()
	ours, bare := pipe(t, m, "tcp", "127.0.0.1:0")
	ours.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := ours.Read(make([]byte, 1))
	var netErr net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &netErr) || !netErr.Timeout() {
		t.Errorf("read past its deadline: got %v, want a timeout, os.ErrDeadlineExceeded", err)
	}
	ours.SetReadDeadline(time.Now().Add(patience))
	if _, err := bare.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read with a new deadline: got %d, %v, want 1 byte", n, err)
	}
	bare.Close()
	if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the peer's close: got %v, want EOF", err)
	}
	ours.Close()
	if rows := connections(t, "closed", ours.RemoteAddr().String()); len(rows) != 1 || rows[0].CloseReason != "remote" || rows[0].ReceivedBytes != 1 {
		t.Errorf("closed connections: got %+v, want one, ended by the peer after 1 byte", rows)
	}
}
