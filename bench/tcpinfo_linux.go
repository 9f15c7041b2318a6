//go:build linux && !386 && !s390x

package main

import (
	"os"
	"syscall"
	"unsafe"
)

// tcpInfoReader asks for the kernel's counters of sockets as cheaply as a program can that keeps the socket from being
// closed meanwhile: nothing is allocated, and nobody looks at the answer.
type tcpInfoReader struct {
	get   func(fd uintptr)
	buf   [256]byte
	n     uint32
	errno syscall.Errno
}

func newTCPInfoReader() *tcpInfoReader {
	r := new(tcpInfoReader)
	r.get = func(fd uintptr) {
		r.n = uint32(len(r.buf))
		_, _, r.errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&r.buf)), uintptr(unsafe.Pointer(&r.n)), 0)
	}
	return r
}

func (r *tcpInfoReader) read(raw syscall.RawConn) error {
	if err := raw.Control(r.get); err != nil {
		return err
	}
	if r.errno != 0 {
		return os.NewSyscallError("getsockopt", r.errno)
	}
	return nil
}
