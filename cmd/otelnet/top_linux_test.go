package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otelnet/agent/otelnet"
)

// terminal is both ends of a pseudo-terminal, and what has been written to it.
type terminal struct {
	master, slave *os.File
	mu            sync.Mutex
	written       strings.Builder
	more          chan struct{}
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	tty := &terminal{master: master, slave: slave, more: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			tty.mu.Lock()
			tty.written.Write(buf[:n])
			tty.mu.Unlock()
			select {
			case tty.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_, _ = master.WriteString("x\n") // so that the reader of keys ends
		slave.Close()
		<-ended // the read fails once nobody has the other end open
		master.Close()
	})
	tty.resize(t, 100, 24)
	return tty
}

func (tty *terminal) resize(t *testing.T, width, height uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(tty.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		t.Fatal(err)
	}
}

// until waits for text, forgets what came up to it, and returns that.
func (tty *terminal) until(t *testing.T, text string) string {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		tty.mu.Lock()
		all := tty.written.String()
		if i := strings.Index(all, text); i >= 0 {
			tty.written.Reset()
			tty.written.WriteString(all[i+len(text):])
			tty.mu.Unlock()
			return all[:i+len(text)]
		}
		tty.mu.Unlock()
		select {
		case <-tty.more:
		case <-deadline:
			t.Fatalf("%q was not written; the last was %q", text, all[max(0, len(all)-2000):])
		}
	}
}

func (tty *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(tty.master, keys); err != nil {
		t.Fatal(err)
	}
}

func TestTopOnATerminal(t *testing.T) {
	base, err := url.Parse(shop(t))
	if err != nil {
		t.Fatal(err)
	}
	tty := openTerminal(t)
	before, err := unix.IoctlGetTermios(int(tty.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	set := topSettings{base: base, every: 200 * time.Millisecond, filter: otelnet.Filter{Sort: "id", State: "open", Limit: 100}}
	client := &topClient{base: base}
	first, err := client.fetch(t.Context(), set.filter)
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- watch(t.Context(), client, set, first, tty.slave, tty.slave) }()

	tty.until(t, "ID^") // ascending, as asked
	tty.press(t, "r")
	tty.until(t, "IDv")
	tty.until(t, "10.0.0.3:50000") // the server has answered in the other order: 3 comes before 1
	tty.press(t, "\x1b[C")
	tty.until(t, "PEER^")
	tty.press(t, "/xy\x7f")
	tty.until(t, "filter: x_")
	tty.press(t, "\r")
	tty.until(t, `open "x"`)
	tty.press(t, " ")
	tty.until(t, "[paused]")
	tty.press(t, " ")

	tty.resize(t, 40, 8)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	tty.until(t, "column  r~") // the line of keys, cut to the new width
	tty.until(t, "\x1b[J")
	frame := tty.until(t, "\x1b[J")
	plain := regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`).ReplaceAllString(frame, "")
	lines := strings.Split(plain, "\r\n")
	if len(lines) != 8 {
		t.Errorf("after a resize to 8 lines, %d are drawn:\n%s", len(lines), plain)
	}
	for _, l := range lines {
		if len([]rune(l)) > 40 {
			t.Errorf("after a resize to 40 columns: %q", l)
		}
	}

	tty.press(t, "q")
	tty.until(t, "\x1b[?25h\x1b[?1049l") // the cursor and the old screen are back
	select {
	case err := <-result:
		if err != nil {
			t.Errorf("top ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("top goes on after q")
	}
	after, err := unix.IoctlGetTermios(int(tty.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("the terminal was left as %+v, want %+v", *after, *before)
	}
	client.http.CloseIdleConnections()
}
