//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package procself

import (
	"time"

	"golang.org/x/sys/unix"
)

// rusage keeps its answers: on 386 and arm64 package unix lets a limit escape, which would be an allocation.
type rusage struct {
	answer unix.Rusage
	limit  unix.Rlimit
}

func (r *rusage) cpu() (user, system time.Duration, ok bool) {
	if unix.Getrusage(unix.RUSAGE_SELF, &r.answer) != nil {
		return 0, 0, false
	}
	return time.Duration(r.answer.Utime.Nano()), time.Duration(r.answer.Stime.Nano()), true
}

// unlimited and above is RLIM_INFINITY, which is all ones on some systems and the highest positive number on others.
const unlimited = 1 << 62

func (r *rusage) fileLimit() (int64, bool) {
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r.limit) != nil || uint64(r.limit.Cur) >= unlimited {
		return 0, false
	}
	return int64(r.limit.Cur), true
}
