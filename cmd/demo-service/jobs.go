package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/otelnet/agent/otelnet"
)

// targets are the addresses the load goes to.
type targets struct {
	http  string // host:port
	https string // "": none
	tcp   string // echo; "": none
	udp   string
	roots *x509.CertPool // trusts the https server
}

// clients are the load's ways to the service, each of them observed as a service's own would be.
type clients struct {
	targets
	dialer      *otelnet.Dialer
	keepAlive   *http.Client
	fresh       *http.Client // a new connection for each request
	http2       *http.Client
	unreachable string // nobody listens there
}

func newClients(t targets) (*clients, error) {
	dialer, err := otelnet.NewDialer(&net.Dialer{Timeout: 2 * time.Second})
	if err != nil {
		return nil, err
	}
	client := func(change func(*http.Transport)) *http.Client {
		base := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 16, IdleConnTimeout: 20 * time.Second}
		change(base)
		return &http.Client{Transport: otelnet.NewTransport(base)}
	}
	return &clients{
		targets:   t,
		dialer:    dialer,
		keepAlive: client(func(*http.Transport) {}),
		fresh:     client(func(t *http.Transport) { t.DisableKeepAlives = true }),
		http2: client(func(base *http.Transport) {
			base.ForceAttemptHTTP2 = true
			base.TLSClientConfig = &tls.Config{RootCAs: t.roots}
		}),
		unreachable: "127.0.0.1:1",
	}, nil
}

func (c *clients) close() {
	for _, client := range []*http.Client{c.keepAlive, c.fresh, c.http2} {
		client.CloseIdleConnections()
	}
}

// jobs returns the mix. Out of 208, one is slow, two fail and five concern a connection that goes wrong, so that every
// kind of row is in the tables and no alert fires of it.
func (c *clients) jobs() []job {
	plain := "http://" + c.http
	list := []job{
		{"data", 72, get(c.keepAlive, plain+"/api/data")},
		{"users", 38, get(c.keepAlive, plain+"/api/users")},
		{"health", 20, get(c.keepAlive, plain+"/api/health")},
		{"data on a fresh connection", 10, get(c.fresh, plain+"/api/data")},
		{"stock", 8, get(c.keepAlive, plain+"/api/stock")},
		{"upload", 6, c.upload(plain+"/api/upload", 64<<10)},
		{"download", 6, get(c.keepAlive, plain+"/api/download?bytes=262144")},
		{"fail", 2, get(c.keepAlive, plain+"/api/fail")},
		{"slow", 1, get(c.keepAlive, plain+"/api/slow")},
		{"slow reader", 1, c.slowReader},
		{"reset", 1, c.reset},
		{"refused", 1, c.refused},
	}
	if c.https != "" {
		list = append(list,
			job{"data over HTTP/2", 24, get(c.http2, "https://"+c.https+"/api/data")},
			job{"users over HTTP/2", 12, get(c.http2, "https://"+c.https+"/api/users")},
			job{"plain text to TLS", 1, c.plainToTLS})
	}
	if c.tcp != "" {
		list = append(list, job{"tcp echo", 3, c.echo("tcp", byName(c.tcp))}, job{"udp echo", 2, c.echo("udp", c.udp)})
	}
	return list
}

// byName turns a loopback address into one that has to be looked up, so that name resolution is seen too.
func byName(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "127.0.0.1" {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}

// get reads the whole answer, whatever its status.
func get(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		return exchange(client, req)
	}
}

func (c *clients) upload(url string, size int) func(context.Context) error {
	body := make([]byte, size)
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		return exchange(c.keepAlive, req)
	}
}

func exchange(client *http.Client, req *http.Request) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// dial returns a connection that ends with ctx at the latest.
func (c *clients) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	return conn, nil
}

// slowReader asks for more than the socket buffers hold and takes its time, so the server has to wait.
func (c *clients) slowReader(ctx context.Context) error {
	conn, err := c.dial(ctx, "tcp", c.http)
	if err != nil {
		return err
	}
	defer conn.Close()
	if small, ok := conn.(interface{ SetReadBuffer(int) error }); ok {
		small.SetReadBuffer(16 << 10)
	}
	const request = "GET /api/download?bytes=8388608 HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	buf := bufio.NewReaderSize(conn, 64<<10)
	resp, err := http.ReadResponse(buf, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for {
		if _, err := io.CopyN(io.Discard, resp.Body, 256<<10); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := wait(ctx, 40*time.Millisecond); err != nil {
			return err
		}
	}
}

// reset stops in the middle of a request and resets the connection.
func (c *clients) reset(ctx context.Context) error {
	conn, err := c.dial(ctx, "tcp", c.http)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /api/data HTTP/1.1\r\nHost: de"); err != nil {
		return err
	}
	if err := wait(ctx, 20*time.Millisecond); err != nil { // for the server to have read it
		return err
	}
	if l, ok := conn.(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(0)
	}
	return nil
}

// refused dials where nobody listens.
func (c *clients) refused(ctx context.Context) error {
	conn, err := c.dial(ctx, "tcp", c.unreachable)
	if err == nil {
		conn.Close()
		return fmt.Errorf("somebody answers on %s", c.unreachable)
	}
	return nil
}

// plainToTLS speaks HTTP to the HTTPS port: a handshake that fails.
func (c *clients) plainToTLS(ctx context.Context) error {
	conn, err := c.dial(ctx, "tcp", c.https)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: demo\r\n\r\n"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn) // the server says what is wrong and closes
	return err
}

// echo sends a few messages and checks what comes back.
func (c *clients) echo(network, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := c.dial(ctx, network, address)
		if err != nil {
			return err
		}
		defer conn.Close()
		out, in := bytes.Repeat([]byte("otelnet "), 128), make([]byte, 1024)
		for range 4 {
			if network == "udp" { // a datagram may be lost
				conn.SetDeadline(time.Now().Add(time.Second))
			}
			if _, err := conn.Write(out); err != nil {
				return err
			}
			if _, err := io.ReadFull(conn, in); err != nil {
				return err
			}
			if !bytes.Equal(out, in) {
				return fmt.Errorf("%s echo on %s came back changed", network, address)
			}
		}
		return nil
	}
}
