package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/otelnet"
)

// shop is an agent's page whose numbers are known: 100 requests and 20,000 bytes in ten seconds, one alert, three connections.
func shop(t *testing.T) string {
	t.Helper()
	store, err := history.New(history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, at := range []time.Time{now.Add(-10 * time.Second), now} {
		n := uint64(i)
		store.Append(at, &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{
			{Name: "http.server.request.duration", Data: metricdata.Histogram[float64]{
				Temporality: metricdata.CumulativeTemporality,
				DataPoints: []metricdata.HistogramDataPoint[float64]{
					{Attributes: attribute.NewSet(attribute.String("http.route", "/a")), Bounds: []float64{0.1, 0.2}, BucketCounts: []uint64{75 * n, 0, 0}},
					{Attributes: attribute.NewSet(attribute.String("error.type", "500")), Bounds: []float64{0.1, 0.2}, BucketCounts: []uint64{25 * n, 0, 0}},
				},
			}},
			{Name: "otelnet.connection.io", Data: metricdata.Sum[int64]{
				IsMonotonic: true, Temporality: metricdata.CumulativeTemporality,
				DataPoints: []metricdata.DataPoint[int64]{
					{Attributes: attribute.NewSet(attribute.String("network.io.direction", "receive")), Value: int64(20_000 * n)},
				},
			}},
		}}}})
	}
	server, err := admin.New(admin.Config{
		Addr: "127.0.0.1:0", History: store, Service: admin.Service{Name: "shop"}, Alerts: oneAlert{}, Connections: threeRows,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return strings.TrimSuffix(server.URL(), "/")
}

type oneAlert struct{}

func (oneAlert) Alerts() []alertproc.Alert {
	return []alertproc.Alert{{
		Labels: map[string]string{"alertname": "Slow"}, Annotations: map[string]string{"summary": "p99 is \x1b[2J high"}, State: alertproc.StateFiring,
	}}
}

func (oneAlert) Rules() []alertproc.GroupStatus { return nil }

// threeRows gives rows in the order of their ids, or the other way round for any descending column.
func threeRows(f otelnet.Filter) ([]otelnet.ConnInfo, int) {
	rows := []otelnet.ConnInfo{
		{ID: 1, Peer: "10.0.0.1:50000", Name: "api", State: "active", AgeSeconds: 245, SendRate: 1234, RTTSeconds: 0.0015, Route: "/a"},
		{ID: 2, Peer: "10.0.0.2:50000", Name: "ev\x1b[31mil\n", State: "idle"},
		{ID: 3, Peer: "10.0.0.3:50000", Name: "api", State: "idle", Side: otelnet.SideClient},
	}
	if strings.HasPrefix(f.Sort, "-") {
		rows[0], rows[2] = rows[2], rows[0]
	}
	return rows[min(f.Offset, 3):], 3
}

func TestTopPrintsOnceWhenPiped(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"top", "-sort", "id", shop(t)}, &out, &errs); code != exitDone || errs.Len() > 0 {
		t.Fatalf("exit %d, %s", code, &errs)
	}
	got := out.String()
	for _, want := range []string{
		"shop  go1.", "requests 10/s  errors 25%  p50 50ms  p99 99ms  in 2.00kB/s  out 0B/s  connections 3\n",
		"FIRING Slow: p99 is ?[2J high\n", "ID^  PEER            VIA         STATE     AGE  REQ/S", "  1  10.0.0.1:50000  api         active  4m05s",
		"ev?[31mil?", "> api", "1.23k  1.50ms",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if strings.ContainsAny(got, "\x1b\r") {
		t.Errorf("control characters in %q", got)
	}
}

func TestTopErrors(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	text := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	defer text.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, tc := range []struct {
		args []string
		code int
		want string // of the first line
	}{
		{[]string{"127.0.0.1:port"}, exitError, `top: "127.0.0.1:port" is not the address of a page: invalid port ":port" after host`},
		{[]string{strings.TrimPrefix(gone.URL, "http://")}, exitError, "top: " + gone.URL + ": dial tcp " + strings.TrimPrefix(gone.URL, "http://") + ": connect: connection refused"},
		{[]string{"ftp://host"}, exitError, `top: "ftp://host" is not the address of a page: want http://host:port or https://host:port`},
		{[]string{gone.URL}, exitError, "top: " + gone.URL + ": dial tcp " + strings.TrimPrefix(gone.URL, "http://") + ": connect: connection refused"},
		{[]string{other.URL}, exitError, "top: " + other.URL + ": 404 Not Found for /api/status: is this the page of an agent?"},
		{[]string{text.URL}, exitError, "top: " + text.URL + ": the answer for /api/status is not JSON: is this the page of an agent?"},
		{[]string{"-rows", "0", text.URL}, exitUsage, "otelnet: top: -rows 0: want 1 to 10000"},
		{[]string{"-every", "1ms"}, exitUsage, "otelnet: top: -every 1ms: want 200ms to 1h"},
		{[]string{"a", "b"}, exitUsage, `otelnet: top: unexpected argument "b"`},
		{[]string{"-state", "odd"}, exitUsage, `otelnet: top: state: "odd" is unknown; allowed are open, closed, all, new, active, idle`},
		{[]string{"-nope"}, exitUsage, "otelnet: top: there is no option -nope"},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"top"}, tc.args...), &out, &errs)
		first, rest, _ := strings.Cut(errs.String(), "\n")
		if code != tc.code || first != tc.want || out.Len() > 0 {
			t.Errorf("top %q: exit %d, %q, printed %q; want exit %d, %q", tc.args, code, first, &out, tc.code, tc.want)
		}
		if code == exitError && rest != "" {
			t.Errorf("top %q: more than one line: %q", tc.args, rest)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestScreenKeepsToItsSize(t *testing.T) {
	s := &sight{at: time.Now(), total: 50}
	s.status.Connections = true
	s.status.Service.Name = strings.Repeat("long ", 40)
	for range 50 {
		s.rows = append(s.rows, otelnet.ConnInfo{Peer: "[2001:db8::1]:50000", Name: "ünïcode", Route: strings.Repeat("/x", 60)})
	}
	for _, size := range [][2]int{{80, 24}, {200, 60}, {20, 5}, {1, 1}, {3, 2}} {
		lines := strings.Split(strings.TrimSuffix(render(s, screen{width: size[0], height: size[1], line: keysLine, filter: otelnet.Filter{Sort: "-peer"}}), "\n"), "\n")
		if len(lines) != size[1] {
			t.Errorf("%v: %d lines, want %d", size, len(lines), size[1])
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > size[0] {
				t.Errorf("%v: a line of %d characters: %q", size, n, l)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{number(0), "0"},
		{number(7), "7"},
		{number(0.25), "0.25"},
		{number(12.34), "12.3"},
		{number(999.4), "999"},
		{number(999.6), "1.00k"},
		{number(45_600_000), "45.6M"},
		{number(123_456), "123k"},
		{latency(0), "-"},
		{latency(0.00042), "420us"},
		{latency(0.25), "250ms"},
		{latency(1.5), "1.50s"},
		{span(12), "12s"},
		{span(245), "4m05s"},
		{span(11_520), "3h12m"},
		{span(183_600), "2d03h"},
		{percent(0.25), "25%"},
		{fit("abcdef", 4), "abc~"},
		{fit("abc", 0), "abc"},
		{clean("a\x1b\x00ü"), "a??ü"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}
