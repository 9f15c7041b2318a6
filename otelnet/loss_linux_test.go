//go:build linux && !386 && !s390x

package otelnet

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// lossyLoopback are the commands that make a fresh network namespace lose packets, whichever of the two the kernel has.
// Loopback carries up to 64 KiB in one packet, so there are few: each 31st is lost for certain, and by chance a part
// that is large enough.
const lossyLoopback = `ip link set lo up mtu 1500 &&
{ iptables -A INPUT -m statistic --mode nth --every 31 --packet 0 -j DROP || tc qdisc add dev lo root netem loss 10%; }`

// With packets lost on the way, in a network of the test's own, bytes stay exact and retransmits show.
func TestPacketLoss(t *testing.T) {
	const inner = "OTELNET_TEST_LOSS"
	if os.Getenv(inner) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPacketLoss$", "-test.v")
		cmd.Env = append(os.Environ(), inner+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		switch {
		case err != nil && len(out) == 0:
			t.Skipf("no network namespace of our own: %v", err)
		case err != nil || !bytes.Contains(out, []byte("TestPacketLoss")):
			t.Fatalf("%v\n%s", err, out)
		case bytes.Contains(out, []byte("--- SKIP")):
			t.Skipf("%s", out)
		}
		t.Logf("%s", out)
		return
	}
	if out, err := exec.Command("sh", "-c", lossyLoopback).CombinedOutput(); err != nil {
		cannot := fmt.Sprintf("this system cannot lose packets: %v: %s", err, strings.TrimSpace(string(out)))
		if os.Getenv("CI") != "" {
			t.Fatal(cannot) // .ci/run installs what it takes
		}
		t.Skip(cannot)
	}
	const size = 8 << 20
	m := newMeter(t)
	server, client := pair(t, listen(t, m.option(), WithName("front")))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if n, err := server.Write(make([]byte, size)); n != size || err != nil {
			t.Errorf("wrote %d, %v, want %d", n, err, size)
		}
		if n, err := io.CopyN(io.Discard, server, size/2); err != nil {
			t.Errorf("read %d, %v, want %d", n, err, size/2)
		}
	}()
	mustRead(t, client, size)
	mustWrite(t, client, size/2)
	<-done

	front := attribute.String("otelnet.listener", "front")
	m.wantIO(size, size/2)
	var retransmits, sent int64
	witness(t, statsOf(server), func() {
		retransmits, sent = m.sum(metricRetransmits, front), m.sum(metricSegments, front, transmit)
	}, func(i tcpinfo.Info) {
		if retransmits != int64(i.Retransmits) || retransmits == 0 {
			t.Errorf("retransmits: got %d, the kernel says %d, and some were lost for certain", retransmits, i.Retransmits)
		}
	})
	t.Logf("%d of %d segments sent again", retransmits, sent)
	server.Close()
	m.wantIO(size, size/2)
	m.wantEnd("local", "")
	if rows := Connections(Filter{State: "closed", Match: "front"}); len(rows) != 1 || rows[0].Retransmits != uint64(retransmits) {
		t.Errorf("the closed row: got %+v, want %d retransmits", rows, retransmits)
	}
}
