package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// Gateways that a name server lists, as a headless Service does. One dies and is taken off the list: what waits for it goes to the other,
// with nobody restarting the agent Collector. It comes back and gets services again.
func TestGatewaysByDNS(t *testing.T) {
	const (
		services   = 12
		perService = 5
		rounds     = 15 // exports with two gateways, then as many with one, and again with two
		name       = "gateways.test."
	)
	if os.Geteuid() != 0 {
		const why = "needs root: for port 53 on a loopback address, and to put a resolv.conf before a process of its own"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	dir := stack.Dir(t)
	prometheus := stack.StartPrometheus(t, dir)
	_, port, err := net.SplitHostPort(stack.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}
	var gateways []*stack.Collector
	for i, addr := range addrs {
		marked := fmt.Sprintf("gateway-%d", i+1)
		gateways = append(gateways, stack.StartTier(t, dir, marked, []string{"gateway.yaml", markedBy(t, dir, marked)},
			"PROMETHEUS_ENDPOINT="+prometheus.URL, "OTLP_GRPC_ENDPOINT="+net.JoinHostPort(addr.String(), port)))
	}
	dns := startNameServer(t, name, addrs...)
	conf := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+dns.addr+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	agent := stack.StartTierResolving(t, conf, dir, "agent", []string{"agent.yaml", "gateways-dns.yaml"}, "GATEWAY_NAME="+name, "GATEWAY_PORT="+port)
	senders := newSenders(t, agent.GRPCEndpoint, services, perService)
	total := 0.0
	by := map[string]float64{} // samples by gateway
	pass := func() {
		t.Helper()
		senders.export(t, rounds)
		total += rounds
	}
	arrived := func() (since map[string]float64) {
		t.Helper()
		wantSamples(t, prometheus, "sum by (job, series) (count_over_time(tier_rounds_total[1h]))", services*perService, total)
		now, err := prometheus.ByLabel(t.Context(), "sum by (gateway) (count_over_time(tier_rounds_total[1h]))", "gateway")
		if err != nil {
			t.Fatal(err)
		}
		since = map[string]float64{}
		for gateway, n := range now {
			since[gateway] = n - by[gateway]
		}
		by = now
		return since
	}

	pass()
	if got := arrived(); got["gateway-1"] == 0 || got["gateway-2"] == 0 {
		t.Errorf("samples by gateway: %v, want both to have some", got)
	}
	gateways[1].Kill()
	pass() // some of it waits
	dns.list(addrs[0])
	if got := arrived(); got["gateway-1"] != services*perService*rounds {
		t.Errorf("samples by gateway while one was away: %v, want all by the other", got)
	}
	gateways[1].Start(t)
	dns.list(addrs...)
	dns.awaitQuestions(t, 2) // the second comes after the answer to the first has been heeded
	pass()
	if got := arrived(); got["gateway-1"] == 0 || got["gateway-2"] == 0 {
		t.Errorf("samples by gateway after one came back: %v, want both to have some", got)
	}
}

// nameServer answers for one name.
type nameServer struct {
	addr string

	mu    sync.Mutex
	addrs []netip.Addr
	asked int // for addresses of version 4
}

// startNameServer serves at an address of its own on loopback, since resolv.conf cannot name a port.
func startNameServer(t *testing.T, name string, addrs ...netip.Addr) *nameServer {
	t.Helper()
	s := &nameServer{addr: "127.53.0.53", addrs: addrs}
	conn, err := net.ListenPacket("udp", net.JoinHostPort(s.addr, "53"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-served })
	go func() {
		defer close(served)
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if answer, err := s.answer(name, b[:n]); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return s
}

func (s *nameServer) answer(name string, question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range m.Questions {
		switch {
		case q.Name.String() != name:
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			s.asked++
			for _, a := range s.addrs {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: a.As4()},
				})
			}
		}
	}
	return m.Pack()
}

// list has it answer with these from now on.
func (s *nameServer) list(addrs ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addrs = addrs
}

// awaitQuestions waits until it has been asked n times more.
func (s *nameServer) awaitQuestions(t *testing.T, n int) {
	t.Helper()
	asked := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.asked
	}
	until := asked() + n
	stack.Until(t, 30*time.Second, "questions to the name server", func(context.Context) error {
		if now := asked(); now < until {
			return fmt.Errorf("%d to come", until-now)
		}
		return nil
	})
}
