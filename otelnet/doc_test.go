package otelnet

import (
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"golang.org/x/net/dns/dnsmessage"
)

// documented reads the list of metrics from the package comment: name to kind and unit.
func documented(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^\t([a-z_.]+)\s+(counter|updowncounter|histogram|gauge)\s+(\S+)\s+\S`)
	list := map[string]string{}
	for _, m := range line.FindAllStringSubmatch(f.Doc.Text(), -1) {
		list[m[1]] = m[2] + " " + m[3]
	}
	return list
}

// The package comment lists exactly the metrics that traffic of every sort leaves behind.
func TestDocumentedMetricsAreThoseRecorded(t *testing.T) {
	m := newMeter(t)

	// A request over connections of ours on both sides, then a failing accept, a reset, a name that does not exist.
	srv := &http.Server{Handler: NewHandler(http.HandlerFunc(flushing), "doc", m.option(), WithBodySizes())}
	ln := serve(t, srv, false, m.option(), WithName("front"))
	client := &http.Client{Transport: NewTransport(nil, m.option())}
	get(t, client, "http://"+ln.Addr().String())
	client.CloseIdleConnections()

	tlsPair(t, m, nil)

	failing, err := NewListener(&oneConn{err: io.ErrUnexpectedEOF}, m.option())
	if err != nil {
		t.Fatal(err)
	}
	failing.Accept()

	server, peer := pair(t, listen(t, m.option()))
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	server.Read(make([]byte, 1))
	server.Close()

	d := newTestDialer(t, &net.Dialer{Resolver: nameServer(t, dnsmessage.RCodeNameError, false)}, m.option())
	d.Dial("tcp", "nowhere.test.:80")

	eventually(t, "all connections have ended", func() bool { return m.sum(metricServerActive)+m.sum(metricClientActive) == 0 })
	recorded := map[string]string{}
	for name, x := range m.metrics() {
		recorded[name] = kind(x.Data) + " " + x.Unit
		if x.Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
	want := documented(t)
	forgetUntold(want, recorded)
	if diff := cmp.Diff(want, recorded); diff != "" {
		t.Errorf("metrics (-documented +recorded):\n%s", diff)
	}
}

func kind(data metricdata.Aggregation) string {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		if d.IsMonotonic {
			return "counter"
		}
		return "updowncounter"
	case metricdata.Sum[float64]:
		if d.IsMonotonic {
			return "counter"
		}
		return "updowncounter"
	case metricdata.Gauge[int64]:
		return "gauge"
	case metricdata.Histogram[int64], metricdata.Histogram[float64]:
		return "histogram"
	default:
		return "unknown"
	}
}

// What a service gets with this package: the OpenTelemetry API, no SDK, no exporter, and none of the agent above it.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("go list names %d packages only", len(deps))
	}
	const module = "github.com/otelnet/agent"
	for _, dep := range deps {
		switch {
		case strings.HasPrefix(dep, "go.opentelemetry.io/otel/sdk"), strings.HasPrefix(dep, "go.opentelemetry.io/otel/exporters"),
			strings.HasPrefix(dep, "google.golang.org/"):
			t.Errorf("depends on %s", dep)
		case strings.HasPrefix(dep, module) && dep != module+"/otelnet" && !strings.HasPrefix(dep, module+"/internal/"):
			t.Errorf("depends on %s, which stands beside or above it", dep)
		}
	}
}

func flushing(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }
