package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// environment is what the workers of a run share.
type environment struct {
	ctx      context.Context
	program  string
	profile  string // directory; "" for none
	upstream net.Listener
	file     string
}

// What workers are told: where the upstream of the proxy listens, which file is served, where their CPU profile goes.
const (
	upstreamVar = "BENCH_UPSTREAM"
	fileVar     = "BENCH_FILE"
	profileVar  = "BENCH_PROFILE"
)

func newEnvironment(ctx context.Context, profile string) (*environment, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if profile != "" {
		if err := os.MkdirAll(profile, 0o777); err != nil {
			return nil, err
		}
	}
	upstream, err := listenEcho()
	if err != nil {
		return nil, err
	}
	file, err := makeFile()
	if err != nil {
		upstream.Close()
		return nil, err
	}
	return &environment{ctx, program, profile, upstream, file}, nil
}

func (e *environment) close() {
	e.upstream.Close()
	os.Remove(e.file)
}

// worker is the process of one subject.
type worker struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	replies *json.Decoder
	addr    string
}

// message is what parent and worker say to each other, a line each.
type message struct {
	Do     string `json:",omitempty"` // begin or end
	N      int    `json:",omitempty"`
	Addr   string `json:",omitempty"`
	Values values `json:",omitempty"`
	Err    string `json:",omitempty"`
}

// worker starts the process and waits until the subject is set up.
func (e *environment) worker(s scenario, subject string) (*worker, error) {
	cmd := exec.CommandContext(e.ctx, e.program, "-worker", s.name+"/"+subject)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", upstreamVar+"="+e.upstream.Addr().String(), fileVar+"="+e.file)
	if e.profile != "" {
		name := strings.NewReplacer(" ", "-", ",", "").Replace(s.name + "-" + subject + ".pprof")
		cmd.Env = append(cmd.Env, profileVar+"="+filepath.Join(e.profile, name))
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startPinned(cmd); err != nil {
		return nil, err
	}
	w := &worker{cmd: cmd, in: in, replies: json.NewDecoder(bufio.NewReader(out))}
	hello, err := w.reply()
	if err != nil {
		w.stop()
		return nil, err
	}
	w.addr = hello.Addr
	return w, nil
}

// stop ends the process; it leaves when its input ends.
func (w *worker) stop() {
	w.in.Close()
	_ = w.cmd.Wait()
}

func (w *worker) ask(m message) (message, error) {
	if err := json.NewEncoder(w.in).Encode(m); err != nil {
		return message{}, err
	}
	return w.reply()
}

func (w *worker) reply() (m message, err error) {
	if err := w.replies.Decode(&m); err != nil {
		return m, fmt.Errorf("the worker ended: %w", err)
	}
	if m.Err != "" {
		return m, errors.New(m.Err)
	}
	return m, nil
}

// round measures n operations.
func (w *worker) round(s scenario, n int) (values, error) {
	m, err := w.ask(message{Do: "begin", N: n})
	if err != nil || s.drive == nil {
		return m.Values, err
	}
	release, err := s.drive(w.addr, n)
	if err != nil {
		return nil, err
	}
	m, err = w.ask(message{Do: "end"})
	if release != nil {
		release()
	}
	return m.Values, err
}
