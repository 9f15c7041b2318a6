// The page's copy of the history: columns over time. Counters and histograms arrive as increases; they are added up here, so the
// change over any window is one subtraction, and percentiles over any window come from bucket counts of that window.

export class Columns {
  constructor() { this.clear(); }

  clear() {
    this.times = [];   // milliseconds
    this.breaks = [];  // true where a gap lies before the time
    this.series = new Map();
  }

  get last() { return this.times.length ? this.times[this.times.length - 1] : 0; }

  // append adds an answer of /api/history or the history of a tick. Times already known are skipped.
  append(h) {
    const from = h.times.findIndex((t) => t > this.last);
    if (from < 0) return;
    const gaps = new Set(h.gaps.map((g) => g[1]));
    const base = this.times.length;
    for (let i = from; i < h.times.length; i++) {
      this.times.push(h.times[i]);
      // With steps, a gap may end inside one.
      this.breaks.push(gaps.has(h.times[i]) || h.gaps.some((g) => g[1] <= h.times[i] && g[1] > (h.times[i - 1] ?? h.times[i] - 1)));
    }
    const seen = new Set();
    for (const s of h.series) {
      const key = s.metric + JSON.stringify(s.attributes) + (s.bounds ? s.bounds.join() : "");
      if (seen.has(key)) continue;
      seen.add(key);
      let col = this.series.get(key);
      if (!col) this.series.set(key, col = newSeries(s, base));
      for (let i = from; i < h.times.length; i++) push(col, s, i);
    }
    for (const [key, col] of this.series) {
      if (!seen.has(key)) for (let i = from; i < h.times.length; i++) push(col, null, i);
    }
  }

  // trim lets go of what is older than ms.
  trim(ms) {
    let n = 0;
    while (n < this.times.length && this.times[n] < ms) n++;
    if (n < 60) return; // not for every tick
    this.times.splice(0, n);
    this.breaks.splice(0, n);
    for (const [key, col] of this.series) {
      col.values.splice(0, n);
      for (const b of col.buckets) b.splice(0, n);
      col.first = Math.max(0, col.first - n);
      if (!this.times.length || (col.level && col.values.every((v) => v === null))) this.series.delete(key);
    }
  }

  // of returns the series of a metric, those with buckets or those without.
  of(metric, buckets = false) {
    const out = [];
    for (const s of this.series.values()) if (s.metric === metric && (s.bounds !== null) === buckets) out.push(s);
    return out;
  }
}

function newSeries(s, base) {
  const level = s.kind === "gauge" || s.kind === "updown";
  return {
    metric: s.metric, attributes: s.attributes, level, bounds: s.bounds ?? null,
    first: Infinity, // index of the first number; nothing is known before
    values: new Array(base).fill(level ? null : 0), // levels as they are, increases added up
    buckets: s.buckets ? s.buckets.map(() => new Array(base).fill(0)) : [],
  };
}

function push(col, s, i) {
  const v = s ? s.values[i] : null, n = col.values.length;
  if (v !== null && n < col.first) col.first = n;
  if (col.level) {
    col.values.push(v);
    return;
  }
  col.values.push((n ? col.values[n - 1] : 0) + (v ?? 0));
  col.buckets.forEach((b, k) => b.push((n ? b[n - 1] : 0) + (s && s.buckets[k].length ? s.buckets[k][i] : 0)));
}

// windows gives, for each index from lo to hi, the index that a window of ms before it starts at, or -1 where none does: at the
// beginning, and right after a gap. No window reaches across a gap.
export function windows(columns, lo, hi, ms) {
  const { times, breaks } = columns, out = [];
  let start = lo, barrier = 0;
  for (let i = Math.max(0, lo - 1); i > 0; i--) if (breaks[i]) { barrier = i; break; }
  start = barrier;
  for (let i = lo; i <= hi; i++) {
    if (breaks[i]) { barrier = i; start = i; }
    while (start + 1 < i && times[start + 1] <= times[i] - ms) start++;
    out.push(start < i && start >= barrier ? start : -1);
  }
  return out;
}
