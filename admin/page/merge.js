// A capture holds each series of the history as it was; the charts draw some of them merged, as the live page gets them from the agent.

// merge adds to each histogram one series with the buckets of all that have its bounds; the single ones keep their counts.
export function merge(h) {
  const series = [], whole = new Map();
  for (const s of h.series) {
    series.push({ ...s, bounds: null, buckets: undefined });
    if (!s.bounds || !s.buckets) continue;
    const key = s.metric + "|" + s.bounds.join();
    const sum = whole.get(key);
    if (!sum) whole.set(key, { ...s, attributes: {}, values: [...s.values], buckets: s.buckets.map((b) => [...b]) });
    else {
      sum.values = add(sum.values, s.values);
      sum.buckets = sum.buckets.map((b, i) => (b.length && s.buckets[i].length ? add(b, s.buckets[i]) : b.length ? b : [...s.buckets[i]]));
    }
  }
  return { ...h, series: [...series, ...whole.values()] };
}

function add(a, b) { return a.map((v, i) => (v === null ? b[i] : v + (b[i] ?? 0))); }
