package compat

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// relay stands between a client and a server and counts what passes, on bare sockets and by the results of its own reads and
// writes.
type relay struct {
	ln     net.Listener
	target string

	fromClient, toServer atomic.Int64
	fromServer, toClient atomic.Int64

	mu    sync.Mutex
	conns []net.Conn // all it ever had, to be closed with the test
	done  bool
	wg    sync.WaitGroup
}

// startRelay listens on loopback and passes every connection on to target.
func startRelay(t *testing.T, target string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{ln: ln, target: target}
	r.wg.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

func (r *relay) addr() string { return r.ln.Addr().String() }

// client is what the relay saw the client do, server the same of the server.
func (r *relay) client() flow {
	return flow{Sent: r.fromClient.Load(), Received: r.toClient.Load()}
}

func (r *relay) server() flow {
	return flow{Sent: r.fromServer.Load(), Received: r.toServer.Load()}
}

func (r *relay) accept() {
	for {
		client, err := r.ln.Accept()
		if err != nil {
			return
		}
		if !r.keep(client) {
			return
		}
		server, err := net.Dial("tcp", r.target)
		if err != nil {
			client.Close()
			continue
		}
		if !r.keep(server) {
			return
		}
		r.wg.Go(func() { pass(server, client, &r.toServer, &r.fromClient) })
		r.wg.Go(func() { pass(client, server, &r.toClient, &r.fromServer) })
	}
}

// keep remembers a connection for the end, or closes it if that has come.
func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done {
		c.Close()
		return false
	}
	r.conns = append(r.conns, c)
	return true
}

// pass copies one direction until its source ends, and then ends it for the sink too.
func pass(dst, src net.Conn, written, read *atomic.Int64) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		read.Add(int64(n))
		if n > 0 {
			m, werr := dst.Write(buf[:n])
			written.Add(int64(m))
			if werr != nil {
				src.Close()
				return
			}
		}
		if err == io.EOF {
			dst.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			dst.Close()
			return
		}
	}
}

func (r *relay) close() {
	r.ln.Close()
	r.mu.Lock()
	r.done = true
	for _, c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}
