package otelnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"sync"
	"syscall"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
)

// Listen is net.Listen with every accepted connection counted. See [NewListener].
func Listen(network, address string, opts ...ListenerOption) (net.Listener, error) {
	// Options are looked at first, so that a bad one does not leave a socket behind.
	c, err := listenerConfig("Listen", opts)
	if err != nil {
		return nil, err
	}
	inner, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return newListener(inner, c), nil
}

// NewListener returns inner with every accepted connection counted. The result has the methods of *net.TCPListener or
// *net.UnixListener if inner is one.
//
// For TLS, wrap the plain listener and put tls.NewListener, or the server's ServeTLS, around the result: net/http needs
// the *tls.Conn itself. A TLS listener, nil, and a listener that is already instrumented are errors.
//
// Accept returns what inner returns, errors unchanged. A connection that comes as a *tls.Conn is passed on uncounted.
func NewListener(inner net.Listener, opts ...ListenerOption) (net.Listener, error) {
	c, err := listenerConfig("NewListener", opts)
	if err != nil {
		return nil, err
	}
	switch {
	case isNil(inner):
		return nil, errors.New("otelnet: NewListener: the listener is nil")
	case isOurs(inner):
		return nil, fmt.Errorf("otelnet: NewListener: the listener on %s is already instrumented", addrString(inner.Addr()))
	case fmt.Sprintf("%T", inner) == "*tls.listener":
		return nil, errors.New("otelnet: NewListener: a TLS listener hides its connections; instrument the inner listener and put tls.NewListener around the result")
	}
	return newListener(inner, c), nil
}

func listenerConfig(constructor string, opts []ListenerOption) (config, error) {
	c := newConfig()
	for _, o := range opts {
		if o != nil {
			o.applyListener(&c)
		}
	}
	return c, c.err(constructor)
}

func newListener(inner net.Listener, c config) net.Listener {
	if c.name == "" {
		c.name = addrString(inner.Addr())
	}
	a := acceptor{endpoint: c.serverEndpoint(), at: inner.Addr()}
	a.errors.build = func(class errorClass) []attribute.KeyValue {
		return withErrorType(join(a.endpoint.attrs), class.String())
	}
	switch l := inner.(type) {
	case *net.TCPListener:
		a.watch(l)
		return &tcpListener{TCPListener: l, acceptor: &a}
	case *net.UnixListener:
		return &unixListener{UnixListener: l, acceptor: &a}
	default:
		return &listener{Listener: l, acceptor: &a}
	}
}

// serverEndpoint returns the endpoint of a listener with this configuration. It shows in the metrics from now on, at
// zero, so that a service without a single connection can be told from one that is not measured.
func (c *config) serverEndpoint() *endpoint {
	attrs := attribute.NewSet(c.attrs...)
	return scopeFor(c.meterProvider).endpoint(endpointKey{side: SideServer, name: c.name}, attrs)
}

// acceptor is what the listeners have in common.
type acceptor struct {
	endpoint *endpoint
	errors   optionCache[errorClass]
	mode     counting
	at       net.Addr
	plain    bool            // what it accepts is ordinary TCP
	queued   syscall.RawConn // the listening socket, nil if the kernel does not tell of its queue
	tlsOnce  sync.Once
}

// watch asks the kernel what kind of socket it is.
func (a *acceptor) watch(l *net.TCPListener) {
	raw, err := l.SyscallConn()
	if err != nil {
		return
	}
	a.plain = plainTCP(raw)
	if a.endpoint.queues.add(raw, a.endpoint) {
		a.queued = raw
	}
}

// wrap counts an accepted connection.
func (a *acceptor) wrap(conn net.Conn) net.Conn {
	if c, ok := conn.(*net.TCPConn); ok && c != nil {
		w := wrapTCP(c, a.endpoint, a.mode, a.plain)
		a.recordWait(w.(tracked).connStats())
		return w
	}
	return wrapConn(conn, a.endpoint, a.mode, a.at)
}

// accepted passes on what Accept returned.
func (a *acceptor) accepted(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		// The listener's own close, and a deadline that the caller set, are no errors of the network.
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
			a.endpoint.scope.ins.acceptErrors.Add(context.Background(), 1, a.errors.get(classify(err)).add...)
		}
		return conn, err
	}
	wrapped := a.wrap(conn)
	if _, ok := wrapped.(tracked); !ok {
		a.tlsOnce.Do(func() {
			otel.Handle(fmt.Errorf("otelnet: the listener %s hands out %T: its connections are not counted", a.endpoint.key.name, conn))
		})
	}
	return wrapped, nil
}

func (a *acceptor) instrumented() {}

type listener struct {
	net.Listener
	*acceptor
}

func (l *listener) Accept() (net.Conn, error) { return l.accepted(l.Listener.Accept()) }

type tcpListener struct {
	*net.TCPListener
	*acceptor
}

func (l *tcpListener) Accept() (net.Conn, error) { return l.accepted(l.TCPListener.Accept()) }

func (l *tcpListener) Close() error {
	if l.queued != nil {
		l.endpoint.queues.remove(l.queued)
	}
	return l.TCPListener.Close()
}

type unixListener struct {
	*net.UnixListener
	*acceptor
}

func (l *unixListener) Accept() (net.Conn, error) { return l.accepted(l.UnixListener.Accept()) }

func isOurs(l net.Listener) bool {
	_, ok := l.(interface{ instrumented() })
	return ok
}

// isNil also finds a nil pointer inside an interface.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}
