package otelnet

import (
	"net"
	"testing"
)

// listAddr is a net.Addr that cannot be compared.
type listAddr []string

func (listAddr) Network() string { return "list" }
func (listAddr) String() string  { return "list" }

func TestConnByAddr(t *testing.T) {
	m := newMeter(t)
	name := uniqueName("by address")
	ln := listen(t, m.option(), WithName(name))
	pair(t, ln)
	server, client := pair(t, ln)
	s, ok := ConnByAddr(server.LocalAddr(), server.RemoteAddr())
	if !ok || s != statsOf(server) {
		t.Fatalf("got %v, %t, want the accepted connection", s, ok)
	}
	for what, addr := range map[string][2]net.Addr{
		"a foreign connection": {client.LocalAddr(), client.RemoteAddr()},
		"nil":                  {nil, nil},
		"what cannot compare":  {listAddr{}, listAddr{}},
		"equal but another":    {&net.TCPAddr{}, &net.TCPAddr{}},
	} {
		if s, ok := ConnByAddr(addr[0], addr[1]); ok || s != nil {
			t.Errorf("%s: got %v, want none", what, s)
		}
	}

	s.BeginRequest(2, 0)
	s.BeginRequest(2, 0)
	s.EndRequest("/pkg.Service/Method", true)
	rows := Connections(Filter{Match: "/pkg.service/method"})
	if len(rows) != 1 || rows[0].Requests != 2 || rows[0].Errors != 1 || rows[0].Protocol != "HTTP/2.0" || s.InFlight() != 1 {
		t.Errorf("rows: got %+v, %d in flight, want 2 requests, 1 error over HTTP/2.0, 1 in flight", rows, s.InFlight())
	}
	server.Close()
	if _, ok := ConnByAddr(server.LocalAddr(), server.RemoteAddr()); ok {
		t.Error("a closed connection is still found")
	}
}
