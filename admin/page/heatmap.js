// How many requests took how long: a row for each bucket, a column for each few pixels of time.
import { set, el } from "./dom.js";
import { overTime } from "./csv.js";
import { tick } from "./format.js";
import { crosshair, frame, isDark, labels, surface } from "./axis.js";
import { Panel } from "./chart.js";

// From few to many. Light begins near the paper and darkens; dark begins near the night and glows.
const light = [[226, 238, 252], [150, 204, 238], [64, 156, 208], [56, 92, 190], [72, 28, 120]];
const dark = [[28, 38, 84], [58, 70, 178], [22, 148, 168], [106, 208, 118], [252, 232, 92]];

function shade(stops, v) {
  const p = Math.min(1, Math.max(0, v)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(p)), f = p - i;
  return `rgb(${stops[i].map((a, k) => Math.round(a + (stops[i + 1][k] - a) * f)).join()})`;
}

export class Heatmap extends Panel {
  constructor(options, cursor) {
    super(options, cursor);
    this.options = options;
    this.told = el("span", {});
    this.legend.append(this.told);
  }

  update(signals) {
    this.signals = signals;
    this.histogram = signals.columns.of(this.options.metrics[0], true)[0] ?? null;
    const h = this.histogram;
    this.empty(!h || !signals.times.length || h.buckets.every((b) => b[signals.hi] === b[signals.lo] && b[signals.lo] === 0));
  }

  // csv counts the requests since the time before, in each bucket up to its bound.
  csv() {
    const { signals, histogram: h } = this;
    return overTime(signals, (h?.buckets ?? []).map((b, k) => ["le " + (h.bounds[k] ?? "inf"),
      signals.times.map((_, i) => (i === 0 || signals.breaks[i] ? null : b[signals.lo + i] - b[signals.lo + i - 1]))]));
  }

  draw() {
    if (!this.histogram || !this.emptyNote.hidden) return;
    const s = surface(this.canvas), { ctx } = s, { signals, histogram: h } = this;
    const box = this.box = { left: 58, right: s.w - 10, top: 8, bottom: s.h - 24 };
    const cells = this.cells(box);
    const [low, high] = this.rows(cells);
    const height = (box.bottom - box.top) / (high - low + 1);
    const top = (b) => box.bottom - (b - low + 1) * height;
    const x = frame(s, box, signals);
    const ys = [], every = Math.ceil(16 / height);
    for (let b = low; b <= high && b < h.bounds.length; b++) if ((b - low) % every === 0) ys.push([top(b), tick(this.options.format(h.bounds[b]))]);
    labels(s, box, ys.filter(([y]) => y > box.top + 4));
    let most = 0;
    for (const c of cells) for (const v of c.rates) most = Math.max(most, v);
    const stops = isDark() ? dark : light;
    for (const c of cells) {
      const left = Math.max(box.left, x(c.from)), right = Math.min(box.right, x(c.to));
      c.rates.forEach((v, b) => {
        if (v === 0 || right <= left) return;
        ctx.fillStyle = shade(stops, (v / most) ** 0.45); // the rare ones are what one looks for
        ctx.fillRect(left, top(b) + 0.5, right - left + 0.4, height - 1);
      });
    }
    crosshair(s, box, x, this.cursor);
    this.tell(cells, (y) => low + Math.floor((box.bottom - y) / height));
  }

  // cells joins points into columns at least three pixels wide; none reaches over a gap.
  cells(box) {
    const { signals, histogram: h } = this, { times, breaks, lo } = signals;
    const min = (3 * (signals.to - signals.from)) / (box.right - box.left), out = [];
    for (let a = 0, i = 1; i < times.length; i++) {
      if (breaks[i]) { a = i; continue; }
      if (times[i] - times[a] < min && i < times.length - 1) continue;
      const sec = (times[i] - times[a]) / 1000, start = lo + a, end = lo + i;
      out.push({ from: times[a], to: times[i], rates: h.buckets.map((b) => (b[end] - b[start]) / sec) });
      a = i;
    }
    return out;
  }

  // rows is the range of buckets that hold anything, at least four.
  rows(cells) {
    let low = Infinity, high = 0;
    for (const c of cells) {
      c.rates.forEach((v, b) => {
        if (v > 0) { low = Math.min(low, b); high = Math.max(high, b); }
      });
    }
    if (low > high) return [0, this.histogram.bounds.length];
    while (high - low < 5 && (low > 0 || high < this.histogram.bounds.length)) {
      if (high < this.histogram.bounds.length) high++;
      if (high - low < 5 && low > 0) low--;
    }
    return [low, high];
  }

  tell(cells, bucketAt) {
    const { histogram: h, options } = this, time = this.cursor.time;
    const cell = time === null ? cells[cells.length - 1] : cells.find((c) => time > c.from && time <= c.to);
    if (!cell) return set(this.told, "–");
    const bound = (b) => tick(options.format(h.bounds[b]));
    const between = (b) => (b === 0 ? `up to ${bound(0)}` : b >= h.bounds.length ? `over ${bound(b - 1)}` : `${bound(b - 1)} to ${bound(b)}`);
    const at = this.cursor.where?.panel === this ? bucketAt(this.cursor.where.y) : -1;
    const busiest = cell.rates.indexOf(Math.max(...cell.rates));
    const b = at >= 0 && at < cell.rates.length ? at : busiest;
    set(this.told, `${at >= 0 ? "" : "most: "}${between(b)} · ${options.rate(cell.rates[b])}`);
  }
}
