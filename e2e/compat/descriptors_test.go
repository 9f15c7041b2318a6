package compat

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sys/unix"

	"github.com/otelnet/agent/otelnet"
)

const (
	queuedClients = 30
	spareFiles    = 5 // how many connections can be accepted before the process has no file descriptor left
)

// A server that runs out of file descriptors counts the accepts that fail, goes on as soon as some are free, and serves everybody
// in the end.
func TestFileDescriptorsExhausted(t *testing.T) {
	got := runHelper[exhaustedResult](t, "exhausted", nil)
	if got.AcceptErrors == 0 || got.OtherErrors != 0 {
		t.Errorf("failed accepts: got %d with too_many_open_files and %d others, want some and none", got.AcceptErrors, got.OtherErrors)
	}
	if got.AcceptedThen != spareFiles {
		t.Errorf("accepted before the first failure: got %d, want %d", got.AcceptedThen, spareFiles)
	}
	const all = queuedClients + 1 // and one that came afterwards
	if got.Answered != all || got.Accepted != all || got.Active != 0 {
		t.Errorf("got %d answered, %d accepted, %d still active, want %d, %d, 0", got.Answered, got.Accepted, got.Active, all, all)
	}
}

type exhaustedResult struct {
	AcceptErrors, OtherErrors      int64
	AcceptedThen, Accepted, Active int64
	Answered                       int
}

func init() {
	helpers["exhausted"] = func(string) error {
		m := newMeter()
		ln, err := otelnet.Listen("tcp", "127.0.0.1:0", m.option())
		if err != nil {
			return err
		}
		var clients []net.Conn
		for range queuedClients { // they wait in the accept queue
			c, err := dialAndAsk(ln.Addr().String())
			if err != nil {
				return err
			}
			clients = append(clients, c)
		}
		if err := leaveFiles(spareFiles); err != nil {
			return err
		}
		ok := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }
		srv := &http.Server{Handler: http.HandlerFunc(ok), ErrorLog: log.New(io.Discard, "", 0)}
		go srv.Serve(ln)

		tooMany := attribute.String("error.type", "too_many_open_files")
		var r exhaustedResult
		// Keep-alive holds the first connections open, so the rest cannot be accepted yet.
		if err := waitFor(func() bool { return m.total("otelnet.server.accept.errors", tooMany) > 0 }); err != nil {
			return fmt.Errorf("no failed accept: %w", err)
		}
		r.AcceptedThen = m.total("otelnet.server.connections")
		for _, c := range clients {
			if err := readAnswer(c); err != nil {
				return fmt.Errorf("client %d: %w", r.Answered, err)
			}
			r.Answered++
		}
		last, err := dialAndAsk(ln.Addr().String())
		if err != nil {
			return err
		}
		if err := readAnswer(last); err != nil {
			return fmt.Errorf("a client afterwards: %w", err)
		}
		r.Answered++
		active := func() int64 { return m.total("otelnet.server.active_connections") }
		if err := waitFor(func() bool { return active() == 0 }); err != nil {
			return fmt.Errorf("%d connections are still active: %w", active(), err)
		}
		r.AcceptErrors = m.total("otelnet.server.accept.errors", tooMany)
		r.OtherErrors = m.total("otelnet.server.accept.errors") - r.AcceptErrors
		r.Accepted = m.total("otelnet.server.connections")
		return answer(r)
	}
}

// leaveFiles uses all file descriptors up but n.
func leaveFiles(n int) error {
	const limit = 500
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	var used []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == unix.EMFILE {
			break
		}
		if err != nil {
			return err
		}
		used = append(used, fd)
	}
	if len(used) < n {
		return fmt.Errorf("more than %d files are open already", limit-n)
	}
	for _, fd := range used[:n] {
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

func dialAndAsk(addr string) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: here\r\n\r\n")
	return c, err
}

// readAnswer wants the answer and hangs up.
func readAnswer(c net.Conn) error {
	defer c.Close()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
		return fmt.Errorf("got %q, %v, want ok", body, err)
	}
	return nil
}

// waitFor waits in a helper, where there is no test.
func waitFor(ok func() bool) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return nil
		}
	}
	return fmt.Errorf("waited %s in vain", patience)
}
