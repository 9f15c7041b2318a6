package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/otelnet/agent/otelnet"
)

const (
	echoIdle  = 30 * time.Second // a TCP peer that is silent for so long is let go
	echoConns = 256              // at once; further ones wait in the kernel's accept queue
	echoQueue = 32               // how many can wait there, where the system lets that be said
)

// echoServer sends back what it gets, over TCP and UDP.
type echoServer struct {
	tcp net.Listener
	udp net.PacketConn

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	wg     sync.WaitGroup
	slots  chan struct{}
	gate   sync.RWMutex // held while the server accepts nobody
}

// listenEcho opens TCP and UDP on the same port. With port 0 the two may differ.
func listenEcho(addr string) (*echoServer, error) {
	plain, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	shortenQueue(plain, echoQueue)
	ln, err := otelnet.NewListener(plain, otelnet.WithName("echo"))
	if err != nil {
		plain.Close()
		return nil, err
	}
	inner, err := net.ListenPacket("udp", addr)
	if err != nil {
		ln.Close()
		return nil, err
	}
	pc, err := otelnet.NewPacketConn(inner, otelnet.WithName("echo"))
	if err != nil {
		ln.Close()
		inner.Close()
		return nil, err
	}
	return &echoServer{tcp: ln, udp: pc, conns: make(map[net.Conn]struct{}), slots: make(chan struct{}, echoConns)}, nil
}

func (s *echoServer) serveTCP() error {
	for {
		s.admit()
		c, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept on %s: %w", s.tcp.Addr(), err)
		}
		if !s.add(c) {
			c.Close()
			return nil
		}
		go func() {
			defer s.remove(c)
			echo(c)
		}()
	}
}

// admit waits until one more connection can be taken.
func (s *echoServer) admit() {
	s.slots <- struct{}{}
	s.gate.RLock()
	defer s.gate.RUnlock()
}

// stall keeps the server from accepting, until it is called with false. A nil server is none that could.
func (s *echoServer) stall(on bool) {
	switch {
	case s == nil:
	case on:
		s.gate.Lock()
	default:
		s.gate.Unlock()
	}
}

// echo ends with the peer, or when it has been silent for too long.
func echo(c net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		c.SetDeadline(time.Now().Add(echoIdle))
		n, err := c.Read(buf)
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (s *echoServer) serveUDP() error {
	buf := make([]byte, 64<<10)
	for failed := 0; ; {
		n, peer, err := s.udp.ReadFrom(buf)
		switch {
		case err == nil:
			failed = 0
			s.udp.WriteTo(buf[:n], peer)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			// Some systems report a peer's closed port here, which has nothing to do with the next packet.
			if failed++; failed == 100 {
				return fmt.Errorf("read on %s: %w", s.udp.LocalAddr(), err)
			}
		}
	}
}

func (s *echoServer) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *echoServer) remove(c net.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	<-s.slots
	s.wg.Done()
}

// close ends both servers and every connection, and waits for those.
func (s *echoServer) close() {
	s.tcp.Close()
	s.udp.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}
