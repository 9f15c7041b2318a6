package compat

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// udpRelay passes datagrams between one client and a server, one at a time, and counts their bytes.
type udpRelay struct {
	front, back *net.UDPConn
	peer        atomic.Pointer[netip.AddrPort] // the client

	fromClient, toServer atomic.Int64
	fromServer, toClient atomic.Int64
}

// startUDPRelay passes on, until the test ends, whatever comes to its address.
func startUDPRelay(t *testing.T, target *net.UDPAddr) *udpRelay {
	t.Helper()
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp", nil, target)
	if err != nil {
		front.Close()
		t.Fatal(err)
	}
	r := &udpRelay{front: front, back: back}
	var wg sync.WaitGroup
	wg.Go(r.forward)
	wg.Go(r.backward)
	t.Cleanup(func() {
		front.Close()
		back.Close()
		wg.Wait()
	})
	return r
}

func (r *udpRelay) addr() net.Addr { return r.front.LocalAddr() }

func (r *udpRelay) client() flow {
	return flow{Sent: r.fromClient.Load(), Received: r.toClient.Load()}
}

func (r *udpRelay) server() flow {
	return flow{Sent: r.fromServer.Load(), Received: r.toServer.Load()}
}

func (r *udpRelay) forward() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		r.peer.Store(&from)
		r.fromClient.Add(int64(n))
		if n, err = r.back.Write(buf[:n]); err == nil {
			r.toServer.Add(int64(n))
		}
	}
}

func (r *udpRelay) backward() {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.back.Read(buf)
		if err != nil {
			return
		}
		r.fromServer.Add(int64(n))
		if n, err = r.front.WriteToUDPAddrPort(buf[:n], *r.peer.Load()); err == nil {
			r.toClient.Add(int64(n))
		}
	}
}
