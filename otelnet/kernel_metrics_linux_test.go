//go:build linux && !386 && !s390x

package otelnet

import (
	"bytes"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// witness asks the kernel itself, and again afterwards: it calls check only with an answer that did not change meanwhile.
func witness(t *testing.T, s *ConnStats, measure func(), check func(tcpinfo.Info)) {
	t.Helper()
	rd := tcpinfo.NewReader()
	eventually(t, "a socket at rest", func() bool {
		if err := rd.Read(s.raw); err != nil {
			t.Fatal(err)
		}
		before := rd.Info
		measure()
		if err := rd.Read(s.raw); err != nil {
			t.Fatal(err)
		}
		after := rd.Info
		if before.SegmentsIn != after.SegmentsIn || before.SegmentsOut != after.SegmentsOut || before.BusyTime != after.BusyTime ||
			before.Retransmits != after.Retransmits {
			return false
		}
		check(after)
		return true
	})
}

func TestKernelCountersAreTheKernels(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option(), WithName("front"))
	server, client := pair(t, ln)
	stats := statsOf(server)

	// The peer does not read until we are held back.
	written := make(chan int)
	go func() {
		n, _ := server.Write(make([]byte, 64<<20))
		written <- n
	}()
	rd := tcpinfo.NewReader()
	eventually(t, "the kernel holds us back", func() bool {
		if err := rd.Read(stats.raw); err != nil {
			t.Fatal(err)
		}
		return rd.Info.RwndLimited+rd.Info.SndbufLimited >= 20*time.Millisecond
	})
	server.SetWriteDeadline(time.Now())
	mustRead(t, client, <-written)
	mustWrite(t, client, 1000)
	mustRead(t, server, 1000)

	front := []attribute.KeyValue{attribute.String("otelnet.listener", "front"), attribute.String("otelnet.side", "server")}
	var sent, received, retransmits int64
	var busy, rwnd, sndbuf float64
	measure := func() {
		sent, received = m.sum(metricSegments, append(front, transmit)...), m.sum(metricSegments, append(front, receive)...)
		retransmits = m.sum(metricRetransmits, front...)
		busy, rwnd, sndbuf = m.seconds(metricBusyTime, front...), m.seconds(metricRwndLimitedTime, front...), m.seconds(metricSndbufLimitedTime, front...)
	}
	same := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: got %v, the kernel says %v", name, got, want)
		}
	}
	var first tcpinfo.Info
	witness(t, stats, measure, func(i tcpinfo.Info) {
		first = i
		same("segments sent", float64(sent), float64(i.SegmentsOut))
		same("segments received", float64(received), float64(i.SegmentsIn))
		same("retransmits", float64(retransmits), float64(i.Retransmits))
		same("busy", busy, i.BusyTime.Seconds())
		same("rwnd limited", rwnd, i.RwndLimited.Seconds())
		same("sndbuf limited", sndbuf, i.SndbufLimited.Seconds())
		if i.BusyTime < 20*time.Millisecond || i.RwndLimited+i.SndbufLimited < 20*time.Millisecond {
			t.Errorf("the kernel saw %v busy, %v and %v held back, so nothing was tested", i.BusyTime, i.RwndLimited, i.SndbufLimited)
		}
	})

	// The sums outlive the connection, and the next one adds to them.
	server.Close()
	second, _ := pair(t, ln)
	witness(t, statsOf(second), measure, func(i tcpinfo.Info) {
		same("segments sent by both", float64(sent), float64(first.SegmentsOut)+float64(i.SegmentsOut))
		same("segments received by both", float64(received), float64(first.SegmentsIn)+float64(i.SegmentsIn))
		same("busy, both", busy, (first.BusyTime + i.BusyTime).Seconds())
	})
}

func TestKernelMetricsAreAbsentWhereTheKernelDoesNotCount(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option())
	ln.(*tcpListener).mode = countByCalls
	server, client := pair(t, ln)
	mustWrite(t, server, 10)
	mustRead(t, client, 10)
	server.Close()
	for name := range m.metrics() {
		if strings.HasPrefix(name, "otelnet.tcp.") || name == metricQueueWait {
			t.Errorf("got %s", name)
		}
	}
}

// due makes the next sweep of the meter's scope take samples.
func due(m *meter) { scopeFor(m.provider).sampledAt.Store(sinceStart() - int64(sampleEvery)) }

func TestRoundTripTimesAreSampled(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option(), WithName("front"))
	server, client := pair(t, ln)
	mustWrite(t, server, 10)
	mustRead(t, client, 10)
	mustWrite(t, client, 10) // carries the acknowledgement
	mustRead(t, server, 10)
	rd := tcpinfo.NewReader()
	if err := rd.Read(statsOf(server).raw); err != nil {
		t.Fatal(err)
	}
	due(m)
	front := attribute.String("otelnet.listener", "front")
	for range 3 { // collecting more often makes no more samples
		if got := m.sum(metricRTT, front); got != 1 {
			t.Fatalf("samples while open: got %d, want 1", got)
		}
	}
	if got, want := m.seconds(metricRTT, front), rd.Info.RTT.Seconds(); math.Abs(got-want) > 1e-9 || want == 0 {
		t.Errorf("rtt: got %v s, the kernel says %v", got, want)
	}
	if got, want := m.seconds(metricMinRTT, front), rd.Info.MinRTT.Seconds(); math.Abs(got-want) > 1e-9 || want == 0 {
		t.Errorf("min rtt: got %v s, the kernel says %v", got, want)
	}
	due(m) // else the kernel's clock may not tell what came after the sample
	mustWrite(t, client, 10)
	mustRead(t, server, 10)
	server.Close()
	if got := m.sum(metricRTT, front); got != 2 {
		t.Errorf("samples after the close: got %d, want 2", got)
	}
}

func TestSampleNeedsNews(t *testing.T) {
	second := int64(time.Second)
	s := &ConnStats{opened: 100 * second}
	tests := []struct {
		name       string
		rtt, ack   time.Duration
		now, since int64
		want       bool
	}{
		{"acknowledged since the last sample", time.Millisecond, time.Second, 120 * second, 110 * second, true},
		{"idle since then", time.Millisecond, 11 * time.Second, 120 * second, 110 * second, false},
		{"first sample, used since it was opened", time.Millisecond, 15 * time.Second, 120 * second, 0, true},
		{"nothing measured yet", 0, time.Second, 120 * second, 110 * second, false},
	}
	for _, tt := range tests {
		got := s.sampleRTT(&tcpinfo.Info{RTT: tt.rtt, LastAck: tt.ack}, tt.now, tt.since)
		if (got.smoothed != 0) != tt.want {
			t.Errorf("%s: got %v, want a sample %t", tt.name, got, tt.want)
		}
	}
}

func TestAcceptQueueWait(t *testing.T) {
	m := newMeter(t)
	ln := listen(t, m.option(), WithName("front"))
	before := time.Now()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	connected := time.Now()
	time.Sleep(60 * time.Millisecond) // what is to be measured
	waited := time.Since(connected)
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	most := time.Since(before)

	const tick = 10 * time.Millisecond // the coarsest clock of a kernel
	got := m.seconds(metricQueueWait, attribute.String("otelnet.listener", "front"))
	if got < (waited-tick).Seconds() || got > (most+tick).Seconds() {
		t.Errorf("got %v s, want %v to %v", got, waited, most)
	}
	if n := m.sum(metricQueueWait); n != 1 {
		t.Errorf("recorded %d times, want 1", n)
	}
}

func TestAcceptQueueLength(t *testing.T) {
	m := newMeter(t)
	one, other := listen(t, m.option(), WithName("front")), listen(t, m.option(), WithName("front"))
	front := attribute.String("otelnet.listener", "front")
	for _, ln := range []net.Listener{one, one, one, other} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	b, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	somaxconn, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	want := func(length, limit int64) {
		t.Helper()
		if got := m.sum(metricQueueLength, front); got != length {
			t.Errorf("length: got %d, want %d", got, length)
		}
		if got := m.sum(metricQueueLimit, front); got != limit {
			t.Errorf("limit: got %d, want %d", got, limit)
		}
	}
	want(4, 2*somaxconn)
	c, err := one.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	want(3, 2*somaxconn)
	one.Close()
	want(1, somaxconn)
	other.Close()
	if got, ok := m.metrics()[metricQueueLength]; ok {
		t.Errorf("with no listener left: got %v", got.Data)
	}
}

// Go's listeners speak Multipath TCP where they can, and dialers if they are told to. Counts are exact either way.
func TestMultipathTCP(t *testing.T) {
	const inner = "OTELNET_TEST_MULTIPATH"
	if os.Getenv(inner) != "" {
		m := newMeter(t)
		ln := listen(t, m.option(), WithName("front"))
		d := &net.Dialer{}
		d.SetMultipathTCP(true)
		client, err := d.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, client, 70_000)
		mustRead(t, server, 70_000)
		mustWrite(t, server, 900)
		mustRead(t, client, 900)
		mp, _ := client.(*net.TCPConn).MultipathTCP()
		_, kernel := server.(*tcpConn)
		t.Logf("multipath %t, counted by the kernel %t", mp, kernel)
		if mp && kernel {
			t.Error("the first subflow's counts are taken for the connection's")
		}
		m.wantIO(900, 70_000)
		client.Close()
		io.Copy(io.Discard, server)
		server.Close()
		m.wantIO(900, 70_000)
		m.wantEnd("remote", "")
		return
	}
	for _, setting := range []string{"multipathtcp=0", "multipathtcp=1", "multipathtcp=2"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMultipathTCP$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG="+setting, inner+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", setting, err, out)
		} else if !bytes.Contains(out, []byte("counted by the kernel")) {
			t.Errorf("%s: the test did not run:\n%s", setting, out)
		}
	}
}
