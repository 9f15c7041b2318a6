package stack

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// pollEvery is the pause between two looks at a condition.
const pollEvery = 100 * time.Millisecond

// Until calls check until it returns nil, and fails the test with its last error after the deadline.
func Until(tb testing.TB, within time.Duration, what string, check func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), within)
	defer cancel()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if last == nil || ctx.Err() == nil {
			last = err // the error of a call that the deadline cut short says less than the one before
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("%s: not within %s: %v", what, within, last)
		case <-time.After(pollEvery):
		}
	}
}

// Get returns the body of a page that answered 200.
func Get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.300s", url, resp.Status, body)
	}
	return body, nil
}

// ready waits until url answers 200, or fails as soon as the process has ended.
func (p *Process) ready(tb testing.TB, client *http.Client, url string) {
	tb.Helper()
	Until(tb, 30*time.Second, p.name+" ready", func(ctx context.Context) error {
		if err := p.alive(); err != nil {
			tb.Fatal(err)
		}
		_, err := Get(ctx, client, url)
		return err
	})
}

// givenAddrs holds the addresses that FreeAddr has returned in this process.
var givenAddrs sync.Map

// FreeAddr returns a loopback address that nothing listened on a moment ago. The same one can be given to a program again when
// it is restarted. TCP and UDP are both free there.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		// Below the ports that the kernel gives to outgoing connections: one of those would take the address before the program does.
		addr := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(17000))
		if _, given := givenAddrs.LoadOrStore(addr, true); given {
			continue
		}
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", addr)
		tcp.Close()
		if err != nil {
			continue
		}
		udp.Close()
		return addr
	}
	tb.Fatal("no port is free for both TCP and UDP")
	return ""
}

// Program finds an executable, or fails the test with the line that installs it.
func Program(tb testing.TB, name, debianPackage string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Fatalf("%v; it is in Debian's package %s:\n\tapt-get install --no-install-recommends %s", err, debianPackage, debianPackage)
	}
	return path
}
