package main

import (
	"net"
	"sync"
	"time"
)

// monitor is what most people write first: one map of all connections, one mutex.
type monitor struct {
	mu    sync.Mutex
	conns map[net.Conn]traffic
	sum   traffic
}

type traffic struct {
	received, sent int64
	opened, active time.Time
}

func newMonitor() *monitor { return &monitor{conns: make(map[net.Conn]traffic)} }

func (m *monitor) track(c net.Conn) net.Conn {
	mc := &monitoredConn{Conn: c, monitor: m}
	now := time.Now()
	m.mu.Lock()
	m.conns[mc] = traffic{opened: now, active: now}
	m.mu.Unlock()
	return mc
}

func (m *monitor) moved(c net.Conn, received, sent int) {
	m.mu.Lock()
	t := m.conns[c]
	t.received += int64(received)
	t.sent += int64(sent)
	t.active = time.Now()
	m.conns[c] = t
	m.mu.Unlock()
}

// collect sums everything up, as one does for a page or a scrape.
func (m *monitor) collect() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum = traffic{}
	for _, t := range m.conns {
		m.sum.received += t.received
		m.sum.sent += t.sent
	}
	return nil
}

type monitoredConn struct {
	net.Conn
	monitor *monitor
}

func (c *monitoredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.monitor.moved(c, n, 0)
	return n, err
}

func (c *monitoredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.monitor.moved(c, 0, n)
	return n, err
}

func (c *monitoredConn) Close() error {
	c.monitor.mu.Lock()
	delete(c.monitor.conns, c)
	c.monitor.mu.Unlock()
	return c.Conn.Close()
}
