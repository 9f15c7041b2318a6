package tcpinfo

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the kernel's answer has. Of the send buffer it tells the whole length, with what is in flight, so that what the
// program has written does not follow from what was sent.
const (
	CountsBytes = false
	TellsTimes  = false
)

// Reader reads sockets one after another. It must not be copied or used by two goroutines at once.
type Reader struct {
	Info Info // what the last successful Read found
}

// NewReader returns a Reader to be reused for many sockets.
func NewReader() *Reader { return new(Reader) }

// Read asks the kernel about the socket and fills r.Info. It fails once the socket is closed, and where it is none of a
// connection.
func (r *Reader) Read(rc syscall.RawConn) error {
	var (
		got *unix.TCPConnectionInfo
		err error
	)
	if e := rc.Control(func(fd uintptr) {
		got, err = unix.GetsockoptTCPConnectionInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_CONNECTION_INFO)
	}); e != nil {
		return e
	}
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	a := xnuAnswer{
		state:               got.State,
		srtt:                got.Srtt,
		txPackets:           got.Txpackets,
		rxPackets:           got.Rxpackets,
		txRetransmitPackets: got.Txretransmitpackets,
	}
	return a.fill(&r.Info)
}

// ReadOnce is Read.
func (r *Reader) ReadOnce(rc syscall.RawConn) error { return r.Read(rc) }

// Unread returns how many bytes have come that the program has not read (SO_NREAD).
func (r *Reader) Unread(rc syscall.RawConn) (uint64, error) {
	var (
		n   int
		err error
	)
	if e := rc.Control(func(fd uintptr) { n, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NREAD) }); e != nil {
		return 0, e
	}
	if err != nil {
		return 0, os.NewSyscallError("getsockopt", err)
	}
	return uint64(max(n, 0)), nil
}

// PendingError returns nil: without the state there is no knowing when the error may be taken.
func (r *Reader) PendingError(syscall.RawConn) error { return nil }

// PlainTCP returns true: package net speaks no Multipath TCP here.
func (r *Reader) PlainTCP(syscall.RawConn) bool { return true }
