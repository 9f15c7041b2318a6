//go:build unix

package main

import (
	"net"
	"syscall"
)

// shortenQueue sets how many connections wait to be accepted: listen(2) may be called again. Where that is not so, the queue
// stays as long as it was, which does no harm.
func shortenQueue(ln net.Listener, n int) {
	if tcp, ok := ln.(*net.TCPListener); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), n) })
		}
	}
}
