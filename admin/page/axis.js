// What all canvases share: colours, sharp pixels, ticks, the time axis, alert shading and the crosshair.
import { clock } from "./format.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
let colours = new Map();
dark.addEventListener("change", () => { colours = new Map(); });

export const isDark = () => dark.matches;

// colour reads a custom property of the style sheet, so that light and dark are decided in one place.
export function colour(name) {
  let c = colours.get(name);
  if (!c) colours.set(name, c = getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim());
  return c;
}

// surface sizes the canvas to its box in device pixels and returns a context that draws in CSS pixels.
export function surface(canvas) {
  const w = canvas.clientWidth, h = canvas.clientHeight, ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, w, h);
  ctx.font = "11px ui-sans-serif, system-ui, sans-serif";
  return { ctx, w, h };
}

export function linearTicks(max, n) {
  const raw = max / n, power = 10 ** Math.floor(Math.log10(raw));
  const step = (power === 1 ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10]).map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let v = 0; v <= max * 1.0001; v += step) ticks.push(v);
  return { ticks, step };
}

export function logTicks(lo, hi) {
  const many = Math.log10(hi / lo) > 2.2;
  const ticks = [];
  for (let p = Math.floor(Math.log10(lo)); p <= Math.ceil(Math.log10(hi)); p++) {
    for (const m of many ? [1] : [1, 2, 5]) {
      const v = m * 10 ** p;
      if (v >= lo * 0.999 && v <= hi * 1.001) ticks.push(v);
    }
  }
  return ticks;
}

const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

// frame draws what lies behind the data: time grid, labels, alert spans. It returns where a time falls.
export function frame(s, box, signals) {
  const { ctx } = s, { from, to } = signals;
  const x = (t) => box.left + ((t - from) / (to - from)) * (box.right - box.left);
  const width = box.right - box.left;
  // Whole minutes are written shorter, so more of them fit.
  const fits = (v) => (to - from) / 1000 / v <= Math.max(2, width / (v % 60 ? 86 : 62));
  const step = (timeSteps.find(fits) ?? 3600) * 1000;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  ctx.lineWidth = 1;
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
    const px = Math.round(x(t)) + 0.5;
    ctx.strokeStyle = colour("grid");
    line(ctx, px, box.top, px, box.bottom);
    const text = clock(t, step % 60000 !== 0), half = ctx.measureText(text).width / 2;
    ctx.fillStyle = colour("faint");
    if (px - half >= box.left - 12 && px + half <= s.w) ctx.fillText(text, px, box.bottom + 6);
  }
  for (const span of signals.shades) {
    const a = Math.max(box.left, x(span.from)), b = Math.min(box.right, x(span.to));
    if (b < box.left || a > box.right) continue;
    const c = colour(span.warn ? "amber" : "red");
    ctx.fillStyle = c;
    ctx.globalAlpha = 0.1;
    ctx.fillRect(a, box.top, Math.max(1, b - a), box.bottom - box.top);
    ctx.globalAlpha = 0.75;
    ctx.fillRect(a, box.top, Math.max(1, b - a), 2);
    ctx.globalAlpha = 1;
  }
  return x;
}

export function line(ctx, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

// labels writes the y axis; ys are pairs of position and text.
export function labels(s, box, ys) {
  const { ctx } = s;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const [y, text] of ys) {
    ctx.strokeStyle = colour("grid");
    line(ctx, box.left, Math.round(y) + 0.5, box.right, Math.round(y) + 0.5);
    ctx.fillStyle = colour("faint");
    ctx.fillText(text, box.left - 7, y);
  }
}

// crosshair marks the time that is looked at in every chart, and names it at the foot of each.
export function crosshair(s, box, x, { time, anchor }) {
  if (time === null) return;
  const { ctx } = s, px = Math.round(x(time)) + 0.5;
  if (px < box.left || px > box.right) return;
  if (anchor !== null) {
    ctx.fillStyle = colour("accent");
    ctx.globalAlpha = 0.18;
    ctx.fillRect(x(anchor), box.top, px - x(anchor), box.bottom - box.top);
    ctx.globalAlpha = 1;
  }
  ctx.strokeStyle = colour("dim");
  ctx.lineWidth = 1;
  ctx.setLineDash([3, 3]);
  line(ctx, px, box.top, px, box.bottom);
  ctx.setLineDash([]);
  const text = clock(time), w = ctx.measureText(text).width + 10;
  const left = Math.min(Math.max(px - w / 2, 0), s.w - w);
  ctx.fillStyle = colour("text");
  ctx.beginPath();
  ctx.roundRect(left, box.bottom + 3, w, 17, 4);
  ctx.fill();
  ctx.fillStyle = colour("card");
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(text, left + w / 2, box.bottom + 12);
}

// nearest returns the index of the time closest to t, -1 when there is none.
export function nearest(times, t) {
  let best = -1, d = Infinity;
  times.forEach((v, i) => {
    if (Math.abs(v - t) < d) { d = Math.abs(v - t); best = i; }
  });
  return best;
}
