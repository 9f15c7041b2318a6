package compat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/otelnet/agent/otelnet"
)

// Go's listeners speak Multipath TCP where the kernel can, and GODEBUG=multipathtcp says who else does: 0 nobody, 1 listeners and
// dialers, 2 listeners, which is the default, 3 dialers. TCP_INFO then shows one subflow only. Whoever counts, the counts are
// those of the other end.
func TestMultipathTCP(t *testing.T) {
	enabled, err := os.ReadFile("/proc/sys/net/mptcp/enabled")
	kernelCan := err == nil && bytes.Equal(bytes.TrimSpace(enabled), []byte("1"))
	for setting, both := range map[string]bool{"0": false, "1": true, "2": false, "3": false} {
		t.Run(setting, func(t *testing.T) {
			got := runHelper[multipathResult](t, "multipath", func(cmd *exec.Cmd) {
				cmd.Env = append(cmd.Env, "GODEBUG=multipathtcp="+setting)
			})
			if got.Multipath != (both && kernelCan) {
				t.Errorf("Multipath TCP in use: got %t, want %t (the kernel has it: %t)", got.Multipath, both && kernelCan, kernelCan)
			}
			if got.Server != got.ServerPeer.seenFromThere() || got.ServerPeer.Sent == 0 {
				t.Errorf("server: got %+v, want the reverse of its peer's %+v", got.Server, got.ServerPeer)
			}
			if got.Client != got.ClientPeer.seenFromThere() || got.ClientPeer.Sent == 0 {
				t.Errorf("client: got %+v, want the reverse of its peer's %+v", got.Client, got.ClientPeer)
			}
		})
	}
}

type multipathResult struct {
	Multipath              bool
	Server, Client         flow // as otelnet counted it
	ServerPeer, ClientPeer flow // as the bare ends counted it
}

// seenFromThere is the flow of the other end.
func (f flow) seenFromThere() flow { return flow{Sent: f.Received, Received: f.Sent} }

func init() {
	helpers["multipath"] = func(string) error {
		m := newMeter()
		bare, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		ours, err := otelnet.Listen("tcp", "127.0.0.1:0", m.option())
		if err != nil {
			return err
		}
		dialer, err := otelnet.NewDialer(nil, m.option())
		if err != nil {
			return err
		}
		var r multipathResult
		for range 3 {
			multipath, err := multipathExchange(ours, new(net.Dialer), &r.ServerPeer, false)
			if err != nil {
				return fmt.Errorf("server: %w", err)
			}
			r.Multipath = multipath
			if _, err := multipathExchange(bare, dialer, &r.ClientPeer, true); err != nil {
				return fmt.Errorf("client: %w", err)
			}
		}
		r.Server, r.Client = m.flow(otelnet.SideServer), m.flow(otelnet.SideClient)
		return answer(r)
	}
}

// multipathExchange opens a connection and sends both ways: by Write, and by io.Copy from a file, from a reader and to a writer.
// One end is bare: the dialled one, or the accepted one if peerAccepts is set. What it carries is added to peer.
func multipathExchange(ln net.Listener, dialer interface {
	Dial(network, address string) (net.Conn, error)
}, peer *flow, peerAccepts bool,
) (multipath bool, err error) {
	dialled, err := dialer.Dial("tcp", ln.Addr().String())
	if err != nil {
		return false, err
	}
	defer dialled.Close()
	accepted, err := ln.Accept()
	if err != nil {
		return false, err
	}
	defer accepted.Close()
	deadline := time.Now().Add(patience)
	accepted.SetDeadline(deadline)
	dialled.SetDeadline(deadline)
	ours, bare := accepted, dialled
	if peerAccepts {
		ours, bare = dialled, accepted
	}
	multipath, err = bare.(*net.TCPConn).MultipathTCP()
	if err != nil {
		return false, err
	}

	failed := make(chan error, 1)
	go func() { failed <- everyWay(ours) }()
	sent, err := bare.Write(make([]byte, 1_500_000))
	peer.Sent += int64(sent)
	if err != nil {
		return false, err
	}
	if err := bare.(*net.TCPConn).CloseWrite(); err != nil {
		return false, err
	}
	n, err := readAll(bare)
	peer.Received += n
	return multipath, errors.Join(err, <-failed)
}

// everyWay reads to the end and sends in each of the ways that have a path of their own.
func everyWay(c net.Conn) error {
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		return err
	}
	file, err := os.CreateTemp("", "otelnet-multipath-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := file.Truncate(300_000); err != nil {
		return err
	}
	if _, err := io.Copy(c, file); err != nil {
		return err
	}
	if _, err := io.Copy(c, io.LimitReader(zeros{}, 200_000)); err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, 77)); err != nil {
		return err
	}
	return c.(interface{ CloseWrite() error }).CloseWrite()
}
