//go:build !windows && (!unix || solaris || illumos || aix)

package filelock

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// Try is not to be had here: the error wraps errors.ErrUnsupported.
func Try(*os.File) (bool, error) {
	return false, fmt.Errorf("lock a file on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
