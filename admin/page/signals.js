// What the panels draw, worked out of the columns for one range. Each point covers the window before it.
import { windows } from "./columns.js";
import { quantile } from "./quantile.js";

export class Signals {
  // from, to and window in milliseconds.
  constructor(columns, from, to, window) {
    this.columns = columns;
    this.from = from;
    this.to = to;
    this.window = window;
    const t = columns.times;
    let lo = 0, hi = t.length - 1;
    while (lo < t.length && t[lo] < from) lo++;
    while (hi >= 0 && t[hi] > to) hi--;
    lo = Math.max(0, lo - 1); // one point outside, so that lines run to the edge
    this.lo = lo;
    this.hi = hi;
    this.times = t.slice(lo, hi + 1);
    this.breaks = columns.breaks.slice(lo, hi + 1);
    this.starts = windows(columns, lo, hi, window);
    this.cache = new Map();
  }

  map(fn) { return this.starts.map((start, k) => fn(this.lo + k, start)); }

  // level adds up the present values of gauges.
  level(series) {
    if (!series.length) return null;
    return this.map((i) => {
      let sum = null;
      for (const s of series) if (s.values[i] !== null) sum = (sum ?? 0) + s.values[i];
      return sum;
    });
  }

  // rate is the change a second of all series together.
  rate(series) {
    if (!series.length) return null;
    const t = this.columns.times;
    return this.map((i, start) => {
      if (start < 0) return null;
      let sum = null;
      for (const s of series) if (i >= s.first) sum = (sum ?? 0) + s.values[i] - s.values[Math.max(start, s.first - 1)];
      return sum === null ? null : sum / ((t[i] - t[start]) / 1000);
    });
  }

  // percentiles gives one array for each q.
  percentiles(metric, qs) {
    const key = metric + qs;
    if (!this.cache.has(key)) this.cache.set(key, this.computePercentiles(metric, qs));
    return this.cache.get(key);
  }

  computePercentiles(metric, qs) {
    const s = this.columns.of(metric, true)[0];
    if (!s) return null;
    const out = qs.map(() => []);
    this.starts.forEach((start, k) => {
      const counts = start < 0 ? null : s.buckets.map((b) => b[this.lo + k] - b[start]);
      qs.forEach((q, j) => {
        const v = counts ? quantile(q, s.bounds, counts) : NaN;
        out[j].push(Number.isFinite(v) ? v : null);
      });
    });
    return out;
  }

  // spans are the stretches in which an alert fired.
  spans() {
    const out = [];
    for (const s of this.columns.of("otelnet.alert.state")) {
      let open = null;
      for (let i = this.lo; i <= this.hi; i++) {
        const firing = s.values[i] === 2, t = this.columns.times[i];
        if (firing && (!open || this.columns.breaks[i])) {
          out.push(open = { alert: s.attributes.alert ?? "", severity: s.attributes.severity ?? "", from: t, to: t, over: false });
        }
        if (open) open.to = t;
        if (open && !firing) { open.over = s.values[i] !== null; open = null; }
      }
    }
    return out.sort((a, b) => b.to - a.to);
  }
}

// shades joins spans that overlap, for one layer of shading a severity however many alerts fire.
export function shades(spans) {
  const out = [];
  for (const warn of [true, false]) {
    const own = spans.filter((s) => (s.severity === "warn") === warn).sort((a, b) => a.from - b.from);
    let last = null;
    for (const s of own) {
      if (last && s.from <= last.to) last.to = Math.max(last.to, s.to);
      else out.push(last = { from: s.from, to: s.to, warn });
    }
  }
  return out;
}

// isError tells whether a series of requests counts failed ones.
export function isError(s) {
  return Boolean(s.attributes["error.type"]) || Number(s.attributes["http.response.status_code"]) >= 500;
}

// statusClass is "2xx" and so on, "other" where no status was sent.
export function statusClass(s) {
  const code = Number(s.attributes["http.response.status_code"]);
  return code >= 100 && code < 600 ? Math.floor(code / 100) + "xx" : "other";
}
