//go:build !windows

package otelnet

import "syscall"

// errnoClasses sorts the kernel's errors.
var errnoClasses = map[syscall.Errno]errorClass{
	syscall.ECONNREFUSED:  errConnRefused,
	syscall.ECONNRESET:    errConnReset,
	syscall.ECONNABORTED:  errConnAborted,
	syscall.EPIPE:         errBrokenPipe,
	syscall.EHOSTUNREACH:  errHostUnreachable,
	syscall.ENETUNREACH:   errNetUnreachable,
	syscall.ETIMEDOUT:     errTCPTimeout,
	syscall.EMFILE:        errTooManyFiles,
	syscall.ENFILE:        errTooManyFiles,
	syscall.EADDRINUSE:    errAddrInUse,
	syscall.EADDRNOTAVAIL: errAddrNotAvailable,
	syscall.ENOENT:        errNoSuchFile,
	syscall.EACCES:        errPermission,
	syscall.EPERM:         errPermission,
}
