package otelnet

import (
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
)

// NewPacketConn returns inner with its bytes counted, in the table and in otelnet.connection.io under
// otelnet.side=server and otelnet.listener, which is the socket's address unless [WithName] says otherwise. A packet
// socket is not a connection: it is in none of the connection metrics.
//
// A *net.UDPConn keeps all its methods, and gains ReadBatch, by which quic-go reads many packets with one system call.
// Packets moved past the wrapper, for instance by ipv4.NewPacketConn, are not counted.
//
// It is an error if inner is nil or already instrumented.
func NewPacketConn(inner net.PacketConn, opts ...PacketConnOption) (net.PacketConn, error) {
	c := newConfig()
	for _, o := range opts {
		if o != nil {
			o.applyPacketConn(&c)
		}
	}
	if isNil(inner) {
		c.fail("the packet conn is nil")
	} else if _, ok := inner.(tracked); ok {
		c.fail("the packet conn is already instrumented")
	}
	if err := c.err("NewPacketConn"); err != nil {
		return nil, err
	}
	if c.name == "" {
		c.name = addrString(inner.LocalAddr())
	}
	ep := c.serverEndpoint()
	if udp, ok := inner.(*net.UDPConn); ok {
		return wrapUDP(udp, ep), nil
	}
	w := &packetConn{PacketConn: inner}
	w.stats.openPacket(ep, unconnected{inner})
	return w, nil
}

// openPacket puts a packet socket in the table.
func (s *ConnStats) openPacket(ep *endpoint, addrs addresses) {
	s.endpoint, s.addrs = ep, addrs
	s.opened = sinceStart()
	s.kind = kindOf(s.localAddr())
	s.flags.Or(flagPacket)
	track(s)
}

// unconnected gives a packet socket the address it lacks.
type unconnected struct{ net.PacketConn }

func (unconnected) RemoteAddr() net.Addr { return nil }

// packetConn wraps a net.PacketConn that is no *net.UDPConn.
type packetConn struct {
	net.PacketConn
	stats ConnStats
}

func (c *packetConn) connStats() *ConnStats { return &c.stats }

func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.PacketConn.ReadFrom(b)
	c.stats.readDone(n, err)
	return n, addr, err
}

func (c *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	n, err := c.PacketConn.WriteTo(b, addr)
	c.stats.writeDone(n, err)
	return n, err
}

func (c *packetConn) Close() error { return c.stats.close(c.PacketConn) }

// udpConn wraps a UDP socket, connected or not.
type udpConn struct {
	*net.UDPConn
	stats ConnStats
	batch func() *ipv4.PacketConn // made at first use: most sockets never read in batches
}

func wrapUDP(inner *net.UDPConn, ep *endpoint) *udpConn {
	w := &udpConn{UDPConn: inner}
	w.batch = sync.OnceValue(func() *ipv4.PacketConn { return ipv4.NewPacketConn(inner) })
	w.stats.openPacket(ep, inner)
	return w
}

func (c *udpConn) connStats() *ConnStats { return &c.stats }

// NetConn returns the wrapped *net.UDPConn.
func (c *udpConn) NetConn() net.Conn { return c.UDPConn }

func (c *udpConn) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	c.stats.readDone(n, err)
	return n, err
}

func (c *udpConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.UDPConn.ReadFrom(b)
	c.stats.readDone(n, err)
	return n, addr, err
}

func (c *udpConn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, addr, err := c.UDPConn.ReadFromUDP(b)
	c.stats.readDone(n, err)
	return n, addr, err
}

func (c *udpConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, addr, err := c.UDPConn.ReadFromUDPAddrPort(b)
	c.stats.readDone(n, err)
	return n, addr, err
}

func (c *udpConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, addr, err = c.UDPConn.ReadMsgUDP(b, oob)
	c.stats.readDone(n, err)
	return n, oobn, flags, addr, err
}

func (c *udpConn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	n, oobn, flags, addr, err = c.UDPConn.ReadMsgUDPAddrPort(b, oob)
	c.stats.readDone(n, err)
	return n, oobn, flags, addr, err
}

// ReadBatch reads several packets with one system call where the platform has one (recvmmsg on Linux), else one
// packet. It is for IPv4 and IPv6 alike, as quic-go uses it.
func (c *udpConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	n, err := c.batch().ReadBatch(ms, flags)
	bytes := 0
	for i := range max(n, 0) {
		bytes += ms[i].N
	}
	c.stats.readDone(bytes, err)
	return n, err
}

func (c *udpConn) Write(b []byte) (int, error) {
	n, err := c.UDPConn.Write(b)
	c.stats.writeDone(n, err)
	return n, err
}

func (c *udpConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	n, err := c.UDPConn.WriteTo(b, addr)
	c.stats.writeDone(n, err)
	return n, err
}

func (c *udpConn) WriteToUDP(b []byte, addr *net.UDPAddr) (int, error) {
	n, err := c.UDPConn.WriteToUDP(b, addr)
	c.stats.writeDone(n, err)
	return n, err
}

func (c *udpConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	n, err := c.UDPConn.WriteToUDPAddrPort(b, addr)
	c.stats.writeDone(n, err)
	return n, err
}

func (c *udpConn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	n, oobn, err = c.UDPConn.WriteMsgUDP(b, oob, addr)
	c.stats.writeDone(n, err)
	return n, oobn, err
}

func (c *udpConn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	n, oobn, err = c.UDPConn.WriteMsgUDPAddrPort(b, oob, addr)
	c.stats.writeDone(n, err)
	return n, oobn, err
}

func (c *udpConn) Close() error { return c.stats.close(c.UDPConn) }

var _ interface {
	net.PacketConn
	ReadBatch([]ipv4.Message, int) (int, error)
} = (*udpConn)(nil)
