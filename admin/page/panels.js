// Which charts there are, what each draws and which metrics it needs.
import { Chart } from "./chart.js";
import { Heatmap } from "./heatmap.js";
import { bytes, count, seconds } from "./format.js";
import { statusClass } from "./signals.js";

const latency = "http.server.request.duration";
const perSecond = (v) => (v === null ? "–" : count(v) + "/s");
const bytesPerSecond = (v) => (v === null ? "–" : bytes(v) + "/s");

export function makePanels(cursor) {
  const wrap = "wrap the handler with otelnet.NewHandler";
  return [
    new Chart({
      title: "Latency percentiles", span: 3, needs: latency, advice: wrap, scale: "log", format: seconds,
      lines: [
        { name: "p50", colour: "teal" }, { name: "p90", colour: "blue" }, { name: "p99", colour: "amber" }, { name: "p99.9", colour: "red" },
      ],
      compute: (s) => s.percentiles(latency, [0.5, 0.9, 0.99, 0.999]) ?? [null, null, null, null],
    }, cursor),
    new Heatmap({ title: "Latency heatmap", span: 3, needs: latency, advice: wrap, metric: latency, format: seconds, rate: perSecond }, cursor),
    new Chart({
      title: "Throughput", needs: "otelnet.connection.io", advice: "listen with otelnet.Listen", format: bytesPerSecond,
      lines: [{ name: "received", colour: "violet", fill: true }, { name: "sent", colour: "blue", fill: true }],
      compute: (s) => ["receive", "transmit"].map((d) => s.rate(direction(s, d))),
    }, cursor),
    new Chart({
      title: "Requests by result", needs: latency, advice: wrap, format: perSecond, stacked: true,
      lines: [
        { name: "2xx", colour: "green" }, { name: "3xx", colour: "blue" }, { name: "4xx", colour: "amber" },
        { name: "5xx", colour: "red" }, { name: "other", colour: "grey" },
      ],
      compute: (s) => {
        const by = Map.groupBy(s.columns.of(latency), statusClass);
        return ["2xx", "3xx", "4xx", "5xx", "other"].map((c) => s.rate(by.get(c) ?? []));
      },
    }, cursor),
    new Chart({
      title: "Connections", needs: "otelnet.server.active_connections", advice: "listen with otelnet.Listen", format: count,
      lines: [
        { name: "in", colour: "blue", fill: true }, { name: "out", colour: "violet" },
        { name: "opened/s", colour: "green", dash: true }, { name: "closed/s", colour: "amber", dash: true },
      ],
      compute: (s) => [
        s.level(s.columns.of("otelnet.server.active_connections")), s.level(s.columns.of("otelnet.client.active_connections")),
        s.rate(s.columns.of("otelnet.server.connections")), s.rate(s.columns.of("otelnet.server.connection.duration")),
      ],
    }, cursor),
    new Chart({
      title: "Memory", needs: "go.memory.used", advice: "start runtimemetrics", format: bytes,
      lines: [
        { name: "used", colour: "blue", fill: true }, { name: "GC goal", colour: "amber", dash: true }, { name: "live heap", colour: "teal" },
      ],
      compute: (s) => ["go.memory.used", "go.memory.gc.goal", "otelnet.go.memory.heap.live"].map((m) => s.level(s.columns.of(m))),
    }, cursor),
    new Chart({
      title: "Goroutines", needs: "go.goroutine.count", advice: "start runtimemetrics", format: count,
      lines: [
        { name: "all", colour: "violet", fill: true }, { name: "running", colour: "green" },
        { name: "runnable", colour: "red" }, { name: "in syscall", colour: "amber" },
      ],
      compute: (s) => [
        s.level(s.columns.of("go.goroutine.count")), ...["running", "runnable", "not_in_go"].map((state) => s.level(
          s.columns.of("otelnet.go.goroutine.states").filter((c) => c.attributes["otelnet.go.goroutine.state"] === state))),
      ],
    }, cursor),
    new Chart({
      title: "Scheduling and GC pause", hint: "p99", needs: "go.schedule.duration", advice: "add runtimemetrics.NewProducer to the reader",
      scale: "log", format: seconds,
      lines: [{ name: "wait to run", colour: "violet" }, { name: "GC pause", colour: "red" }],
      compute: (s) => ["go.schedule.duration", "go.memory.gc.pause.duration"].map((m) => s.percentiles(m, [0.99])?.[0] ?? null),
    }, cursor),
    new Chart({
      title: "Outgoing requests", hint: "latency", optional: true, scale: "log", format: seconds,
      lines: [{ name: "p50", colour: "teal" }, { name: "p99", colour: "amber" }],
      compute: (s) => s.percentiles("http.client.request.duration", [0.5, 0.99]) ?? [null, null],
    }, cursor),
    new Chart({
      title: "Reaching others", hint: "p99", optional: true, scale: "log", format: seconds,
      lines: [{ name: "dial", colour: "violet" }, { name: "name lookup", colour: "green" }, { name: "TLS handshake", colour: "blue" }],
      compute: (s) => ["otelnet.client.dial.duration", "dns.lookup.duration", "otelnet.client.tls.handshake.duration"].map(
        (m) => s.percentiles(m, [0.99])?.[0] ?? null),
    }, cursor),
    new Chart({
      title: "TCP round trip", hint: "of the kernel", optional: true, scale: "log", format: seconds,
      lines: [{ name: "p50", colour: "teal" }, { name: "p99", colour: "amber" }],
      compute: (s) => s.percentiles("otelnet.tcp.rtt", [0.5, 0.99]) ?? [null, null],
    }, cursor),
  ];
}

export function direction(s, way) {
  return s.columns.of("otelnet.connection.io").filter((c) => c.attributes["network.io.direction"] === way);
}
