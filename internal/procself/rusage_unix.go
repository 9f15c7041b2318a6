//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package procself

import (
	"time"

	"golang.org/x/sys/unix"
)

type rusage struct{ answer unix.Rusage }

func (r *rusage) cpu() (user, system time.Duration, ok bool) {
	if unix.Getrusage(unix.RUSAGE_SELF, &r.answer) != nil {
		return 0, 0, false
	}
	return time.Duration(r.answer.Utime.Nano()), time.Duration(r.answer.Stime.Nano()), true
}

// unlimited and above is RLIM_INFINITY, which is all ones on some systems and the highest positive number on others.
const unlimited = 1 << 62

func fileLimit() (int64, bool) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) >= unlimited {
		return 0, false
	}
	return int64(limit.Cur), true
}
