// The q-quantile of a histogram with explicit bounds, with the arithmetic of Prometheus' histogram_quantile for classic buckets.
// counts has one entry more than bounds, the last one open upwards; counts of several series or moments are added before.

export function quantile(q, bounds, counts) {
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  if (bounds.length === 0) return NaN;
  let total = 0;
  for (const c of counts) total += c;
  if (total === 0) return NaN;
  let rank = q * total, below = 0, b = 0;
  while (b < bounds.length && below + counts[b] < rank) below += counts[b++];
  if (b === bounds.length) return bounds[b - 1];
  if (b === 0 && bounds[0] <= 0) return bounds[0];
  const start = b === 0 ? 0 : bounds[b - 1];
  return start + (bounds[b] - start) * ((rank - below) / counts[b]);
}
