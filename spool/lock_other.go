//go:build !windows && (!unix || solaris || illumos || aix)

package spool

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func lock(*os.File) (bool, error) {
	return false, fmt.Errorf("lock a file on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
