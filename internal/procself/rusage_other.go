//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package procself

import "time"

type rusage struct{}

func (*rusage) cpu() (user, system time.Duration, ok bool) { return 0, 0, false }

func (*rusage) fileLimit() (int64, bool) { return 0, false }
