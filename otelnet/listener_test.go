package otelnet

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

func TestListenerErrors(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	ours := listen(t)
	var typedNil *net.TCPListener

	tests := []struct {
		name  string
		inner net.Listener
		opts  []ListenerOption
		want  []string
	}{
		{"nil", nil, nil, []string{"NewListener", "nil"}},
		{"nil pointer", typedNil, nil, []string{"nil"}},
		{"twice", ours, nil, []string{"already instrumented", ours.Addr().String()}},
		{"tls", tls.NewListener(plain, &tls.Config{}), nil, []string{"TLS", "tls.NewListener around"}},
		{"empty name", plain, []ListenerOption{WithName(" ")}, []string{"WithName", "empty"}},
		{"long name", plain, []ListenerOption{WithName(strings.Repeat("x", 256))}, []string{"256 bytes", "at most 255"}},
		{"name not text", plain, []ListenerOption{WithName("\xff")}, []string{"UTF-8"}},
		{"bad attribute", plain, []ListenerOption{WithAttributes(attribute.KeyValue{})}, []string{"WithAttributes"}},
		{"two at once", plain, []ListenerOption{WithName(""), WithAttributes(attribute.KeyValue{})}, []string{"WithName", "WithAttributes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := NewListener(tt.inner, tt.opts...)
			if err == nil || ln != nil {
				t.Fatalf("got %v, %v, want an error and no listener", ln, err)
			}
			for _, want := range append(tt.want, "otelnet: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

func TestListenPassesErrorsOn(t *testing.T) {
	ln := listen(t)
	if _, err := Listen("tcp", ln.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) && classify(err) != errAddrInUse {
		t.Errorf("got %v, want address in use", err)
	}
	if _, err := Listen("tcp", "127.0.0.1:0", WithName("")); err == nil {
		t.Error("a bad option: got no error")
	}
}

func TestAcceptErrorsAreCountedAndPassedOn(t *testing.T) {
	m := newMeter(t)
	tooMany := &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	inner := &oneConn{err: tooMany}
	ln, err := NewListener(inner, m.option(), WithName("front"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := ln.Accept(); err != error(tooMany) {
			t.Fatalf("accept: got %v, want the listener's own error", err)
		}
	}
	want := errnoClasses[syscall.EMFILE].String()
	if got := m.sum(metricAcceptErrors, errType(want), attribute.String("otelnet.listener", "front")); got != 3 {
		t.Errorf("accept errors of type %q: got %d, want 3", want, got)
	}

	// What the program asked for is no error.
	for _, err := range []error{net.ErrClosed, os.ErrDeadlineExceeded} {
		inner.err = err
		ln.Accept()
	}
	if got := m.sum(metricAcceptErrors); got != 3 {
		t.Errorf("accept errors after close and deadline: got %d, want 3", got)
	}
}

func TestListenerKeepsItsMethods(t *testing.T) {
	ln := listen(t)
	tl, ok := ln.(interface {
		SetDeadline(time.Time) error
		SyscallConn() (syscall.RawConn, error)
	})
	if !ok {
		t.Fatalf("%T lost the methods of *net.TCPListener", ln)
	}
	if err := tl.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("accept: got %v, want a timeout", err)
	}
}

// A service without a single connection must differ from one that is not measured.
func TestListenerShowsAtOnce(t *testing.T) {
	m := newMeter(t)
	listen(t, m.option(), WithName("front"))
	if got := len(m.attrSets(metricIO)); got != 2 {
		t.Errorf("series of %s before the first connection: got %d, want 2", metricIO, got)
	}
}

func TestAttributesOfConnections(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option(), WithName("front"), WithAttributes(attribute.String("zone", "a")))
	server, _ := pair(t, ln)
	server.Close()
	same := []attribute.KeyValue{
		attribute.String("otelnet.listener", "front"), attribute.String("network.transport", "tcp"),
		attribute.String("network.type", "ipv4"), attribute.String("zone", "a"),
	}
	for name, want := range map[string]attribute.Set{
		metricServerActive:      attribute.NewSet(same...),
		metricServerConnections: attribute.NewSet(same...),
		metricServerDuration:    attribute.NewSet(append(same, reason("local"))...),
	} {
		sets := m.attrSets(name)
		if len(sets) != 1 || sets[0] != want {
			t.Errorf("%s: got %v, want %v", name, sets, want)
		}
	}
}

// A *tls.Conn that a listener hands out must stay one: net/http asks for the type.
func TestTLSConnIsNotWrapped(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	ln, err := NewListener(&oneConn{conn: tls.Server(a, &tls.Config{})}, newMeter(t).option())
	if err != nil {
		t.Fatal(err)
	}
	handled.take()
	for range 2 {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := c.(*tls.Conn); !ok {
			t.Errorf("got a %T, want the *tls.Conn itself", c)
		}
	}
	if got := handled.take(); len(got) != 1 || !strings.Contains(got[0], "*tls.Conn") {
		t.Errorf("reported %q, want one report that names *tls.Conn", got)
	}
}
