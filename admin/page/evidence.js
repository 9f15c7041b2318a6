// What else a capture holds: the metrics before it as charts, and the connections as they were.
import { Columns } from "./columns.js";
import { el, set } from "./dom.js";
import { clock } from "./format.js";
import { Grid } from "./grid.js";
import { getJSON } from "./live.js";
import { merge } from "./merge.js";
import { makePanels } from "./panels.js";
import { shades, Signals } from "./signals.js";
import { columns } from "./table.js";

// metrics draws the window of metrics; at is the capture's moment, which the crosshair rests on.
export function metrics(file, at) {
  let asked = false;
  const cursor = { time: at, where: null, anchor: null, set(time, where) {
    this.time = time ?? at;
    this.where = where;
    schedule();
  } };
  const groups = makePanels(cursor), panels = groups.flatMap((g) => g[2]), note = el("p", { class: "note", role: "status" });
  const grid = el("div", {}, ...groups.map(([, title, members]) => el("section", { "aria-label": title }, el("h3", { class: "head" }, title),
    el("div", { class: "grid" }, ...members.map((p) => p.root)))));
  const root = el("section", { class: "wide", id: "metrics", "aria-label": "Metrics" }, el("div", { class: "bar" }, el("h2", { class: "head" }, "Metrics"), note), grid);
  function schedule() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      for (const p of panels) if (p.signals) p.draw();
    });
  }
  (async () => {
    const h = await getJSON(file);
    if (h.error || !h.times.length) {
      grid.hidden = true;
      return set(note, h.error ?? "There were no metrics yet.");
    }
    const store = new Columns();
    store.append(merge(h));
    const from = h.times[0], to = Math.max(h.times.at(-1), at), signals = new Signals(store, from, to, Math.max(10000, (to - from) / 60));
    signals.shades = shades(signals.spans());
    for (const p of panels) p.update(signals);
    groups.forEach(([, , members], i) => { grid.children[i].hidden = members.every((p) => p.root.hidden); });
    set(note, `${clock(from)} to ${clock(to)}; the line is the moment of the capture, ${clock(at)}`);
    schedule();
  })();
  new ResizeObserver(schedule).observe(grid);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", schedule);
  return root;
}

const most = 200; // rows at first

// connections shows the table as it was, sorted and filtered here.
export function connections(file) {
  const root = el("section", { class: "card wide", id: "connections", "aria-label": "Connections" });
  const filter = el("input", { type: "search", placeholder: "filter: peer, name, route, state", "aria-label": "Filter connections", maxlength: "200" });
  let rows = [], total = 0, limit = most;
  const more = el("button", { type: "button", hidden: true, onclick: () => { limit = Infinity; show(); } }, "Show all");
  const grid = new Grid({ root, title: "Connections", columns, sort: "as recorded", sorted: show, tools: [filter, more] });
  filter.addEventListener("input", show);
  function show() {
    const text = filter.value.trim().toLowerCase();
    const found = rows.filter((c) => !text || [c.peer, c.local, c.name, c.route, c.state, c.closeReason].some((v) => v?.toLowerCase().includes(text)));
    const field = grid.order.replace("-", ""), down = grid.order[0] === "-" ? -1 : 1;
    if (field !== "as recorded") found.sort((a, b) => down * compare(a[field], b[field]));
    more.hidden = found.length <= limit;
    set(grid.title, `Connections as they were · ${Math.min(found.length, limit)} of ${total}`);
    if (found.length) grid.fill(found.slice(0, limit));
    else grid.say(rows.length ? "No connection matches." : "There was no connection.");
  }
  (async () => {
    const answer = await getJSON(file);
    if (answer.error) return grid.say(answer.error);
    rows = answer.connections;
    total = answer.total;
    show();
  })();
  return root;
}

function compare(a, b) {
  if (typeof a === "string" || typeof b === "string") return (a ?? "").localeCompare(b ?? "");
  return (a ?? 0) - (b ?? 0);
}
