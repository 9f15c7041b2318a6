package admin_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/otelnet/agent/admin"
)

func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  admin.Config
		want []string
	}{
		{"no port", admin.Config{Addr: "127.0.0.1", History: newHistory(t)}, []string{`"127.0.0.1"`, "host:port"}},
		{"all interfaces without a token", admin.Config{Addr: ":6060", History: newHistory(t)}, []string{`":6060"`, "token", "127.0.0.1"}},
		{"another machine's view without a token", admin.Config{Addr: "192.0.2.1:6060", History: newHistory(t)}, []string{"192.0.2.1", "token"}},
		{"short token", admin.Config{Addr: ":6060", Token: "short", History: newHistory(t)}, []string{"5 bytes", "at least 16"}},
		{"nothing at all", admin.Config{}, []string{"host:port", "History"}},
	} {
		_, err := admin.New(tc.cfg)
		if err == nil {
			t.Errorf("%s: got no error", tc.name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want it to say %s", tc.name, err, want)
			}
		}
	}
}

func TestStartNamesTakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s, err := admin.New(admin.Config{Addr: ln.Addr().String(), History: newHistory(t)})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Start()
	if err == nil || !strings.Contains(err.Error(), ln.Addr().String()) || !errors.Is(err, syscall.EADDRINUSE) && !isWindowsInUse(err) {
		t.Errorf("got %v, want an address-in-use error that names %s", err, ln.Addr())
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown after a failed start: %v", err)
	}
}

// isWindowsInUse knows WSAEADDRINUSE, which has a number of its own.
func isWindowsInUse(err error) bool { return errors.Is(err, syscall.Errno(10048)) }

func TestShutdownTwiceAndWithoutStart(t *testing.T) {
	s, err := admin.New(admin.Config{Addr: "127.0.0.1:0", History: newHistory(t)})
	if err != nil {
		t.Fatal(err)
	}
	if s.URL() != "" || s.Addr() != nil {
		t.Errorf("before Start: got URL %q, address %v; want neither", s.URL(), s.Addr())
	}
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestShutdownEndsStreamsAndProfiles(t *testing.T) {
	s := start(t, admin.Config{})
	open := make(chan struct{}, 2)
	for _, path := range []string{"api/stream", "debug/pprof/trace?seconds=60"} {
		go func() {
			res, err := http.Get(s.URL() + path)
			open <- struct{}{}
			if err == nil {
				defer res.Body.Close()
				_, _ = res.Body.Read(make([]byte, 1<<20))
			}
		}()
	}
	<-open // the stream answers at once; the trace may not have begun, and then it has nothing to end
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("got %v, want an orderly end", err)
	}
	<-open
}

// Browsers open connections for later; nobody waits for what may come over them.
func TestShutdownDoesNotWaitForSilentConnections(t *testing.T) {
	s := start(t, admin.Config{})
	silent, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	get(t, s, "/healthz") // which was accepted after it
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("got %v, want an orderly end; net/http by itself waits for five seconds", err)
	}
}

func TestHandlerPanicIsAnError(t *testing.T) {
	s := start(t, admin.Config{Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken scrape") })})
	res := get(t, s, "/metrics")
	if res.StatusCode != http.StatusInternalServerError || !strings.Contains(res.failure(t), "broken scrape") {
		t.Errorf("got %d %s, want 500 and the cause", res.StatusCode, res.body)
	}
	if res := get(t, s, "/healthz"); res.body != "ok\n" {
		t.Errorf("after the panic: got %q, want ok", res.body)
	}
}
