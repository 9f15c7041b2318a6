package otelnet

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
)

func TestPacketConnErrors(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	ours, err := NewPacketConn(pc, newMeter(t).option())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	for inner, want := range map[net.PacketConn]string{nil: "nil", ours: "already instrumented"} {
		if _, err := NewPacketConn(inner); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// Each method that moves packets counts their bytes once.
func TestUDPMethodsCount(t *testing.T) {
	m := newMeter(t)
	inner, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	pc, err := NewPacketConn(inner, m.option(), WithName("front"))
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	c := pc.(*udpConn)
	peer, err := net.DialUDP("udp", nil, inner.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	to := peer.LocalAddr().(*net.UDPAddr)
	b := make([]byte, 100)

	sends := map[string]func() (int, error){
		"WriteTo":            func() (int, error) { return c.WriteTo(b, to) },
		"WriteToUDP":         func() (int, error) { return c.WriteToUDP(b, to) },
		"WriteToUDPAddrPort": func() (int, error) { return c.WriteToUDPAddrPort(b, to.AddrPort()) },
		"WriteMsgUDP":        func() (int, error) { n, _, err := c.WriteMsgUDP(b, nil, to); return n, err },
		"WriteMsgUDPAddrPort": func() (int, error) {
			n, _, err := c.WriteMsgUDPAddrPort(b, nil, to.AddrPort())
			return n, err
		},
	}
	sent := int64(0)
	for name, send := range sends {
		if n, err := send(); n != 100 || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		n, _ := peer.Read(make([]byte, 200))
		sent += int64(n)
		if got := m.sum(metricIO, transmit); got != sent {
			t.Errorf("%s: sent bytes are %d, want %d", name, got, sent)
		}
	}

	receives := map[string]func() (int, error){
		"ReadFrom":            func() (int, error) { n, _, err := c.ReadFrom(b); return n, err },
		"ReadFromUDP":         func() (int, error) { n, _, err := c.ReadFromUDP(b); return n, err },
		"ReadFromUDPAddrPort": func() (int, error) { n, _, err := c.ReadFromUDPAddrPort(b); return n, err },
		"ReadMsgUDP":          func() (int, error) { n, _, _, _, err := c.ReadMsgUDP(b, nil); return n, err },
		"ReadMsgUDPAddrPort":  func() (int, error) { n, _, _, _, err := c.ReadMsgUDPAddrPort(b, nil); return n, err },
		"Read":                func() (int, error) { return c.Read(b) },
		"ReadBatch": func() (int, error) {
			ms := []ipv4.Message{{Buffers: [][]byte{b}}, {Buffers: [][]byte{make([]byte, 100)}}}
			n, err := c.ReadBatch(ms, 0)
			if n != 1 {
				t.Errorf("ReadBatch: got %d packets, want 1", n)
			}
			return ms[0].N, err
		},
	}
	received := int64(0)
	for name, recv := range receives {
		mustWrite(t, peer, 60)
		if n, err := recv(); n != 60 || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		received += 60
		if got := m.sum(metricIO, receive); got != received {
			t.Errorf("%s: received bytes are %d, want %d", name, got, received)
		}
	}
	if got := m.sum(metricServerConnections); got != 0 {
		t.Errorf("a packet socket counts as %d connections, want 0", got)
	}
}

// A packet socket of another type.
func TestOtherPacketConn(t *testing.T) {
	m := newMeter(t)
	inner, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	type hidden struct{ net.PacketConn }
	pc, err := NewPacketConn(hidden{inner}, m.option(), WithName("front"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.WriteTo(make([]byte, 20), pc.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if n, _, err := pc.ReadFrom(make([]byte, 100)); n != 20 || err != nil {
		t.Fatalf("got %d, %v, want 20", n, err)
	}
	pc.Close()
	pc.Close()
	m.wantIO(20, 20)
}
