// Numbers for people: three digits, units as the metric has them.

function digits(v) {
  const a = Math.abs(v);
  return v.toFixed(a >= 100 || a === 0 ? 0 : a >= 10 ? 1 : 2);
}

function scaled(v, units, base) {
  const sign = v < 0 ? "−" : "";
  let a = Math.abs(v), i = 0;
  while (a >= base * 0.9995 && i < units.length - 1) { a /= base; i++; }
  const whole = i === 0 && Number.isInteger(a);
  return sign + (whole ? String(a) : digits(a).replace(/\.0+$|(\.\d*[1-9])0+$/, "$1")) + units[i];
}

const known = (v) => v != null && Number.isFinite(v);

export function count(v) { return known(v) ? scaled(v, ["", " k", " M", " G"], 1000) : "–"; }

export function bytes(v) { return known(v) ? scaled(v, [" B", " kB", " MB", " GB", " TB"], 1000) : "–"; }

export function percent(v) { return known(v) ? (v === 0 ? "0 %" : digits(v) + " %") : "–"; }

export function seconds(v) {
  if (!known(v)) return "–";
  if (v === 0) return "0 s";
  if (v < 0.9995e-6) return digits(v * 1e9) + " ns";
  if (v < 0.9995e-3) return digits(v * 1e6) + " µs";
  if (v < 0.9995) return digits(v * 1e3) + " ms";
  return v < 100 ? digits(v) + " s" : duration(v);
}

// duration is a span to read at a glance: 3h12m, 4m05s, 12s.
export function duration(s) {
  if (!known(s)) return "–";
  s = Math.max(0, Math.floor(s));
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  const two = (n) => String(n).padStart(2, "0");
  if (d > 0) return `${d}d${two(h)}h`;
  if (h > 0) return `${h}h${two(m)}m`;
  return m > 0 ? `${m}m${two(s % 60)}s` : `${s}s`;
}

const two = (n) => String(n).padStart(2, "0");

export function clock(ms, withSeconds = true) {
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}` + (withSeconds ? `:${two(t.getSeconds())}` : "");
}

// change tells how far v is from before: ▲12 %, ▼3 %, ▲8×, or nothing when it makes no sense to say.
export function change(v, before) {
  if (!known(v) || !known(before) || before === 0 || v === before) return "";
  const p = (v / before - 1) * 100;
  if (Math.abs(p) < 0.5) return "";
  return p >= 200 ? `▲${count(Math.round(v / before))}×` : (p > 0 ? "▲" : "▼") + Math.abs(p).toFixed(0) + " %";
}

// tick shortens what format says for a round number on an axis: 10 ms for 10.0 ms.
export const tick = (text) => text.replace(/\.0+(?=\D)|(\.\d*?[1-9])0+(?=\D)/, "$1");
