package compat

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelnet/agent/otelnet"
)

// quicConfig keeps what is under way smaller than a socket's buffer, so that the kernel has no reason to drop packets, which the
// sender counts and nobody receives.
func quicConfig() *quic.Config {
	return &quic.Config{
		InitialConnectionReceiveWindow: 64 << 10, MaxConnectionReceiveWindow: 64 << 10,
		InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 64 << 10,
		MaxIdleTimeout: patience,
	}
}

// quic-go with a packet conn of ours at each end: every datagram that passes between them is counted once, with all its bytes.
func TestQUIC(t *testing.T) {
	serverMeter, clientMeter := newMeter(), newMeter()
	serverTLS, clientTLS := certificate(t, "echo")
	server, err := quicTransport(serverMeter)
	if err != nil {
		t.Fatal(err)
	}
	defer closeTransport(server)
	client, err := quicTransport(clientMeter)
	if err != nil {
		t.Fatal(err)
	}
	defer closeTransport(client)
	wire := startUDPRelay(t, server.Conn.LocalAddr().(*net.UDPAddr))

	const up, down = 3_000_000, 5_000_000
	err = quicTransfer(t.Context(), server, client, wire.addr(), serverTLS, clientTLS, up, down)
	if err != nil {
		t.Fatal(err)
	}
	// Both sockets are still read, so the last packets arrive too. A packet socket has no peer; it stands with the servers at both ends.
	serverMeter.wantFlow(t, otelnet.SideServer, wire.server)
	clientMeter.wantFlow(t, otelnet.SideServer, wire.client)
	if got := wire.server(); got.Sent < down || got.Received < up {
		t.Errorf("the relay saw %+v, less than the payloads alone", got)
	}
	if got := serverMeter.total("otelnet.server.connections"); got != 0 {
		t.Errorf("connections: got %d, want 0: a packet socket is none", got)
	}
}

// What makes quic-go fast is kept: it sends many packets with one system call (UDP_SEGMENT) and reads many with one (recvmmsg),
// and the bytes are those that sendmsg returned.
func TestQUICOffload(t *testing.T) {
	got, calls := traceHelper[flow](t, "quic", "sendmsg", "sendto", "recvmmsg", "recvmsg", "recvfrom")
	segmented, batches, others := 0, 0, 0
	for _, c := range calls {
		switch {
		case c.name == "sendmsg" && c.result > 0 && strings.Contains(c.text, "cmsg_level=SOL_UDP, cmsg_type=0x67"): // UDP_SEGMENT
			segmented++
		case c.name == "recvmmsg" && c.result > 1:
			batches++
		case (c.name == "recvmsg" || c.name == "recvfrom") && c.result > 0:
			others++
		}
	}
	if segmented == 0 || batches == 0 || others != 0 {
		t.Errorf("system calls: %d sendmsg with UDP_SEGMENT, %d recvmmsg of several packets, %d reads of one packet, want some, some, none",
			segmented, batches, others)
	}
	if want := moved(calls, "sendmsg"); got.Sent != want {
		t.Errorf("sent: got %d bytes, want the %d of all sendmsg", got.Sent, want)
	}
}

func init() {
	// Both ends of a transfer; answers with the flow of both together.
	helpers["quic"] = func(string) error {
		m := newMeter()
		server, err := quicTransport(m)
		if err != nil {
			return err
		}
		client, err := quicTransport(m)
		if err != nil {
			return err
		}
		serverTLS, clientTLS, err := newCertificate("echo")
		if err != nil {
			return err
		}
		err = quicTransfer(context.Background(), server, client, server.Conn.LocalAddr(), serverTLS, clientTLS, 1_000_000, 4_000_000)
		if err != nil {
			return err
		}
		closeTransport(client)
		closeTransport(server)
		return answer(m.flow(otelnet.SideServer))
	}
}

// packetConn returns a UDP socket of ours on loopback.
func packetConn(m *meter) (net.PacketConn, error) {
	inner, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	return otelnet.NewPacketConn(inner, m.option())
}

func quicTransport(m *meter) (*quic.Transport, error) {
	pc, err := packetConn(m)
	return &quic.Transport{Conn: pc}, err
}

// closeTransport also closes the socket, which is its maker's to close.
func closeTransport(tr *quic.Transport) {
	tr.Close()
	tr.Conn.Close()
}

// quicTransfer sends up bytes to a server, which answers with down bytes, and hangs up.
func quicTransfer(ctx context.Context, server, client *quic.Transport, addr net.Addr, serverTLS, clientTLS *tls.Config, up, down int64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	ln, err := server.Listen(serverTLS, quicConfig())
	if err != nil {
		return err
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() { served <- quicServe(ctx, ln, up, down) }()

	conn, err := client.Dial(ctx, addr, clientTLS, quicConfig())
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(stream, zeros{}, up); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := stream.Close(); err != nil {
		return err
	}
	if n, err := io.Copy(io.Discard, stream); err != nil || n != down {
		return fmt.Errorf("receive: got %d bytes, %v, want %d", n, err, down)
	}
	if err := conn.CloseWithError(0, "done"); err != nil {
		return err
	}
	return <-served
}

func quicServe(ctx context.Context, ln *quic.Listener, up, down int64) error {
	conn, err := ln.Accept(ctx)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	stream, err := conn.AcceptStream(ctx)
	if err != nil {
		return fmt.Errorf("accept a stream: %w", err)
	}
	if n, err := io.Copy(io.Discard, stream); err != nil || n != up {
		return fmt.Errorf("server: got %d bytes, %v, want %d", n, err, up)
	}
	if _, err := io.CopyN(stream, zeros{}, down); err != nil {
		return fmt.Errorf("server: send: %w", err)
	}
	if err := stream.Close(); err != nil {
		return err
	}
	<-conn.Context().Done() // the client has all and hangs up
	var ended *quic.ApplicationError
	if err := context.Cause(conn.Context()); !errors.As(err, &ended) || ended.ErrorCode != 0 {
		return fmt.Errorf("server: the connection ended with %w", err)
	}
	return nil
}

// zeros is an endless source.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// HTTP/3 through packet conns of ours, and its requests through a handler of ours.
func TestHTTP3(t *testing.T) {
	serverMeter, clientMeter := newMeter(), newMeter()
	serverTLS, clientTLS := certificate(t)
	pc, err := packetConn(serverMeter)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /item/{size}", func(w http.ResponseWriter, r *http.Request) {
		size := 0
		fmt.Sscan(r.PathValue("size"), &size)
		w.Write(make([]byte, size))
	})
	srv := &http3.Server{
		Handler:    otelnet.NewHandler(mux, t.Name(), serverMeter.option()),
		TLSConfig:  http3.ConfigureTLSConfig(serverTLS),
		QUICConfig: quicConfig(),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pc) }()
	defer func() {
		srv.Close()
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("serve: %v", err)
		}
	}()
	wire := startUDPRelay(t, pc.LocalAddr().(*net.UDPAddr))

	cpc, err := packetConn(clientMeter)
	if err != nil {
		t.Fatal(err)
	}
	defer cpc.Close()
	dialer := &quic.Transport{Conn: cpc}
	defer dialer.Close()
	base := &http3.Transport{
		TLSClientConfig: clientTLS,
		QUICConfig:      quicConfig(),
		Dial: func(ctx context.Context, addr string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
			to, err := net.ResolveUDPAddr("udp", addr)
			if err != nil {
				return nil, err
			}
			return dialer.DialEarly(ctx, to, tlsConfig, config)
		},
	}
	client := &http.Client{Transport: otelnet.NewTransport(base, clientMeter.option()), Timeout: patience}
	const requests = 20
	for i := range requests {
		mustGet(t, client, fmt.Sprintf("https://%s/item/%d", wire.addr(), i*10_000), i*10_000)
	}
	if err := base.Close(); err != nil {
		t.Error(err)
	}
	serverMeter.wantFlow(t, otelnet.SideServer, wire.server)
	clientMeter.wantFlow(t, otelnet.SideServer, wire.client)
	serverMeter.wantTotal(t, requests, "http.server.request.duration",
		attribute.String("network.protocol.version", "3"), attribute.String("http.route", "/item/{size}"))
	clientMeter.wantTotal(t, requests, "http.client.request.duration", attribute.String("network.protocol.version", "3"))
}
