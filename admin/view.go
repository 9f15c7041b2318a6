package admin

import "github.com/otelnet/agent/history"

// pageView is what the page draws, merged as it draws it: fewer series to send, however many routes and targets a service has.
var pageView = []history.Selector{
	{Metric: "otelnet.server.active_connections"},
	{Metric: "otelnet.client.active_connections"},
	{Metric: "otelnet.server.connections"},
	{Metric: "otelnet.server.connection.duration", NoBuckets: true}, // counts closes
	{Metric: "http.server.request.duration"},
	{Metric: "http.server.request.duration", By: []string{"http.response.status_code", "error.type"}, NoBuckets: true},
	{Metric: "http.client.request.duration"},
	{Metric: "otelnet.connection.io", By: []string{"network.io.direction"}},
	{Metric: "otelnet.client.dial.duration"},
	{Metric: "otelnet.client.dial.duration", By: []string{"error.type"}, NoBuckets: true},
	{Metric: "dns.lookup.duration"},
	{Metric: "otelnet.client.tls.handshake.duration"},
	{Metric: "otelnet.server.tls.handshake.duration"},
	{Metric: "otelnet.server.tls.handshake.duration", By: []string{"error.type"}, NoBuckets: true},
	{Metric: "otelnet.server.accept.errors"},
	{Metric: "otelnet.server.accept_queue.wait"},
	{Metric: "otelnet.server.accept_queue.length"},
	{Metric: "otelnet.server.accept_queue.limit"},
	{Metric: "otelnet.connection.errors"},
	{Metric: "otelnet.tcp.rtt"},
	{Metric: "otelnet.tcp.retransmits", By: []string{"otelnet.side"}},
	{Metric: "go.goroutine.count"},
	{Metric: "otelnet.go.goroutine.states", By: []string{"otelnet.go.goroutine.state"}},
	{Metric: "otelnet.go.memory.heap.live"},
	{Metric: "go.memory.used"},
	{Metric: "go.memory.gc.goal"},
	{Metric: "go.schedule.duration"},
	{Metric: "go.memory.gc.pause.duration"},
	{Metric: "otelnet.alert.state", By: []string{"alert", "severity"}, Max: true},
}

// dropSums takes out what the page does not draw: sums are long decimals that hardly compress, half of an answer otherwise.
func dropSums(res *history.Result) {
	for i := range res.Series {
		res.Series[i].Sums = nil
	}
}
