// A panel with a canvas of lines, areas or stacked areas over time.
import { el, set } from "./dom.js";
import { overTime, saver } from "./csv.js";
import { tick } from "./format.js";
import { colour, crosshair, frame, labels, linearTicks, logTicks, nearest, surface } from "./axis.js";

// Panel is the card around a canvas: title, legend with values, the calm word when there is nothing to draw, pointer and keys.
export class Panel {
  // metrics names what is drawn, the first what would fill an empty panel; an optional panel is not there without data; cursor is
  // shared by all panels.
  constructor({ title, hint = "", span = 2, help = "", metrics = [], advice = "", optional = false }, cursor) {
    this.title = title;
    this.optional = optional;
    this.cursor = cursor;
    this.canvas = el("canvas", { tabindex: "0", role: "img", "aria-label": title });
    this.emptyNote = el("div", { class: "empty", hidden: true },
      el("span", {}, "No data yet"), el("span", {}, "needs ", el("code", {}, metrics[0] ?? "")), el("span", {}, advice));
    this.hint = el("span", { class: "hint" }, hint);
    this.legend = el("div", { class: "legend" });
    const about = el("p", { class: "help", hidden: true }, help + " ", ...metrics.flatMap((m) => [el("code", {}, m), " "]));
    const ask = el("button", {
      type: "button", class: "ask", "aria-label": "About " + title, "aria-expanded": "false", title: [help, ...metrics].join("\n"),
      onclick: () => ask.setAttribute("aria-expanded", String(!(about.hidden = !about.hidden))),
    }, "?");
    this.root = el("article", { class: `card span${span}` },
      el("h2", {}, title), this.hint, ...(metrics.length ? [ask] : []), saver(title, () => this.csv()), ...(metrics.length ? [about] : []), el("div", { class: "plot" }, this.canvas, this.emptyNote), this.legend);
    this.box = { left: 0, right: 1, top: 0, bottom: 1 };
    this.listen();
  }

  listen() {
    const c = this.canvas, { cursor } = this, leave = () => { if (cursor.anchor === null) cursor.set(null, null); };
    c.addEventListener("pointermove", (e) => this.point(e));
    c.addEventListener("pointerdown", (e) => {
      this.point(e);
      if (e.button || e.pointerType === "touch") return; // a finger scrolls
      cursor.anchor = cursor.time;
      c.setPointerCapture(e.pointerId);
    });
    c.addEventListener("pointerup", () => this.select());
    c.addEventListener("pointercancel", () => { cursor.anchor = null; });
    c.addEventListener("pointerleave", leave);
    c.addEventListener("blur", leave);
    c.addEventListener("keydown", (e) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[e.key];
      if (e.key === "Escape") {
        cursor.anchor = null;
        cursor.set(null, null);
      }
      if (e.key === "Enter") this.select();
      if (by === undefined || !this.signals?.times.length) return;
      e.preventDefault();
      const times = this.signals.times, last = times.length - 1;
      const at = cursor.time === null ? last : nearest(times, cursor.time);
      cursor.anchor = e.shiftKey ? cursor.anchor ?? times[at] : null;
      cursor.set(times[Math.min(last, Math.max(0, at + by))], null);
    });
  }

  // select makes what lies between anchor and crosshair the range in view.
  select() {
    const { anchor, time, choose } = this.cursor;
    this.cursor.anchor = null;
    if (anchor !== null && time !== null && Math.abs(time - anchor) >= 3000) choose?.(Math.min(anchor, time), Math.max(anchor, time));
    else this.cursor.set(time, this.cursor.where);
  }

  point(e) {
    if (!this.signals?.times.length) return;
    const r = this.canvas.getBoundingClientRect(), { from, to, times } = this.signals;
    const t = from + ((e.clientX - r.left - this.box.left) / (this.box.right - this.box.left)) * (to - from);
    this.cursor.set(times[nearest(times, t)], { panel: this, y: e.clientY - r.top });
  }

  // index is the point that the legend tells of: the one under the crosshair, else the newest.
  index() {
    const times = this.signals.times;
    return this.cursor.time === null ? times.length - 1 : nearest(times, this.cursor.time);
  }

  // empty shows the note in place of the chart; an optional panel leaves instead.
  empty(is) {
    if (this.emptyNote.hidden === is) this.emptyNote.hidden = !is;
    this.legend.hidden = is;
    this.root.hidden = is && this.optional;
  }

  note(text) { set(this.hint, text); }
}

export class Chart extends Panel {
  // lines: [{name, colour, fill, dash, quiet}], a quiet one stands in the legend alone, format turns a value into text; scale is "linear" or "log"; stacked adds lines up;
  // compute(signals) gives an array of values for each line, null for a line without data.
  constructor(options, cursor) {
    super(options, cursor);
    this.options = options;
    this.off = new Set(); // lines that were hidden by a click in the legend
    this.values = options.lines.map((l, k) => {
      const value = el("b", {}, "–");
      const item = el("button", { type: "button", "aria-pressed": "true", title: "Hide or show", onclick: () => {
        if (!this.off.delete(k)) this.off.add(k);
        item.setAttribute("aria-pressed", String(!this.off.has(k)));
        this.draw();
      } }, el("i", { class: "bg-" + l.colour, "aria-hidden": "true" }), l.name, value);
      this.legend.append(item);
      return { item, value };
    });
  }

  csv() { return overTime(this.signals, this.options.lines.map((l, k) => [l.name, this.data?.[k]])); }

  update(signals) {
    this.signals = signals;
    this.data = this.options.compute(signals);
    this.empty(!this.data.some((d) => d && d.some((v) => v !== null)));
  }

  draw() {
    if (!this.data || !this.emptyNote.hidden) return;
    const s = surface(this.canvas), { ctx } = s, { options, signals } = this;
    const shown = this.data.map((d, k) => (this.off.has(k) ? null : d)), stacks = options.stacked ? stack(shown) : shown;
    const y = this.scale(s, stacks);
    const x = frame(s, this.box, signals);
    labels(s, this.box, y.ticks.map((v) => [y(v), tick(options.format(v))]));
    ctx.save();
    ctx.beginPath();
    ctx.rect(this.box.left, this.box.top - 2, this.box.right - this.box.left, this.box.bottom - this.box.top + 3);
    ctx.clip();
    for (let k = options.lines.length - 1; k >= 0; k--) {
      const below = options.stacked ? stacks.slice(0, k).findLast((d) => d) : null;
      if (stacks[k] && !options.lines[k].quiet) this.series(ctx, options.lines[k], stacks[k], below, x, y);
    }
    ctx.restore();
    crosshair(s, this.box, x, this.cursor);
    this.tell(ctx, stacks, x, y);
  }

  scale(s, stacks) {
    const { options } = this;
    let lo = Infinity, hi = -Infinity;
    for (const [k, d] of stacks.entries()) {
      if (options.lines[k].quiet) continue;
      for (const v of d ?? []) {
        if (v === null || (options.scale === "log" && v <= 0)) continue;
        lo = Math.min(lo, v);
        hi = Math.max(hi, v);
      }
    }
    const box = this.box = { left: 58, right: s.w - 10, top: 8, bottom: s.h - 24 };
    const height = box.bottom - box.top;
    if (options.scale === "log" && Number.isFinite(lo)) {
      // At least a decade, or noise would fill the panel.
      const mid = Math.sqrt(lo * hi), a = Math.log10(Math.min(lo / 1.3, mid / 3.2)), b = Math.log10(Math.max(hi * 1.3, mid * 3.2));
      const y = (v) => box.bottom - ((Math.log10(Math.max(v, 1e-12)) - a) / (b - a)) * height;
      y.ticks = logTicks(10 ** a, 10 ** b);
      return y;
    }
    const { ticks, step } = linearTicks(hi > 0 ? hi * 1.06 : 1, height > 150 ? 4 : 3);
    const top = Math.max(hi > 0 ? hi * 1.06 : 1, ticks[ticks.length - 1]);
    const y = (v) => box.bottom - (v / (top > 0 ? top : step)) * height;
    y.ticks = ticks;
    return y;
  }

  series(ctx, l, values, below, x, y) {
    const { times, breaks } = this.signals, c = colour(l.colour);
    ctx.lineJoin = "round";
    for (const [a, b] of runs(values, breaks)) {
      const path = new Path2D();
      for (let i = a; i <= b; i++) path.lineTo(x(times[i]), y(values[i]));
      if (l.fill || below !== null) {
        const area = new Path2D(path);
        for (let i = b; i >= a; i--) area.lineTo(x(times[i]), below && below[i] !== null ? y(below[i]) : this.box.bottom);
        ctx.fillStyle = c;
        ctx.globalAlpha = this.options.stacked ? 0.5 : 0.12;
        ctx.fill(area);
        ctx.globalAlpha = 1;
      }
      ctx.strokeStyle = ctx.fillStyle = c;
      ctx.lineWidth = 1.6;
      ctx.setLineDash(l.dash ? [5, 4] : []);
      if (a === b) {
        ctx.beginPath();
        ctx.arc(x(times[a]), y(values[a]), 1.8, 0, 7);
        ctx.fill();
      } else ctx.stroke(path);
      ctx.setLineDash([]);
    }
  }

  // tell puts values into the legend and dots under the crosshair.
  tell(ctx, stacks, x, y) {
    const i = this.index(), { options } = this, said = [];
    options.lines.forEach((l, k) => {
      const v = this.data[k]?.[i] ?? null;
      this.values[k].item.hidden = !this.data[k];
      set(this.values[k].value, options.format(v));
      if (this.data[k]) said.push(`${l.name} ${options.format(v)}`);
      if (this.cursor.time === null || v === null || l.quiet || this.off.has(k)) return;
      ctx.fillStyle = colour(l.colour);
      ctx.strokeStyle = colour("card");
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ctx.arc(x(this.signals.times[i]), y(stacks[k][i]), 3.2, 0, 7);
      ctx.fill();
      ctx.stroke();
    });
    // A reader that cannot see the line hears its values when they stand under the crosshair.
    if (document.activeElement === this.canvas) this.canvas.setAttribute("aria-label", `${this.title}: ${said.join(", ")}`);
  }
}

// runs yields the stretches of present values that no gap divides.
export function* runs(values, breaks) {
  let a = -1;
  for (let i = 0; i <= values.length; i++) {
    const ends = i === values.length || values[i] === null || (breaks[i] && a >= 0);
    if (ends && a >= 0) {
      yield [a, i - 1];
      a = -1;
    }
    if (i < values.length && values[i] !== null && a < 0) a = i;
  }
}

// stack adds each line to those before it.
function stack(data) {
  let sum = null;
  return data.map((d) => {
    if (!d) return null;
    const below = sum;
    sum = d.map((v, i) => (v === null ? null : v + (below?.[i] ?? 0)));
    return sum;
  });
}

// sparkline draws one small line with its area, on a scale that begins at zero.
export function sparkline(canvas, signals, values, name) {
  const s = surface(canvas), { ctx } = s;
  if (!values) return;
  let hi = 0;
  for (const v of values) if (v !== null) hi = Math.max(hi, v);
  const x = (t) => ((t - signals.from) / (signals.to - signals.from)) * s.w;
  const y = (v) => s.h - 1.5 - (v / (hi || 1)) * (s.h - 5);
  const c = colour(name);
  for (const [a, b] of runs(values, signals.breaks)) {
    const path = new Path2D();
    for (let i = a; i <= b; i++) path.lineTo(x(signals.times[i]), y(values[i]));
    const area = new Path2D(path);
    area.lineTo(x(signals.times[b]), s.h);
    area.lineTo(x(signals.times[a]), s.h);
    ctx.fillStyle = ctx.strokeStyle = c;
    ctx.globalAlpha = 0.13;
    ctx.fill(area);
    ctx.globalAlpha = 1;
    ctx.lineWidth = 1.5;
    ctx.lineJoin = "round";
    ctx.stroke(path);
  }
}
