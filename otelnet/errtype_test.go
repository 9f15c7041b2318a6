package otelnet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// dial returns the error of a dial that must fail.
func dialError(t *testing.T, ctx context.Context, d net.Dialer, address string) error {
	t.Helper()
	c, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		c.Close()
		t.Fatalf("dialling %s did not fail", address)
	}
	return err
}

// nameServer returns a resolver whose server answers every question with this code. A slow one answers only when the
// test is over, so that nothing of package net waits any longer.
func nameServer(t *testing.T, code dnsmessage.RCode, slow bool) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over, done := make(chan struct{}), make(chan struct{})
	var answers sync.WaitGroup
	t.Cleanup(func() {
		close(over)
		pc.SetReadDeadline(time.Unix(1, 0))
		<-done
		answers.Wait()
		pc.Close()
	})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil {
				continue
			}
			m.Header.Response, m.Header.RCode = true, code
			m.Additionals = nil
			out, err := m.Pack()
			if err != nil {
				continue
			}
			answers.Go(func() {
				if slow {
					<-over
				}
				pc.WriteTo(out, from)
			})
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// closedPort returns an address that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestErrorTypesOfRealErrors(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	tests := map[string]func(t *testing.T) error{
		"connection_refused": func(t *testing.T) error {
			return dialError(t, context.Background(), net.Dialer{}, closedPort(t))
		},
		"canceled": func(t *testing.T) error {
			return dialError(t, canceled, net.Dialer{}, "127.0.0.1:1")
		},
		"dns_not_found": func(t *testing.T) error {
			d := net.Dialer{Resolver: nameServer(t, dnsmessage.RCodeNameError, false)}
			return dialError(t, context.Background(), d, "nowhere.test.:80")
		},
		"dns_temporary": func(t *testing.T) error {
			d := net.Dialer{Resolver: nameServer(t, dnsmessage.RCodeServerFailure, false)}
			return dialError(t, context.Background(), d, "nowhere.test.:80")
		},
		"dns_timeout": func(t *testing.T) error {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
			defer cancel()
			d := net.Dialer{Resolver: nameServer(t, dnsmessage.RCodeNameError, true)}
			return dialError(t, ctx, d, "nowhere.test.:80")
		},
		"timeout": func(t *testing.T) error {
			a, b := net.Pipe()
			defer a.Close()
			defer b.Close()
			a.SetReadDeadline(time.Now().Add(-time.Second))
			_, err := a.Read(make([]byte, 1))
			return err
		},
		"closed": func(t *testing.T) error {
			c, _ := tcpPair(t)
			c.Close()
			_, err := c.Write([]byte{1})
			return err
		},
		"eof": func(t *testing.T) error {
			a, b := tcpPair(t)
			b.Close()
			_, err := a.Read(make([]byte, 1))
			return err
		},
		"connection_reset": func(t *testing.T) error {
			a, b := tcpPair(t)
			b.SetLinger(0)
			b.Close()
			_, err := a.Read(make([]byte, 1))
			return err
		},
		"broken_pipe": func(t *testing.T) error {
			a, _ := tcpPair(t)
			a.CloseWrite()
			_, err := a.Write([]byte{1})
			return err
		},
		"address_in_use": func(t *testing.T) error {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			_, err = net.Listen("tcp", ln.Addr().String())
			return err
		},
		"no_such_file": func(t *testing.T) error {
			_, err := net.Dial("unix", filepath.Join(t.TempDir(), "missing"))
			return err
		},
		"not_tls": func(t *testing.T) error {
			srv := httptest.NewServer(http.NotFoundHandler())
			defer srv.Close()
			_, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{ServerName: "x"})
			return err
		},
		"tls_certificate": func(t *testing.T) error {
			srv := quietTLSServer()
			defer srv.Close()
			_, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{ServerName: "example.com"})
			return err
		},
		"tls_alert": func(t *testing.T) error {
			srv := quietTLSServer()
			defer srv.Close()
			_, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{
				ServerName: "example.com", InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10,
			})
			return err
		},
	}
	for want, provoke := range tests {
		t.Run(want, func(t *testing.T) {
			err := provoke(t)
			if got := classify(err).String(); got != want {
				t.Errorf("got %q, want %q, for %v (%T)", got, want, err, err)
			}
			if got := classify(fmt.Errorf("checkout: %w", err)).String(); got != want {
				t.Errorf("wrapped: got %q, want %q", got, want)
			}
		})
	}
}

func TestErrorTypesThatAreHardToProvoke(t *testing.T) {
	opError := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	tests := []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("something else"), "_OTHER"},
		{context.DeadlineExceeded, "timeout"},
		{io.ErrUnexpectedEOF, "eof"},
		{&net.DNSError{IsNotFound: true, IsTimeout: true}, "dns_not_found"},
		{&net.DNSError{}, "_OTHER"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{UnwrapErr: context.Canceled}}, "canceled"},
		{opError(syscall.EINVAL), "_OTHER"},
	}
	for errno, class := range errnoClasses {
		tests = append(tests, struct {
			err  error
			want string
		}{opError(errno), class.String()})
	}
	for _, tt := range tests {
		if got := classify(tt.err).String(); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestErrorTypesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/connections.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Errors\n")
	section, _, _ = strings.Cut(section, "\n## ")
	got := map[string]bool{"": true}
	for row := range strings.Lines(section) {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			for _, m := range regexp.MustCompile("`([a-z_A-Z]+)`").FindAllStringSubmatch(cells[1], -1) {
				got[m[1]] = true
			}
		}
	}
	want := map[string]bool{}
	for _, name := range errorTypes {
		want[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/connections.md (-recorded +documented):\n%s", diff)
	}
}

// tcpPair returns the two ends of a bare connection.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	server, client := pair(t, ln)
	return server.(*net.TCPConn), client.(*net.TCPConn)
}
