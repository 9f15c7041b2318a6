package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// readTCPInfo asks for the kernel's counters of a socket, as x/sys does it.
func readTCPInfo(raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		_, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil {
		return err
	}
	return failed
}
