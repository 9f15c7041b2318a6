package stack

import "syscall"

// diesWithParent puts the child in a group of its own and has the kernel end it if the test binary dies without cleaning up,
// for example at go test's timeout. The signal belongs to the thread that started the child; Go keeps its threads.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
