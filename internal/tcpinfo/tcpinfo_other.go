//go:build !(linux || darwin) || 386 || s390x

package tcpinfo

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

var errPlatform = fmt.Errorf("tcpinfo: nothing to ask on %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)

// What the kernel's answer has: there is none.
const (
	CountsBytes = false
	TellsTimes  = false
)

// Reader reads sockets one after another. On this platform it has nothing to read.
type Reader struct {
	Info Info // always zero
}

// NewReader returns a Reader.
func NewReader() *Reader { return new(Reader) }

// Read returns an error that wraps errors.ErrUnsupported.
func (r *Reader) Read(syscall.RawConn) error { return errPlatform }

// ReadOnce returns an error that wraps errors.ErrUnsupported.
func (r *Reader) ReadOnce(syscall.RawConn) error { return errPlatform }

// Unread returns an error that wraps errors.ErrUnsupported.
func (r *Reader) Unread(syscall.RawConn) (uint64, error) { return 0, errPlatform }

// PendingError returns nil.
func (r *Reader) PendingError(syscall.RawConn) error { return nil }

// PlainTCP returns false.
func (r *Reader) PlainTCP(syscall.RawConn) bool { return false }
