// Which charts there are, what each draws and which metrics it needs.
import { Chart } from "./chart.js";
import { Heatmap } from "./heatmap.js";
import { bytes, count, seconds } from "./format.js";
import { isError, statusClass } from "./signals.js";

const latency = "http.server.request.duration";
const perSecond = (v) => (v === null ? "–" : count(v) + "/s");
const bytesPerSecond = (v) => (v === null ? "–" : bytes(v) + "/s");

const errorsPerSecond = (s, metric) => {
  const all = s.columns.of(metric);
  if (!all.length) return null;
  const bad = all.filter((c) => metric.endsWith("errors") || isError(c));
  return bad.length ? s.rate(bad) : s.map(() => 0); // nothing has failed yet
};
const quantiles = (metric, ...qs) => (s) => s.percentiles(metric, qs) ?? qs.map(() => null);
const p99 = (...metrics) => (s) => metrics.map((m) => s.percentiles(m, [0.99])?.[0] ?? null);
const levels = (...metrics) => (s) => metrics.map((m) => s.level(s.columns.of(m)));
const percentiles = [{ name: "p50", colour: "teal" }, { name: "p99", colour: "amber" }];
const server = "otelnet.server.", client = "otelnet.client.", tls = "tls.handshake.duration";

// makePanels gives groups: [id, title, panels].
export function makePanels(cursor) {
  const wrap = "wrap the handler with otelnet.NewHandler", listen = "listen with otelnet.Listen", start = "start runtimemetrics";
  const traffic = [
    {
      title: "Requests by result", help: "Answers a second by class of status; other is a request without one.", metrics: [latency],
      advice: wrap, format: perSecond, stacked: true,
      lines: [
        { name: "2xx", colour: "green" }, { name: "3xx", colour: "blue" }, { name: "4xx", colour: "amber" },
        { name: "5xx", colour: "red" }, { name: "other", colour: "grey" },
      ],
      compute: (s) => {
        const by = Map.groupBy(s.columns.of(latency), statusClass);
        return ["2xx", "3xx", "4xx", "5xx", "other"].map((c) => s.rate(by.get(c) ?? []));
      },
    },
    {
      title: "Throughput", help: "Bytes a second of all connections, below TLS.", metrics: ["otelnet.connection.io"], advice: listen, format: bytesPerSecond,
      lines: [{ name: "received", colour: "violet", fill: true }, { name: "sent", colour: "blue", fill: true }],
      compute: (s) => ["receive", "transmit"].map((d) => s.rate(direction(s, d))),
    },
    {
      title: "Connections", help: "Open now, and how many open and close in a second.", advice: listen, format: count,
      metrics: [server + "active_connections", client + "active_connections", server + "connections", server + "connection.duration"],
      lines: [
        { name: "in", colour: "blue", fill: true }, { name: "out", colour: "violet" },
        { name: "opened/s", colour: "green", dash: true }, { name: "closed/s", colour: "amber", dash: true },
      ],
      compute: (s) => [
        ...levels(server + "active_connections", client + "active_connections")(s),
        s.rate(s.columns.of(server + "connections")), s.rate(s.columns.of(server + "connection.duration")),
      ],
    },
  ];
  const sockets = [
    {
      title: "Failures", help: "What failed a second: dials, TLS handshakes of those who came, calls of Accept, connections that an error ended.",
      metrics: [client + "dial.duration", server + tls, server + "accept.errors", "otelnet.connection.errors"], optional: true, format: perSecond,
      lines: [{ name: "dial", colour: "violet" }, { name: "TLS", colour: "blue" }, { name: "accept", colour: "amber" }, { name: "broken", colour: "red" }],
      compute(s) { return this.metrics.map((m) => errorsPerSecond(s, m)); },
    },
    {
      title: "TCP round trip", help: "The kernel's smoothed round-trip time of connections in use.", metrics: ["otelnet.tcp.rtt"],
      optional: true, scale: "log", format: seconds, lines: percentiles, compute: quantiles("otelnet.tcp.rtt", 0.5, 0.99),
    },
    {
      title: "Retransmits", help: "TCP segments sent again a second: lost on the way, or late.", metrics: ["otelnet.tcp.retransmits"],
      optional: true, format: perSecond, lines: [{ name: "in", colour: "red" }, { name: "out", colour: "violet" }],
      compute: (s) => ["server", "client"].map((side) => s.rate(s.columns.of("otelnet.tcp.retransmits").filter((c) => c.attributes["otelnet.side"] === side))),
    },
    {
      title: "TLS handshakes", help: "From the accept to the end of the handshake, with those who came.", metrics: [server + tls],
      optional: true, scale: "log", format: seconds, lines: percentiles, compute: quantiles(server + tls, 0.5, 0.99),
    },
    {
      title: "Wait for Accept", help: "How long connections stood in the kernel's queue before the program took them.", metrics: [server + "accept_queue.wait"],
      optional: true, scale: "log", format: seconds, lines: percentiles, compute: quantiles(server + "accept_queue.wait", 0.5, 0.99),
    },
    {
      title: "Accept queue", help: "Connections that wait, and how many may before the kernel turns others away.",
      metrics: [server + "accept_queue.length", server + "accept_queue.limit"], optional: true, format: count,
      lines: [{ name: "waiting", colour: "red", fill: true }, { name: "limit", colour: "grey", quiet: true }],
      compute(s) { return levels(...this.metrics)(s); },
    },
  ];
  const outgoing = [
    {
      title: "Outgoing requests", hint: "latency", help: "From the request to the headers of the response.", metrics: ["http.client.request.duration"],
      optional: true, span: 3, scale: "log", format: seconds, lines: percentiles, compute: quantiles("http.client.request.duration", 0.5, 0.99),
    },
    {
      title: "Reaching others", hint: "p99", help: "Dials as a whole, their name lookups, and TLS handshakes after them.",
      metrics: [client + "dial.duration", "dns.lookup.duration", client + tls], optional: true, span: 3, scale: "log", format: seconds,
      lines: [{ name: "dial", colour: "violet" }, { name: "name lookup", colour: "green" }, { name: "TLS handshake", colour: "blue" }],
      compute(s) { return p99(...this.metrics)(s); },
    },
  ];
  const runtime = [
    {
      title: "Memory", help: "What the Go runtime uses, the heap size that starts a collection, and what the last one found in use.",
      metrics: ["go.memory.used", "go.memory.gc.goal", "otelnet.go.memory.heap.live"], advice: start, format: bytes,
      lines: [
        { name: "used", colour: "blue", fill: true }, { name: "GC goal", colour: "amber", dash: true }, { name: "live heap", colour: "teal" },
      ],
      compute(s) { return levels(...this.metrics)(s); },
    },
    {
      title: "Goroutines", help: "All of them, and those that run, could run, or are in a system call.",
      metrics: ["go.goroutine.count", "otelnet.go.goroutine.states"], advice: start, format: count,
      lines: [
        { name: "all", colour: "violet", fill: true }, { name: "running", colour: "green" },
        { name: "runnable", colour: "red" }, { name: "in syscall", colour: "amber" },
      ],
      compute: (s) => [
        s.level(s.columns.of("go.goroutine.count")), ...["running", "runnable", "not_in_go"].map((state) => s.level(
          s.columns.of("otelnet.go.goroutine.states").filter((c) => c.attributes["otelnet.go.goroutine.state"] === state))),
      ],
    },
    {
      title: "Scheduling and GC pause", hint: "p99", help: "How long goroutines that could run waited, and how long collections stopped them.",
      metrics: ["go.schedule.duration", "go.memory.gc.pause.duration"], advice: "add runtimemetrics.NewProducer to the reader", scale: "log", format: seconds,
      lines: [{ name: "wait to run", colour: "violet" }, { name: "GC pause", colour: "red" }],
      compute(s) { return p99(...this.metrics)(s); },
    },
  ];
  const made = (charts) => charts.map((c) => new Chart(c, cursor));
  const latencies = [
    new Chart({
      title: "Latency percentiles", help: "How long requests took, from the handler's start to its return.", metrics: [latency],
      span: 3, advice: wrap, scale: "log", format: seconds,
      lines: [
        { name: "p50", colour: "teal" }, { name: "p90", colour: "blue" }, { name: "p99", colour: "amber" }, { name: "p99.9", colour: "red" },
      ],
      compute: quantiles(latency, 0.5, 0.9, 0.99, 0.999),
    }, cursor),
    new Heatmap({
      title: "Latency heatmap", help: "How many requests took how long: a row for each bucket of the histogram.", metrics: [latency],
      span: 3, advice: wrap, format: seconds, rate: perSecond,
    }, cursor),
  ];
  return [
    ["traffic", "Traffic", [...latencies, ...made(traffic)]],
    ["sockets", "TCP and TLS", made(sockets)],
    ["outgoing", "Calls to others", made(outgoing)],
    ["runtime", "Go runtime", made(runtime)],
  ];
}

export function direction(s, way) {
  return s.columns.of("otelnet.connection.io").filter((c) => c.attributes["network.io.direction"] === way);
}
