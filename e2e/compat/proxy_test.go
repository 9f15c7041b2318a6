package compat

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/otelnet/agent/otelnet"
)

// A reverse proxy with a listener of ours in front and a dialer of ours behind, and a websocket through it: the connections are
// hijacked on both sides, and their bytes count as before.
func TestReverseProxyWithWebsocket(t *testing.T) {
	m := newMeter()
	back := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) { io.Copy(ws, ws) }))
	defer back.Close()
	backWire := startRelay(t, back.Listener.Addr().String())
	front, rows := startProxy(t, m, "http://"+backWire.addr())
	frontWire := startRelay(t, front)

	config, err := websocket.NewConfig("ws://"+frontWire.addr()+"/echo", "http://"+frontWire.addr())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, err := config.DialContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ws.SetDeadline(time.Now().Add(patience))
	const messages = 40
	echoed := int64(0)
	for i := range messages {
		sent := bytes.Repeat([]byte{byte(i)}, 1+i*1000)
		go websocket.Message.Send(ws, sent) // a failure shows as a message that does not come back
		var got []byte
		for len(got) < len(sent) { // the echo copies, and may cut a message in pieces
			var piece []byte
			if err := websocket.Message.Receive(ws, &piece); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			got = append(got, piece...)
		}
		if !bytes.Equal(got, sent) {
			t.Fatalf("message %d: got %d bytes, not what was sent", i, len(got))
		}
		echoed += int64(len(sent))
	}

	m.wantFlow(t, otelnet.SideServer, frontWire.server)
	m.wantFlow(t, otelnet.SideClient, backWire.client)
	if got := frontWire.server(); got.Sent < echoed || got.Received < echoed {
		t.Errorf("the relay in front saw %+v, less than the %d bytes of the messages", got, echoed)
	}
	m.wantTotal(t, 0, "http.server.active_requests")
	if got := rows("open"); len(got) != 1 || got[0].Requests != 1 || got[0].State != "active" {
		t.Errorf("open connections in front: got %+v, want one, active, with one request", got)
	}

	ws.Close()
	m.wantTotal(t, 0, "otelnet.server.active_connections")
	m.wantTotal(t, 0, "otelnet.client.active_connections")
	m.wantTotal(t, 1, "otelnet.server.connection.duration")
	m.wantSent(t, otelnet.SideServer, frontWire.server)
	m.wantSent(t, otelnet.SideClient, backWire.client)
}

// startProxy starts a reverse proxy to target and returns its address, and the rows of its listener in the table.
func startProxy(t *testing.T, m *meter, target string) (addr string, rows func(state string) []otelnet.ConnInfo) {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := otelnet.NewDialer(&net.Dialer{Timeout: patience}, m.option(), otelnet.WithName(t.Name()+"/back"))
	if err != nil {
		t.Fatal(err)
	}
	base := &http.Transport{DialContext: dialer.DialContext}
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: otelnet.NewTransport(base, m.option()),
		ErrorLog:  quiet,
	}
	name := t.Name() + "/front"
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", m.option(), otelnet.WithName(name))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: otelnet.NewHandler(proxy, "proxy", m.option()), ErrorLog: quiet}
	otelnet.Instrument(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		base.CloseIdleConnections()
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String(), func(state string) []otelnet.ConnInfo { return connections(t, state, name) }
}
