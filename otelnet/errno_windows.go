package otelnet

import "syscall"

// errnoClasses sorts the errors of Winsock, which have numbers of their own.
var errnoClasses = map[syscall.Errno]errorClass{
	10061: errConnRefused,      // WSAECONNREFUSED
	10054: errConnReset,        // WSAECONNRESET
	10053: errConnAborted,      // WSAECONNABORTED
	10058: errBrokenPipe,       // WSAESHUTDOWN
	10065: errHostUnreachable,  // WSAEHOSTUNREACH
	10051: errNetUnreachable,   // WSAENETUNREACH
	10060: errTCPTimeout,       // WSAETIMEDOUT
	10024: errTooManyFiles,     // WSAEMFILE
	10048: errAddrInUse,        // WSAEADDRINUSE
	10049: errAddrNotAvailable, // WSAEADDRNOTAVAIL
	10013: errPermission,       // WSAEACCES

	syscall.ERROR_BROKEN_PIPE:     errBrokenPipe,
	syscall.ERROR_NETNAME_DELETED: errConnReset,
	syscall.ERROR_FILE_NOT_FOUND:  errNoSuchFile,
	syscall.ERROR_PATH_NOT_FOUND:  errNoSuchFile,
	syscall.ERROR_ACCESS_DENIED:   errPermission,
	4:                             errTooManyFiles, // ERROR_TOO_MANY_OPEN_FILES
}
