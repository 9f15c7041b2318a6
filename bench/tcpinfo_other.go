//go:build !linux

package main

import "syscall"

// readTCPInfo has nothing to ask here.
func readTCPInfo(syscall.RawConn) error { return nil }
