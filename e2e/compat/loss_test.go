package compat

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
	"github.com/otelnet/agent/otelnet"
)

// lossyBytes go in each direction of each connection.
const lossyBytes = 3 << 20

// On a network that loses one packet in twenty the counts are what the two ends exchanged, not what had to be sent for it; what
// was sent again shows as retransmits, as many as the network has seen.
func TestPacketLoss(t *testing.T) {
	stack.Program(t, "ip", "iproute2")
	got := runHelper[lossResult](t, "loss", func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET // a network of the helper's own
		if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
		}
	})
	want := flow{Sent: lossyBytes, Received: lossyBytes}
	if got.Server != want || got.Client != want {
		t.Errorf("bytes while open: server %+v, client %+v, want %+v", got.Server, got.Client, want)
	}
	if got.ServerClosed != want || got.ClientClosed != want {
		t.Errorf("bytes after the close: server %+v, client %+v, want %+v", got.ServerClosed, got.ClientClosed, want)
	}
	if got.Lost == 0 || got.Retransmits == 0 || got.Retransmits != got.SeenTwice {
		t.Errorf("retransmits: got %d, want the %d that the network saw, %d packets of it lost", got.Retransmits, got.SeenTwice, got.Lost)
	}
}

type lossResult struct {
	Server, Client             flow
	ServerClosed, ClientClosed flow
	Retransmits                int64 // as otelnet counted them
	SeenTwice, Lost            int64 // by the network
}

func init() {
	helpers["loss"] = func(string) error {
		network, err := startLossyNetwork()
		if err != nil {
			return err
		}
		m := newMeter()
		r, err := lossyExchange(m, network)
		if err != nil {
			return err
		}
		return answer(r)
	}
}

// lossyExchange has a bare client talk to a server of ours, and a client of ours to a bare server.
func lossyExchange(m *meter, network *lossyNetwork) (r lossResult, err error) {
	ours, err := otelnet.Listen("tcp4", network.here+":0", m.option())
	if err != nil {
		return r, err
	}
	defer ours.Close()
	bare, err := net.Listen("tcp4", network.here+":0")
	if err != nil {
		return r, err
	}
	defer bare.Close()
	dialer, err := otelnet.NewDialer(nil, m.option())
	if err != nil {
		return r, err
	}
	oursServer, bareClient, err := lossyPair(ours, new(net.Dialer), network)
	if err != nil {
		return r, err
	}
	bareServer, oursClient, err := lossyPair(bare, dialer, network)
	if err != nil {
		return r, err
	}
	conns := []net.Conn{oursServer, bareClient, bareServer, oursClient}
	done := make(chan error, len(conns))
	for _, c := range conns {
		go func() { done <- sendAndReceive(c, lossyBytes) }()
	}
	for range conns {
		if err := <-done; err != nil {
			return r, err
		}
	}

	// The network has also seen what the bare ends sent again: only the ports of ours count.
	seenTwice := func() int64 {
		return network.resent(oursServer.LocalAddr()) + network.resent(oursClient.LocalAddr())
	}
	retransmits := func() int64 { return m.total("otelnet.tcp.retransmits") }
	_ = waitFor(func() bool { return retransmits() == seenTwice() }) // the last may be under way; if not equal, the test says so
	r.Server, r.Client = m.flow(otelnet.SideServer), m.flow(otelnet.SideClient)
	r.Retransmits, r.SeenTwice, r.Lost = retransmits(), seenTwice(), network.lost.Load()

	// The bare ends finish first, so that their FIN, which the kernel counts as a byte, has come when ours close.
	for _, end := range [][2]net.Conn{{bareClient, oursServer}, {bareServer, oursClient}} {
		if err := end[0].(*net.TCPConn).CloseWrite(); err != nil {
			return r, err
		}
		if n, err := end[1].Read(make([]byte, 1)); n != 0 || err != io.EOF {
			return r, fmt.Errorf("after the peer's end: got %d bytes, %v, want EOF", n, err)
		}
		if err := errors.Join(end[1].Close(), end[0].Close()); err != nil {
			return r, err
		}
	}
	r.ServerClosed, r.ClientClosed = m.flow(otelnet.SideServer), m.flow(otelnet.SideClient)
	return r, nil
}

// lossyPair connects across the network.
func lossyPair(ln net.Listener, dialer interface {
	Dial(network, address string) (net.Conn, error)
}, network *lossyNetwork,
) (accepted, dialled net.Conn, err error) {
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	if dialled, err = dialer.Dial("tcp4", net.JoinHostPort(network.there, port)); err != nil {
		return nil, nil, err
	}
	if accepted, err = ln.Accept(); err != nil {
		return nil, nil, err
	}
	deadline := time.Now().Add(2 * patience)
	return accepted, dialled, errors.Join(accepted.SetDeadline(deadline), dialled.SetDeadline(deadline))
}

func sendAndReceive(c net.Conn, n int) error {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, n))
		sent <- err
	}()
	_, err := io.ReadFull(c, make([]byte, n))
	return errors.Join(err, <-sent)
}
