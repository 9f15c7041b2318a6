package otelnet

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestConnectionsRows(t *testing.T) {
	m := newMeter(t)
	name := uniqueName("table-test")
	ln := listen(t, m.option(), WithName(name))
	server, client := pair(t, ln)
	id := statsOf(server).ID()
	want := ConnInfo{
		ID: id, Side: SideServer, Name: name, Transport: "tcp", State: "new",
		Local: server.LocalAddr().String(), Peer: client.LocalAddr().String(),
	}
	compareRow := func(state string, want ConnInfo) {
		t.Helper()
		rows := Connections(Filter{State: state, Match: strings.ToUpper(name)})
		if len(rows) != 1 {
			t.Fatalf("got %d rows, want 1", len(rows))
		}
		one, ok := ConnectionByID(id)
		if diff := cmp.Diff(rows[0], one, cmpopts.IgnoreFields(ConnInfo{}, "LastActive", "AgeSeconds", "IdleSeconds", "RTTSeconds", "ReceiveRate", "SendRate")); !ok || diff != "" {
			t.Errorf("by its ID: found %v (-in the table +got):\n%s", ok, diff)
		}
		if diff := cmp.Diff(want, rows[0], cmpopts.IgnoreFields(ConnInfo{}, "Opened", "Closed", "LastActive",
			"AgeSeconds", "IdleSeconds", "FirstByteSeconds", "RTTSeconds", "MinRTTSeconds", "ReceiveRate", "SendRate")); diff != "" {
			t.Errorf("row (-want +got):\n%s", diff)
		}
		if rows[0].Opened.IsZero() || (rows[0].State == "closed") == rows[0].Closed.IsZero() {
			t.Errorf("state %s: opened %v, closed %v", rows[0].State, rows[0].Opened, rows[0].Closed)
		}
		if (rows[0].State == "new") != rows[0].LastActive.IsZero() {
			t.Errorf("state %s: last active %v", rows[0].State, rows[0].LastActive)
		}
	}
	compareRow("", want)

	mustWrite(t, client, 7)
	mustRead(t, server, 7)
	mustWrite(t, server, 5)
	want.State, want.ReceivedBytes, want.SentBytes = "active", 7, 5
	compareRow("open", want)
	compareRow("active", want)
	if rows := Connections(Filter{State: "idle", Match: name}); len(rows) != 0 {
		t.Errorf("idle rows: got %v, want none", rows)
	}

	server.Close()
	want.State, want.CloseReason = "closed", "local"
	compareRow("closed", want)
	compareRow("all", want)
	if row, ok := ConnectionByID(1 << 62); ok {
		t.Errorf("an unknown ID: got %+v", row)
	}
	if rows := Connections(Filter{Match: name}); len(rows) != 0 {
		t.Errorf("open rows after close: got %v, want none", rows)
	}
}

func TestConnectionsSortAndLimit(t *testing.T) {
	ln := listen(t, newMeter(t).option(), WithName("sort-test"))
	var ids []uint64
	for i := range 5 {
		server, client := pair(t, ln)
		mustWrite(t, client, 10*(i+1))
		mustRead(t, server, 10*(i+1))
		ids = append(ids, statsOf(server).ID())
	}
	rows := Connections(Filter{Match: "sort-test", Sort: "-receivedBytes", Limit: 2})
	if len(rows) != 2 || rows[0].ID != ids[4] || rows[1].ID != ids[3] {
		t.Errorf("got %v, want the last two of %v, largest first", rows, ids)
	}
	rows = Connections(Filter{Match: "sort-test"})
	if len(rows) != 5 || rows[0].ID != ids[0] {
		t.Errorf("got %v, want all of %v, oldest first", rows, ids)
	}
	if rows := Connections(Filter{Sort: "nonsense"}); rows == nil || len(rows) != 0 {
		t.Errorf("a bad filter: got %v, want no rows", rows)
	}
}

// What a row tells of the socket is what the kernel says of it.
func TestConnectionsKernelColumns(t *testing.T) {
	name := uniqueName("kernel columns")
	ln := listen(t, newMeter(t).option(), WithName(name))
	server, client := pair(t, ln)
	needKernelCounts(t, statsOf(server))
	mustWrite(t, client, 900)
	mustRead(t, server, 123) // leaves 777 unread
	much := make([]byte, 64<<20)
	server.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	n, _ := server.Write(much) // the peer does not read

	for _, sort := range []string{"", "-unreadBytes", "-rttSeconds"} {
		rows := Connections(Filter{Match: name, Sort: sort})
		if len(rows) != 1 {
			t.Fatalf("got %d rows, want 1", len(rows))
		}
		r := rows[0]
		if r.UnreadBytes != 777 || r.ReceivedBytes != 900 || r.SentBytes != uint64(n) {
			t.Errorf("sorted by %q: got unread %d, received %d, sent %d, want 777, 900, %d", sort, r.UnreadBytes, r.ReceivedBytes, r.SentBytes, n)
		}
		if r.UnsentBytes == 0 || r.UnsentBytes >= uint64(n) {
			t.Errorf("sorted by %q: got %d unsent of %d, which nobody has read", sort, r.UnsentBytes, n)
		}
		if r.RTTSeconds <= 0 || r.RTTSeconds > 5 || r.MinRTTSeconds <= 0 || r.MinRTTSeconds > r.RTTSeconds {
			t.Errorf("sorted by %q: got round trip %v s, shortest %v s", sort, r.RTTSeconds, r.MinRTTSeconds)
		}
		if r.AgeSeconds < .02 || r.AgeSeconds > 60 || r.IdleSeconds < 0 || r.IdleSeconds > r.AgeSeconds {
			t.Errorf("sorted by %q: got age %v s, idle %v s", sort, r.AgeSeconds, r.IdleSeconds)
		}
	}
	server.Close()
	closed := Connections(Filter{State: "closed", Match: name})
	if len(closed) != 1 || closed[0].RTTSeconds <= 0 || closed[0].SentBytes != uint64(n) {
		t.Errorf("after the close: got %+v, want the last round trip and %d sent", closed, n)
	}
}

func TestConnectionsPage(t *testing.T) {
	ln := listen(t, newMeter(t).option(), WithName("page-test"))
	var ids []uint64
	for range 5 {
		server, _ := pair(t, ln)
		ids = append(ids, statsOf(server).ID())
	}
	rows, total := ConnectionsPage(Filter{Match: "page-test", Limit: 2, Offset: 2})
	if total != 5 || len(rows) != 2 || rows[0].ID != ids[2] || rows[1].ID != ids[3] {
		t.Errorf("got %d of %d rows %v, want the third and fourth of %v", len(rows), total, rows, ids)
	}
	if rows, total := ConnectionsPage(Filter{Match: "page-test", Limit: 2, Offset: 9}); total != 5 || rows == nil || len(rows) != 0 {
		t.Errorf("behind the end: got %v of %d, want none of 5", rows, total)
	}
}

func TestClosedRingKeepsTheLast(t *testing.T) {
	var r closedRing
	for i := range maxClosed + 10 {
		r.add(&closedRow{snapshot: snapshot{id: uint64(i)}})
	}
	seen := map[uint64]bool{}
	for _, row := range r.all() {
		seen[row.id] = true
	}
	if len(seen) != maxClosed || seen[9] || !seen[10] || !seen[maxClosed+9] {
		t.Errorf("got %d rows; row 9 %t, row 10 %t, last %t; want %d, false, true, true",
			len(seen), seen[9], seen[10], seen[maxClosed+9], maxClosed)
	}
}

// A table that is read while connections come and go shows each of them once.
func TestConnectionsDuringChurn(t *testing.T) {
	ln := listen(t, newMeter(t).option(), WithName("steady"))
	keep := map[uint64]bool{}
	for range 20 {
		server, _ := pair(t, ln)
		keep[statsOf(server).ID()] = true
	}
	churn := listen(t, newMeter(t).option(), WithName("churning"))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			c, err := net.Dial("tcp", churn.Addr().String())
			if err != nil {
				return
			}
			if s, err := churn.Accept(); err == nil {
				s.Close()
			}
			c.Close()
		}
	}()
	for range 20 {
		seen := map[uint64]int{}
		for _, row := range Connections(Filter{State: "all"}) {
			seen[row.ID]++
			if seen[row.ID] > 1 {
				t.Fatalf("connection %d has two rows", row.ID)
			}
		}
		for id := range keep {
			if seen[id] != 1 {
				t.Fatalf("connection %d has %d rows, want 1", id, seen[id])
			}
		}
	}
	close(stop)
	<-done
}

func TestRegistryGivesMemoryBack(t *testing.T) {
	ep := scopeFor(newMeter(t).provider).endpoint(endpointKey{side: SideServer, name: "burst"}, emptySet)
	var conns []*ConnStats
	for range 64 * 600 {
		s := &ConnStats{}
		s.openPacket(ep, nil)
		conns = append(conns, s)
	}
	for _, s := range conns {
		untrack(s)
	}
	total := 0
	for i := range registry.shards {
		total += cap(registry.shards[i].members)
	}
	if limit := numShards * 512; total > limit {
		t.Errorf("after the burst the shards hold room for %d, want at most %d", total, limit)
	}
}

func TestMatchLooksAtItsFields(t *testing.T) {
	row := ConnInfo{Name: "aName", Peer: "aPeer", Local: "aLocal", Route: "aRoute", State: "active", CloseReason: "reset", Protocol: "HTTP/1.1"}
	for _, match := range strings.Fields("aname APEER alocal aroute activ reset") {
		if f := (Filter{Match: match}); !f.matches(&row) {
			t.Errorf("%q does not match %s", match, fmt.Sprintf("%+v", row))
		}
	}
	if f := (Filter{Match: "http/"}); f.matches(&row) {
		t.Error("the protocol is matched, which the filter does not promise")
	}
}
