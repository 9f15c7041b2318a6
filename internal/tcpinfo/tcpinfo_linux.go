//go:build linux && !386 && !s390x

package tcpinfo

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	soProtocol    = 0x26 // SO_PROTOCOL; package syscall lacks it
	ipprotoTCP    = 6
	tcpInfoOption = 11 // TCP_INFO
	siocInq       = 0x541B
)

// What the kernel's answer has.
const (
	CountsBytes = true // SentBytes, ReceivedBytes, NotSentBytes and the state they depend on
	TellsTimes  = true // times since something happened, and in which something held data back
)

// Reader reads sockets one after another without allocating. It must not be copied or used by two goroutines at once.
type Reader struct {
	Info Info // what the last Read found

	errno  syscall.Errno
	option int
	level  int
	buf    [bufLen]byte
	n      uint32
	inq    int32
	get    func(fd uintptr) // bound once: a closure made for each call would be an allocation
	count  func(fd uintptr)
	kind   func(fd uintptr)
}

// NewReader returns a Reader to be reused for many sockets.
func NewReader() *Reader {
	r := new(Reader)
	r.get, r.count, r.kind = r.getsockopt, r.countUnread, r.getProtocol
	return r
}

func (r *Reader) getsockopt(fd uintptr) {
	// A plain Syscall, not a raw one: the kernel takes the socket's lock, and may wait for it.
	_, _, r.errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, uintptr(r.level), uintptr(r.option),
		uintptr(unsafe.Pointer(&r.buf[0])), uintptr(unsafe.Pointer(&r.n)), 0)
	runtime.KeepAlive(r)
}

// getProtocol is a raw system call: the kernel knows this answer without a lock.
func (r *Reader) getProtocol(fd uintptr) {
	r.n = 4
	_, _, r.errno = syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soProtocol,
		uintptr(unsafe.Pointer(&r.buf[0])), uintptr(unsafe.Pointer(&r.n)), 0)
	runtime.KeepAlive(r)
}

func (r *Reader) countUnread(fd uintptr) {
	_, _, r.errno = syscall.Syscall(syscall.SYS_IOCTL, fd, siocInq, uintptr(unsafe.Pointer(&r.inq)))
	runtime.KeepAlive(r)
}

func (r *Reader) ask(rc syscall.RawConn, level, option int, size uint32) error {
	r.level, r.option, r.n = level, option, size
	if err := rc.Control(r.get); err != nil {
		return err
	}
	if r.errno != 0 {
		return os.NewSyscallError("getsockopt", r.errno)
	}
	return nil
}

// Read asks the kernel about the socket and fills r.Info. It fails once the socket is closed.
func (r *Reader) Read(rc syscall.RawConn) error {
	if err := r.read(rc); err != nil {
		return err
	}
	// Counts are known to belong to their state when the next answer begins with the same one. Few sockets need it: in
	// a sweep only those that the peer has spoken to in the last moment.
	for range 3 {
		if !r.Info.unsettled() {
			break
		}
		settled := r.Info
		if err := r.read(rc); err != nil || r.Info.State == settled.State {
			r.Info = settled
			break
		}
	}
	return nil
}

// ReadOnce is Read for those who do not ask for byte counts: these may include a FIN that has just come.
func (r *Reader) ReadOnce(rc syscall.RawConn) error { return r.read(rc) }

func (r *Reader) read(rc syscall.RawConn) error {
	if err := r.ask(rc, syscall.IPPROTO_TCP, tcpInfoOption, bufLen); err != nil {
		return err
	}
	return r.Info.decode(r.buf[:r.n])
}

// Unread returns how many bytes have come that the program has not read (SIOCINQ).
func (r *Reader) Unread(rc syscall.RawConn) (uint64, error) {
	if err := rc.Control(r.count); err != nil {
		return 0, err
	}
	if r.errno != 0 {
		return 0, os.NewSyscallError("ioctl", r.errno)
	}
	return uint64(max(r.inq, 0)), nil
}

// PendingError returns and clears the socket's pending error (SO_ERROR), nil if there is none. Clear it only on a
// socket that is about to be closed, or the program never sees the error.
func (r *Reader) PendingError(rc syscall.RawConn) error {
	if err := r.ask(rc, syscall.SOL_SOCKET, syscall.SO_ERROR, 4); err != nil {
		return err
	}
	if v := *(*int32)(unsafe.Pointer(&r.buf[0])); v != 0 {
		return syscall.Errno(v)
	}
	return nil
}

// PlainTCP reports whether the socket is ordinary TCP. A Multipath TCP socket answers TCP_INFO for its first subflow
// alone, so its counts cannot be used.
func (r *Reader) PlainTCP(rc syscall.RawConn) bool {
	if rc.Control(r.kind) != nil || r.errno != 0 {
		return false
	}
	return *(*int32)(unsafe.Pointer(&r.buf[0])) == ipprotoTCP
}
