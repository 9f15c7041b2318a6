package compat

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// redisServer is a real one, which counts for itself what it reads and writes.
type redisServer struct {
	addr string
	ctl  net.Conn // a bare connection for questions; its own bytes are known
	r    *bufio.Reader

	asked, answered int64 // bytes that went over ctl
}

// startRedis starts an empty server that keeps nothing on disk.
func startRedis(t *testing.T) *redisServer {
	t.Helper()
	dir := stack.Dir(t)
	s := &redisServer{addr: stack.FreeAddr(t)}
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	process := stack.Start(t, stack.Command{
		Name: "redis", Path: stack.Program(t, "redis-server", "redis-server"), Dir: dir,
		Args: []string{"--bind", host, "--port", port, "--dir", dir, "--save", "", "--appendonly", "no"},
	})
	stack.Until(t, patience, "Redis listens", func(context.Context) (err error) {
		if process.Exited() {
			t.Fatalf("Redis has ended:\n%s", process.Log(t))
		}
		s.ctl, err = net.Dial("tcp", s.addr)
		return err
	})
	t.Cleanup(func() { s.ctl.Close() })
	s.r = bufio.NewReader(s.ctl)
	return s
}

// ask sends one command and returns the answer, a bulk string or one line.
func (s *redisServer) ask(command string) (string, error) {
	n, err := io.WriteString(s.ctl, command+"\r\n")
	s.asked += int64(n)
	if err != nil {
		return "", err
	}
	line, err := s.r.ReadString('\n')
	s.answered += int64(len(line))
	if err != nil || !strings.HasPrefix(line, "$") {
		return strings.TrimSpace(line), err
	}
	size, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil {
		return "", err
	}
	body := make([]byte, size+len("\r\n"))
	n, err = io.ReadFull(s.r, body)
	s.answered += int64(n)
	return string(body[:size]), err
}

// info returns one number of INFO.
func (s *redisServer) info(section, field string) (int64, error) {
	text, err := s.ask("INFO " + section)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("INFO %s has no %s:\n%s", section, field, text)
}

// clients is what Redis says that all others than ctl have sent and received. The question is in its count already, the answer
// not yet.
func (s *redisServer) clients() (flow, error) {
	answered := s.answered
	output, err := s.info("stats", "total_net_output_bytes")
	if err != nil {
		return flow{}, err
	}
	input, err := s.info("stats", "total_net_input_bytes")
	if err != nil {
		return flow{}, err
	}
	return flow{Sent: input - s.asked, Received: output - answered}, nil
}
