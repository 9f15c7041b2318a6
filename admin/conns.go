package admin

import (
	"net"
	"net/http"
	"sync"
)

// maxConns is how many connections may be open at once: those of the requests, and idle ones.
const maxConns = 512

// conns bounds connections: the files that the process may open are the service's. And it knows those that have sent nothing yet, as
// browsers open some for later: net/http would wait for them for five seconds when it ends.
type conns struct {
	mu    sync.Mutex
	open  int
	fresh map[net.Conn]struct{} // have sent nothing yet
	over  bool
}

// note is the server's ConnState. A connection too many is closed at once; it is counted out when its reader finds that.
func (c *conns) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fresh, conn)
	switch state {
	case http.StateNew:
		c.open++
		if c.over || c.open > maxConns {
			_ = conn.Close()
			return
		}
		if c.fresh == nil {
			c.fresh = make(map[net.Conn]struct{})
		}
		c.fresh[conn] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		c.open--
	}
}

// end closes those that have sent nothing, now and from now on.
func (c *conns) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	for conn := range c.fresh {
		_ = conn.Close()
	}
}
