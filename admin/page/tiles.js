// The row of numbers: what is now, how it went, and how far it is from a minute ago.
import { el, set } from "./dom.js";
import { sparkline } from "./chart.js";
import { bytes, change, count, percent, seconds } from "./format.js";
import { isError } from "./signals.js";
import { direction } from "./panels.js";

const latency = "http.server.request.duration";

const tiles = [
  ["Connections", "blue", count, (s) => s.level(s.columns.of("otelnet.server.active_connections"))],
  ["Requests / s", "green", count, (s) => s.rate(s.columns.of(latency))],
  ["Errors", "red", percent, errorShare],
  ["p50 latency", "teal", seconds, (s) => s.percentiles(latency, [0.5, 0.9, 0.99, 0.999])?.[0] ?? null],
  ["p99 latency", "amber", seconds, (s) => s.percentiles(latency, [0.5, 0.9, 0.99, 0.999])?.[2] ?? null],
  ["Received / s", "violet", bytes, (s) => s.rate(direction(s, "receive"))],
  ["Sent / s", "blue", bytes, (s) => s.rate(direction(s, "transmit"))],
  ["Goroutines", "violet", count, (s) => s.level(s.columns.of("go.goroutine.count"))],
];

// errorShare is the share of requests that failed, null while none were made.
function errorShare(s) {
  const all = s.columns.of(latency), total = s.rate(all);
  if (!total) return null;
  const bad = s.rate(all.filter(isError));
  return total.map((t, i) => (t > 0 ? ((bad?.[i] ?? 0) / t) * 100 : null));
}

export class Tiles {
  constructor(root) {
    this.tiles = tiles.map(([name, colour, format, compute]) => {
      const big = el("span", { class: "big" }, "–"), delta = el("span", { class: "change", title: "against a minute ago" });
      const canvas = el("canvas", { "aria-hidden": "true" });
      root.append(el("article", { class: "card tile" }, el("div", { class: "row" }, el("h2", {}, name), delta), big, canvas));
      return { colour, format, compute, big, delta, canvas };
    });
  }

  update(signals) {
    this.signals = signals;
    const { times } = signals, last = times.length - 1;
    let minute = last;
    while (minute >= 0 && times[minute] > times[last] - 60000) minute--;
    for (const t of this.tiles) {
      t.values = t.compute(signals);
      const now = t.values?.[last] ?? null;
      set(t.big, t.format(now));
      set(t.delta, change(now, minute < 0 ? null : t.values?.[minute]));
    }
  }

  draw() {
    if (this.signals) for (const t of this.tiles) sparkline(t.canvas, this.signals, t.values, t.colour);
  }
}
