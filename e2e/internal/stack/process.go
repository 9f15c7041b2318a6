package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// stopGrace is how long a process may take to end after SIGTERM before its group is killed.
const stopGrace = 15 * time.Second

// Command says how to start a program.
type Command struct {
	Name string   // for messages and the log's file name
	Path string   // of the executable
	Args []string // without the program's name
	Env  []string // added to a small clean environment, KEY=VALUE
	Dir  string   // where its log goes, and its working directory
	User string   // whom it runs as, for a program that refuses to be root; "" or, unless the test is root, whoever runs the test
}

// Process is a running child. It is ended by the test's cleanup, by Stop or by Kill, whichever comes first.
type Process struct {
	name    string
	logPath string
	cmd     *exec.Cmd
	done    chan struct{} // closed when the child has been waited for
	err     error         // of Wait; read after done
}

// Start starts the program, appending both its outputs to Dir/Name.log, so that a restart's lines follow the first run's.
func Start(tb testing.TB, c Command) *Process {
	tb.Helper()
	logPath := filepath.Join(c.Dir, c.Name+".log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		tb.Fatalf("%s: %v", c.Name, err)
	}
	defer log.Close() // the child has its own copy

	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir = c.Dir
	// A clean environment: OTEL_* of the person who runs the tests must not reach the programs under test.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, "TMPDIR=" + os.TempDir()}, c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = diesWithParent()
	if c.User != "" && os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{}
		cmd.SysProcAttr.Credential.Uid, cmd.SysProcAttr.Credential.Gid = Account(tb, c.User)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("%s: %v", c.Name, err)
	}
	p := &Process{name: c.Name, logPath: logPath, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(func() { p.Stop(tb) })
	return p
}

// PID is the process' number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the process to end and waits for it; it fails the test if it does not end by itself in time.
func (p *Process) Stop(tb testing.TB) {
	tb.Helper()
	if p.Exited() {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Errorf("%s: SIGTERM: %v", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(stopGrace):
		p.Kill()
		tb.Errorf("%s: still running %s after SIGTERM, killed", p.name, stopGrace)
	}
}

// Kill ends the process's whole group with SIGKILL, as a power cut would, and waits.
func (p *Process) Kill() {
	// The group, because influxd and others may have children; its id is the child's own.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// Exited says whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait returns the process's exit status, or fails the test if it has not ended by then.
func (p *Process) Wait(tb testing.TB, within time.Duration) int {
	tb.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		tb.Fatalf("%s: still running after %s", p.name, within)
		return -1
	}
}

// Log returns all that the process, and those of the same name before it, have printed.
func (p *Process) Log(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		tb.Fatalf("%s: %v", p.name, err)
	}
	return string(text)
}

// alive is nil while the process runs; a program that ended while a test waits for it is the better message.
func (p *Process) alive() error {
	if !p.Exited() {
		return nil
	}
	return fmt.Errorf("%s ended: %v; its log is %s", p.name, p.err, p.logPath)
}
