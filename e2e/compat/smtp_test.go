package compat

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/otelnet"
)

// A line protocol that changes to TLS half-way, net/smtp against a small server, both over connections of ours.
func TestSMTPWithStartTLS(t *testing.T) {
	m := newMeter()
	serverTLS, clientTLS := certificate(t)
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", m.option(), otelnet.WithName(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	wire := startRelay(t, ln.Addr().String())
	type delivery struct {
		letter string
		err    error
	}
	delivered := make(chan delivery, 1)
	go func() {
		letter, err := receiveLetter(ln, serverTLS)
		delivered <- delivery{letter, err}
	}()

	dialer, err := otelnet.NewDialer(nil, m.option(), otelnet.WithName("mail"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", wire.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	letter := "Subject: greetings\r\n\r\n" + strings.Repeat("A line of a letter.\r\n", 10_000)
	if err := sendLetter(conn, clientTLS, letter); err != nil {
		t.Fatal(err)
	}
	got := <-delivered
	if want := strings.ReplaceAll(letter, "\r\n", "\n"); got.err != nil || got.letter != want {
		t.Errorf("letter: got %d bytes, %v, want the %d that were sent", len(got.letter), got.err, len(want))
	}
	m.wantTotal(t, 0, "otelnet.client.active_connections")
	m.wantTotal(t, 0, "otelnet.server.active_connections")
	m.wantSent(t, otelnet.SideServer, wire.server)
	m.wantSent(t, otelnet.SideClient, wire.client)
	if got := m.flow(otelnet.SideServer).Received; got < int64(len(letter)) {
		t.Errorf("the server received %d bytes, less than the letter's %d", got, len(letter))
	}
}

func sendLetter(conn net.Conn, config *tls.Config, letter string) error {
	c, err := smtp.NewClient(conn, "127.0.0.1")
	if err != nil {
		return err
	}
	if err := c.StartTLS(config); err != nil {
		return err
	}
	if err := c.Mail("a@example.org"); err != nil {
		return err
	}
	if err := c.Rcpt("b@example.org"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(letter)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// receiveLetter accepts one connection and speaks as much SMTP as net/smtp needs.
func receiveLetter(ln net.Listener, config *tls.Config) (letter string, err error) {
	conn, err := ln.Accept()
	if err != nil {
		return "", err
	}
	defer func() { conn.Close() }()
	conn.SetDeadline(time.Now().Add(patience))
	lines := textproto.NewReader(bufio.NewReader(conn))
	answer := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) } // a lost connection shows at the next read
	answer("220 ready")
	for {
		line, err := lines.ReadLine()
		if err != nil {
			return letter, err
		}
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			answer("250-localhost\r\n250 STARTTLS")
		case "STARTTLS":
			answer("220 go on")
			conn = tls.Server(conn, config)
			lines = textproto.NewReader(bufio.NewReader(conn))
		case "MAIL", "RCPT":
			answer("250 fine")
		case "DATA":
			answer("354 write")
			text, err := lines.ReadDotBytes()
			if err != nil {
				return "", err
			}
			letter = string(text)
			answer("250 taken")
		case "QUIT":
			answer("221 bye")
			return letter, nil
		default:
			answer("500 what?")
		}
	}
}
