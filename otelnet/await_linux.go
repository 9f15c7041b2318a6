package otelnet

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// awaitFirstByte stands before a copy that reads past the wrapper: it waits for what the copy would wait for, once in the
// life of an accepted connection, to tell when that came. It takes nothing away, neither data nor an error, and a
// deadline or the close ends it as they end the copy. Nil awaits nothing.
func (s *ConnStats) awaitFirstByte() {
	if s == nil || !s.has(flagAwaits) {
		return
	}
	c, ok := s.addrs.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	if raw.Read(readable) != nil {
		return
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	if n > 0 { // else the peer ended, or broke off
		s.noteFirstByte()
	}
}

// readable reports whether a read would return at once, also with an error.
func readable(fd uintptr) bool {
	ask := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	for {
		n, err := unix.Poll(ask, 0)
		if err != unix.EINTR {
			return n != 0 || err != nil
		}
	}
}
