package compat

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// lossyNetwork is a TUN device that gives every packet back with its two addresses exchanged, so that what is sent there comes
// from there, and loses one in twenty. Exchanging addresses leaves the checksums right. Kernels need no netem for it.
type lossyNetwork struct {
	here, there string // addresses: the device's own, and that of the other side
	device      *os.File
	lost        atomic.Int64

	mu    sync.Mutex
	flows map[uint16]*segments // by the sender's port
}

// segments are what one port has sent.
type segments struct {
	begun  bool
	next   uint32 // the sequence number after the highest that was seen
	resent int64  // segments that began below it
}

// startLossyNetwork needs a network namespace of its own, and rights there. It lasts as long as the process.
func startLossyNetwork() (*lossyNetwork, error) {
	const name = "lossy0"
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, fmt.Errorf("make the device: %w", err)
	}
	n := &lossyNetwork{
		here: "10.66.0.1", there: "10.66.0.2",
		device: os.NewFile(uintptr(fd), name),
		flows:  map[uint16]*segments{},
	}
	// The queue is long, so that no packet is lost before it is seen.
	for _, args := range [][]string{
		{"address", "add", n.here + "/24", "dev", name},
		{"link", "set", name, "txqueuelen", "10000", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	go n.run()
	return n, nil
}

func (n *lossyNetwork) run() {
	chance := rand.New(rand.NewPCG(1, 1))
	packet := make([]byte, 64<<10)
	for {
		size, err := n.device.Read(packet)
		if err != nil {
			return
		}
		p := packet[:size]
		if size < 20 || p[0]>>4 != 4 || p[9] != unix.IPPROTO_TCP {
			continue
		}
		n.see(p)
		if chance.IntN(20) == 0 {
			n.lost.Add(1)
			continue
		}
		var src [4]byte
		copy(src[:], p[12:16])
		copy(p[12:16], p[16:20])
		copy(p[16:20], src[:])
		if _, err := n.device.Write(p); err != nil {
			return
		}
	}
}

// see notes whether the segment has been sent before. SYN and FIN take a sequence number each.
func (n *lossyNetwork) see(p []byte) {
	header := int(p[0]&0xf) * 4
	tcp := p[header:binary.BigEndian.Uint16(p[2:])]
	port, seq := binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint32(tcp[4:])
	const fin, syn = 1, 2
	length := uint32(len(tcp)) - uint32(tcp[12]>>4)*4 + uint32(tcp[13]&fin) + uint32(tcp[13]&syn)>>1
	if length == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.flows[port]
	if f == nil {
		f = &segments{}
		n.flows[port] = f
	}
	if f.begun && int32(seq-f.next) < 0 {
		f.resent++
	}
	if end := seq + length; !f.begun || int32(end-f.next) > 0 {
		f.next, f.begun = end, true
	}
}

// resent returns how many segments the socket with this address has sent more than once.
func (n *lossyNetwork) resent(addr net.Addr) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f := n.flows[uint16(addr.(*net.TCPAddr).Port)]; f != nil {
		return f.resent
	}
	return 0
}
