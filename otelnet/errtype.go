package otelnet

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// errorClass is a value of error.type; docs/connections.md has what each means. The set is closed, so that an error's text never
// becomes an attribute.
type errorClass uint8

const (
	errNone errorClass = iota
	errCanceled
	errDNSNotFound
	errDNSTimeout
	errDNSTemporary
	errConnRefused
	errConnReset
	errConnAborted
	errBrokenPipe
	errHostUnreachable
	errNetUnreachable
	errTCPTimeout
	errTooManyFiles
	errAddrInUse
	errAddrNotAvailable
	errNoSuchFile
	errPermission
	errClosed
	errTLSAlert
	errTLSCertificate
	errNotTLS
	errTimeout
	errEOF
	errOther
)

var errorTypes = [...]string{
	errNone:             "",
	errCanceled:         "canceled",
	errDNSNotFound:      "dns_not_found",
	errDNSTimeout:       "dns_timeout",
	errDNSTemporary:     "dns_temporary",
	errConnRefused:      "connection_refused",
	errConnReset:        "connection_reset",
	errConnAborted:      "connection_aborted",
	errBrokenPipe:       "broken_pipe",
	errHostUnreachable:  "host_unreachable",
	errNetUnreachable:   "network_unreachable",
	errTCPTimeout:       "tcp_timeout",
	errTooManyFiles:     "too_many_open_files",
	errAddrInUse:        "address_in_use",
	errAddrNotAvailable: "address_not_available",
	errNoSuchFile:       "no_such_file",
	errPermission:       "permission_denied",
	errClosed:           "closed",
	errTLSAlert:         "tls_alert",
	errTLSCertificate:   "tls_certificate",
	errNotTLS:           "not_tls",
	errTimeout:          "timeout",
	errEOF:              "eof",
	errOther:            other,
}

// String returns the value of error.type, "" for no error.
func (c errorClass) String() string { return errorTypes[c] }

// classify sorts err into a class. The order of the tests matters: an error of the resolver or the kernel often also
// says that it is a timeout, and would lose its cause.
func classify(err error) errorClass {
	if err == nil {
		return errNone
	}
	if errors.Is(err, context.Canceled) {
		return errCanceled
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		switch {
		case dns.IsNotFound:
			return errDNSNotFound
		case dns.IsTimeout:
			return errDNSTimeout
		case dns.IsTemporary:
			return errDNSTemporary
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if c, ok := errnoClasses[errno]; ok {
			return c
		}
	}
	if errors.Is(err, net.ErrClosed) {
		return errClosed
	}
	if c := classifyTLS(err); c != errNone {
		return c
	}
	var timeout net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errEOF
	default:
		return errOther
	}
}

func classifyTLS(err error) errorClass {
	var alert tls.AlertError
	var op *net.OpError
	if errors.As(err, &alert) || errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") {
		return errTLSAlert
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return errTLSCertificate
	}
	var header tls.RecordHeaderError
	if errors.As(err, &header) {
		return errNotTLS
	}
	return errNone
}
