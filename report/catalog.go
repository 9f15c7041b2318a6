package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// known is what the report knows of a metric beyond what its source says.
type known struct {
	name, unit string
	kind       Kind
	// split is an attribute by whose values the metric has rows beside the one for all of it.
	split string
	// onlyParts says that the sum over split means nothing.
	onlyParts bool
}

const (
	requestDuration = "http.server.request.duration"
	alertState      = "otelnet.alert.state"
)

// catalog is every metric that this module records, so that sources whose store has other names can give these, and tell what the
// numbers are. A test of the module holds it against README's table.
var catalog = []known{
	{name: requestDuration, unit: "s", kind: Histogram},
	{name: "http.server.active_requests", unit: "{request}"},
	{name: "http.server.request.body.size", unit: "By", kind: Histogram},
	{name: "http.server.response.body.size", unit: "By", kind: Histogram},
	{name: "http.client.request.duration", unit: "s", kind: Histogram},
	{name: "http.client.active_requests", unit: "{request}"},
	{name: "http.client.open_connections", unit: "{connection}", split: "http.connection.state"},
	{name: "http.client.connection.duration", unit: "s", kind: Histogram},
	{name: "otelnet.client.response.duration", unit: "s", kind: Histogram},
	{name: "otelnet.client.connection.uses", unit: "{request}", kind: Counter},
	{name: "otelnet.client.request.resends", unit: "{request}", kind: Counter},
	{name: "otelnet.server.time_to_first_byte", unit: "s", kind: Histogram},
	{name: "otelnet.server.upgraded_connections", unit: "{connection}"},
	{name: "otelnet.server.active_connections", unit: "{connection}"},
	{name: "otelnet.server.connections", unit: "{connection}", kind: Counter},
	{name: "otelnet.server.connection.duration", unit: "s", kind: Histogram},
	{name: "otelnet.server.accept.errors", unit: "{error}", kind: Counter},
	{name: "otelnet.server.accept_queue.wait", unit: "s", kind: Histogram},
	{name: "otelnet.server.accept_queue.length", unit: "{connection}"},
	{name: "otelnet.server.accept_queue.limit", unit: "{connection}"},
	{name: "otelnet.server.tls.handshake.duration", unit: "s", kind: Histogram},
	{name: "otelnet.client.tls.handshake.duration", unit: "s", kind: Histogram},
	{name: "otelnet.client.active_connections", unit: "{connection}"},
	{name: "otelnet.client.connections", unit: "{connection}", kind: Counter},
	{name: "otelnet.client.connection.duration", unit: "s", kind: Histogram},
	{name: "otelnet.client.dial.duration", unit: "s", kind: Histogram},
	{name: "otelnet.client.connect.duration", unit: "s", kind: Histogram},
	{name: "dns.lookup.duration", unit: "s", kind: Histogram},
	{name: "otelnet.connection.io", unit: "By", kind: Counter, split: "network.io.direction"},
	{name: "otelnet.connection.errors", unit: "{error}", kind: Counter},
	{name: "otelnet.tcp.rtt", unit: "s", kind: Histogram},
	{name: "otelnet.tcp.min_rtt", unit: "s", kind: Histogram},
	{name: "otelnet.tcp.retransmits", unit: "{segment}", kind: Counter},
	{name: "otelnet.tcp.segments", unit: "{segment}", kind: Counter, split: "network.io.direction"},
	{name: "otelnet.tcp.busy_time", unit: "s", kind: Counter},
	{name: "otelnet.tcp.rwnd_limited_time", unit: "s", kind: Counter},
	{name: "otelnet.tcp.sndbuf_limited_time", unit: "s", kind: Counter},
	{name: "go.memory.used", unit: "By", split: "go.memory.type"},
	{name: "go.memory.limit", unit: "By"},
	{name: "go.memory.allocated", unit: "By", kind: Counter},
	{name: "go.memory.allocations", unit: "{allocation}", kind: Counter},
	{name: "go.memory.gc.goal", unit: "By"},
	{name: "go.memory.gc.cycles", unit: "{gc_cycle}", kind: Counter},
	{name: "go.memory.gc.pause.duration", unit: "s", kind: Histogram},
	{name: "go.goroutine.count", unit: "{goroutine}"},
	{name: "go.processor.limit", unit: "{thread}"},
	{name: "go.config.gogc", unit: "%"},
	{name: "go.schedule.duration", unit: "s", kind: Histogram},
	{name: "go.cpu.time", unit: "s", kind: Counter, split: "go.cpu.state", onlyParts: true},
	{name: "otelnet.go.memory.heap.live", unit: "By"},
	{name: "otelnet.go.memory.heap.objects", unit: "{object}"},
	{name: "otelnet.go.goroutine.states", unit: "{goroutine}", split: "otelnet.go.goroutine.state", onlyParts: true},
	{name: "otelnet.go.goroutine.created", unit: "{goroutine}", kind: Counter},
	{name: "otelnet.go.gc.limiter.last", unit: "{gc_cycle}"},
	{name: "otelnet.go.thread.count", unit: "{thread}"},
	{name: "otelnet.go.mutex.wait.time", unit: "s", kind: Counter},
	{name: "otelnet.go.cgo.calls", unit: "{call}", kind: Counter},
	{name: "otelnet.go.pause.duration", unit: "s", kind: Histogram},
	{name: "otelnet.go.finalizer.queued", unit: "{finalizer}", kind: Counter},
	{name: "otelnet.go.finalizer.executed", unit: "{finalizer}", kind: Counter},
	{name: "otelnet.go.cleanup.queued", unit: "{cleanup}", kind: Counter},
	{name: "otelnet.go.cleanup.executed", unit: "{cleanup}", kind: Counter},
	{name: "process.cpu.time", unit: "s", kind: Counter, split: "cpu.mode"},
	{name: "process.memory.usage", unit: "By"},
	{name: "process.unix.file_descriptor.count", unit: "{file_descriptor}"},
	{name: "otelnet.process.unix.file_descriptor.limit", unit: "{file_descriptor}"},
	{name: "otelnet.container.cpu.limit", unit: "{cpu}"},
	{name: "otelnet.container.cpu.periods", unit: "{period}", kind: Counter},
	{name: "otelnet.container.cpu.throttled.periods", unit: "{period}", kind: Counter},
	{name: "otelnet.container.cpu.throttled.time", unit: "s", kind: Counter},
	{name: "otelnet.container.memory.limit", unit: "By"},
	{name: alertState, unit: "{state}"},
	{name: "otelnet.agent.tick.duration", unit: "s", kind: Histogram},
	{name: "otelnet.agent.exports", unit: "{export}", kind: Counter},
	{name: "otelnet.agent.export.failures", unit: "{export}", kind: Counter},
	{name: "otelnet.agent.notifications", unit: "{notification}", kind: Counter},
	{name: "otelnet.agent.spool.requests", unit: "{request}"},
	{name: "otelnet.agent.spool.size", unit: "By"},
	{name: "otelnet.agent.spool.sent", unit: "{request}", kind: Counter},
	{name: "otelnet.agent.spool.rejected", unit: "{item}", kind: Counter},
	{name: "otelnet.agent.spool.dropped", unit: "{request}", kind: Counter},
	{name: "otelnet.agent.captures", unit: "{capture}", kind: Counter},
	{name: "otelnet.agent.capture.size", unit: "By"},
}

var catalogByName = func() map[string]*known {
	m := make(map[string]*known, len(catalog))
	for i := range catalog {
		m[catalog[i].name] = &catalog[i]
	}
	return m
}()

// Known returns the metrics that this module records, for sources that must find them by another name.
func Known() []Metric {
	out := make([]Metric, len(catalog))
	for i, k := range catalog {
		out[i] = Metric{Name: k.name, Unit: k.unit, Kind: k.kind}
	}
	return out
}

// summary is what stands first, in this order, under these names.
var summary = []struct {
	label, metric, part string
	stat                Stat
}{
	{"Requests", requestDuration, "", Rate},
	{"Error rate", requestDuration, "failed", Share},
	{"p50 latency", requestDuration, "", P50},
	{"p95 latency", requestDuration, "", P95},
	{"p99 latency", requestDuration, "", P99},
	{"Connections", "otelnet.server.active_connections", "", Value},
	{"Received", "otelnet.connection.io", "receive", Rate},
	{"Sent", "otelnet.connection.io", "transmit", Rate},
	{"Connection errors", "otelnet.connection.errors", "", Rate},
	{"TCP retransmits", "otelnet.tcp.retransmits", "", Rate},
	{"Requests out", "http.client.request.duration", "", Rate},
	{"p99 latency out", "http.client.request.duration", "", P99},
	{"CPU", "process.cpu.time", "", Rate},
	{"Memory", "process.memory.usage", "", Value},
	{"Heap live", "otelnet.go.memory.heap.live", "", Value},
	{"Goroutines", "go.goroutine.count", "", Value},
	{"Open files", "process.unix.file_descriptor.count", "", Value},
}

// arrange puts the rows of summary first and the others behind them, by metric.
func arrange(rows []Row) {
	rank := func(r *Row) int {
		for i, s := range summary {
			if r.Metric == s.metric && r.Part == s.part && r.Stat == s.stat {
				r.Label, r.Summary = s.label, true
				return i
			}
		}
		return len(summary)
	}
	ranks := make(map[[3]string]int, len(rows))
	key := func(r *Row) [3]string { return [3]string{r.Metric, r.Part, string(r.Stat)} }
	for i := range rows {
		ranks[key(&rows[i])] = rank(&rows[i])
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		ra, rb := ranks[key(&a)], ranks[key(&b)]
		if ra < len(summary) || rb < len(summary) {
			return cmp.Compare(ra, rb)
		}
		return cmp.Compare(a.Metric, b.Metric)
	})
}

// failed tells whether requests with these attributes count as errors, as the page counts them.
func failed(attrs map[string]string) bool {
	code, err := strconv.Atoi(attrs["http.response.status_code"])
	return attrs["error.type"] != "" || err == nil && code >= 500
}

// perSecond is the unit of a rate.
func perSecond(unit string) string {
	if unit == "" || unit == "1" {
		return "/s"
	}
	return strings.TrimSuffix(unit, "/s") + "/s"
}
