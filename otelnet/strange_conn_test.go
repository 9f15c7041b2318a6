package otelnet

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

// headerListener hands out connections as those of the PROXY protocol are: the first byte stands for its header.
type headerListener struct{ net.Listener }

func (l headerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &headerConn{Conn: c}, nil
}

// headerConn reads the header before it answers anything.
type headerConn struct {
	net.Conn
	once sync.Once
}

func (c *headerConn) header() { c.once.Do(func() { c.Conn.Read(make([]byte, 1)) }) }

func (c *headerConn) Raw() net.Conn { return c.Conn }

func (c *headerConn) Read(b []byte) (int, error) {
	c.header()
	return c.Conn.Read(b)
}

func (c *headerConn) LocalAddr() net.Addr {
	c.header()
	return c.Conn.LocalAddr()
}

func (c *headerConn) RemoteAddr() net.Addr {
	c.header()
	return c.Conn.RemoteAddr()
}

// A client that sends nothing must hold up neither Accept nor the table nor the close, though its connection has to
// read before it knows its addresses.
func TestConnThatReadsBeforeItKnowsItsAddresses(t *testing.T) {
	for name, tt := range map[string]struct {
		address   string
		wantTypes int64 // of connections whose network.type is known before
	}{"one address": {"127.0.0.1:0", 2}, "all addresses": {":0", 0}} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			inner, err := net.Listen("tcp", tt.address)
			if err != nil {
				t.Fatal(err)
			}
			listenerName := uniqueName("strange")
			ln, err := NewListener(headerListener{inner}, m.option(), WithName(listenerName))
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			_, port, _ := net.SplitHostPort(inner.Addr().String())
			accept := func() (server, client net.Conn) {
				t.Helper()
				client, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { client.Close() })
				if server, err = ln.Accept(); err != nil {
					t.Fatal(err)
				}
				return server, client
			}
			silent, _ := accept()
			server, client := accept()
			if rows := Connections(Filter{Match: listenerName}); len(rows) != 2 || rows[0].Peer != "" || rows[0].Transport != "tcp" {
				t.Errorf("got %v, want two without a peer", rows)
			}
			mustWrite(t, client, 2)
			mustRead(t, server, 1)
			rows := Connections(Filter{Match: listenerName, Sort: "-id"})
			if len(rows) != 2 || rows[0].Peer != client.LocalAddr().String() {
				t.Errorf("got %v, want the peer %v in the first", rows, client.LocalAddr())
			}
			if got := m.sum(metricServerActive, attribute.String("network.type", "ipv4")); got != tt.wantTypes {
				t.Errorf("of known network.type: got %d, want %d", got, tt.wantTypes)
			}
			silent.Close()
			server.Close()
			if got := m.sum(metricServerActive); got != 0 {
				t.Errorf("active: got %d, want 0", got)
			}
		})
	}
}

// The other way round the requests are joined, and the kernel counts.
func TestProxyProtocolAroundOurs(t *testing.T) {
	m := newMeter(t)
	joined := make(chan bool, 1)
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, ok := ConnFromContext(r.Context())
		joined <- ok
	}), "test", m.option())}
	Instrument(srv)
	ln := listen(t, m.option())
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(headerListener{ln})
	}()
	defer func() { srv.Close(); <-done }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "+GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	if !<-joined {
		t.Error("the request does not know its connection")
	}
}
