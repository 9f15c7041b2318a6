package otelnet

import (
	"context"
	"net"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/net/dns/dnsmessage"
)

func newTestDialer(t *testing.T, inner *net.Dialer, opts ...DialerOption) *Dialer {
	t.Helper()
	d, err := NewDialer(inner, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDialCountsConnection(t *testing.T) {
	m := newMeter(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := newTestDialer(t, nil, m.option())
	client, err := d.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	mustWrite(t, client, 123)
	mustRead(t, server, 123)
	mustWrite(t, server, 45)
	mustRead(t, client, 45)

	port := ln.Addr().(*net.TCPAddr).Port
	address := []attribute.KeyValue{attribute.String("server.address", "127.0.0.1"), attribute.Int("server.port", port)}
	target := attribute.String("otelnet.target", ln.Addr().String())
	side := attribute.String("otelnet.side", "client")
	if got := m.sum(metricClientActive, address...); got != 1 {
		t.Errorf("active: got %d, want 1", got)
	}
	client.Close()
	for _, tt := range []struct {
		metric string
		with   []attribute.KeyValue
		want   int64
	}{
		{metricClientActive, address, 0},
		{metricClientConnections, address, 1},
		{metricClientDuration, append(address, reason("local")), 1},
		{metricDialDuration, append(address, attribute.String("network.type", "ipv4")), 1},
		{metricConnectDuration, []attribute.KeyValue{attribute.String("network.type", "ipv4")}, 1},
		{metricIO, []attribute.KeyValue{transmit, target, side}, 123},
		{metricIO, []attribute.KeyValue{receive, target, side}, 45},
		{metricDNSDuration, nil, 0},
	} {
		if got := m.sum(tt.metric, tt.with...); got != tt.want {
			t.Errorf("%s with %v: got %d, want %d", tt.metric, tt.with, got, tt.want)
		}
	}
}

func TestDialFailures(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		m := newMeter(t)
		address := closedPort(t)
		_, want := net.Dial("tcp", address)
		_, err := newTestDialer(t, nil, m.option()).Dial("tcp", address)
		if err == nil || err.Error() != want.Error() {
			t.Fatalf("got %v, want the bare dialer's %v", err, want)
		}
		for _, name := range []string{metricDialDuration, metricConnectDuration} {
			if got := m.sum(name, errType("connection_refused")); got != 1 {
				t.Errorf("%s refused: got %d, want 1", name, got)
			}
		}
		if got := m.sum(metricClientConnections); got != 0 {
			t.Errorf("connections: got %d, want 0", got)
		}
	})
	t.Run("unknown name", func(t *testing.T) {
		m := newMeter(t)
		d := newTestDialer(t, &net.Dialer{Resolver: nameServer(t, dnsmessage.RCodeNameError, false)}, m.option())
		if _, err := d.Dial("tcp", "nowhere.test.:80"); err == nil {
			t.Fatal("got no error")
		}
		for _, name := range []string{metricDialDuration, metricDNSDuration} {
			if got := m.sum(name, errType("dns_not_found")); got != 1 {
				t.Errorf("%s: got %d, want 1", name, got)
			}
		}
		if got := m.sum(metricConnectDuration); got != 0 {
			t.Errorf("connects: got %d, want 0", got)
		}
	})
	t.Run("canceled", func(t *testing.T) {
		m := newMeter(t)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := newTestDialer(t, nil, m.option()).DialContext(ctx, "tcp", "127.0.0.1:1"); err == nil {
			t.Fatal("got no error")
		}
		if got := m.sum(metricDialDuration, errType("canceled")); got != 1 {
			t.Errorf("canceled dials: got %d, want 1", got)
		}
	})
}

// A name that is looked up is timed, also when it comes from the hosts file.
func TestLookupIsRecorded(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option())
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := newTestDialer(t, nil, m.option()).Dial("tcp", net.JoinHostPort("localhost", port))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := m.sum(metricDNSDuration); got != 1 {
		t.Errorf("%s: got %d, want 1", metricDNSDuration, got)
	}
	for _, set := range m.attrSets(metricDNSDuration) {
		if name, _ := set.Value("dns.question.name"); set.Len() != 1 || name.AsString() != "localhost" {
			t.Errorf("%s carries %v, want dns.question.name localhost alone", metricDNSDuration, set.ToSlice())
		}
	}
}

// Names over the limit share one, as targets do: what is dialled may come from a stranger.
func TestLookupsAreCapped(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option())
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := newTestDialer(t, nil, m.option(), WithTargetLimit(0)).Dial("tcp", net.JoinHostPort("localhost", port))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := m.sum(metricDNSDuration, attribute.String("dns.question.name", other)); got != 1 {
		t.Errorf("got %v, want dns.question.name %s", m.attrSets(metricDNSDuration), other)
	}
}

// Control and ControlContext of the caller's dialer are called for each socket.
func TestDialKeepsControl(t *testing.T) {
	ln := listen(t)
	type key struct{}
	calls := 0
	control := func(network, address string) {
		calls++
		if network != "tcp4" || address != ln.Addr().String() {
			t.Errorf("got %s %s, want tcp4 %s", network, address, ln.Addr())
		}
	}
	for name, inner := range map[string]*net.Dialer{
		"Control": {Control: func(network, address string, _ syscall.RawConn) error {
			control(network, address)
			return nil
		}},
		"ControlContext": {ControlContext: func(ctx context.Context, network, address string, _ syscall.RawConn) error {
			control(network, address)
			if ctx.Value(key{}) != "mine" {
				t.Error("the context has lost its value")
			}
			return nil
		}},
	} {
		calls = 0
		ctx := context.WithValue(context.Background(), key{}, "mine")
		c, err := newTestDialer(t, inner, newMeter(t).option()).DialContext(ctx, "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if calls != 1 {
			t.Errorf("%s: called %d times, want 1", name, calls)
		}
	}
}

func TestTargetsAreCapped(t *testing.T) {
	m := newMeter(t)
	d := newTestDialer(t, nil, m.option(), WithTargetLimit(2))
	for range 2 { // the known ones stay known
		for i := range 10 {
			d.Dial("tcp", "127.0.0.1:"+strconv.Itoa(i+1))
		}
	}
	seen := map[string]int{}
	for _, set := range m.attrSets(metricDialDuration) {
		host, _ := set.Value("server.address")
		port, ok := set.Value("server.port")
		if host.AsString() == other && ok {
			t.Errorf("the rest has server.port %v", port.AsInt64())
		}
		seen[target{host.AsString(), int(port.AsInt64())}.String()]++
	}
	if len(seen) != 3 || seen["127.0.0.1:1"] == 0 || seen["127.0.0.1:2"] == 0 || seen[other] == 0 {
		t.Errorf("targets: got %v, want the first two and %s", seen, other)
	}
}

func TestNamedTarget(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option())
	c, err := newTestDialer(t, nil, m.option(), WithName("orders-db")).Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mustWrite(t, c, 9)
	if got := m.sum(metricIO, transmit, attribute.String("otelnet.target", "orders-db")); got != 9 {
		t.Errorf("bytes to orders-db: got %d, want 9", got)
	}
}

func TestDialKeepsOtherTraces(t *testing.T) {
	ln := listen(t)
	var done atomic.Int32
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		ConnectDone: func(string, string, error) { done.Add(1) },
	})
	d := newTestDialer(t, nil, newMeter(t).option())
	for range 3 {
		c, err := d.DialContext(ctx, "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if got := done.Load(); got != 3 {
		t.Errorf("the caller's ConnectDone ran %d times, want 3", got)
	}
}

func TestDialerOptionErrors(t *testing.T) {
	if _, err := NewDialer(nil, WithTargetLimit(-1)); err == nil {
		t.Error("a negative limit: got no error")
	}
}

func TestParseTarget(t *testing.T) {
	for _, tt := range []struct {
		network, address string
		want             target
	}{
		{"tcp", "db.internal:5432", target{"db.internal", 5432}},
		{"tcp", "[::1]:80", target{"::1", 80}},
		{"tcp", ":80", target{"localhost", 80}},
		{"tcp", "nonsense", target{"nonsense", 0}},
		{"unix", "/run/x.sock", target{"/run/x.sock", 0}},
	} {
		if got := parseTarget(tt.network, tt.address); got != tt.want {
			t.Errorf("%s %s: got %v, want %v", tt.network, tt.address, got, tt.want)
		}
	}
}

func TestDialUDP(t *testing.T) {
	m := newMeter(t)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	c, err := newTestDialer(t, nil, m.option(), WithName("stats")).Dial("udp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, c, 50)
	if n, _, err := pc.ReadFrom(make([]byte, 100)); n != 50 || err != nil {
		t.Fatalf("peer read %d, %v, want 50", n, err)
	}
	c.Close()
	if got := m.sum(metricIO, transmit, attribute.String("otelnet.target", "stats")); got != 50 {
		t.Errorf("bytes: got %d, want 50", got)
	}
	if got := m.sum(metricClientConnections); got != 0 {
		t.Errorf("a UDP socket counts as %d connections, want 0", got)
	}
}
