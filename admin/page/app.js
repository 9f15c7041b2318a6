// The page: puts the parts together, keeps the state in the URL, draws when something changed and somebody looks.
import { Alerts } from "./alerts.js";
import { Captures } from "./captures.js";
import { Columns } from "./columns.js";
import { Drawer } from "./drawer.js";
import { el, set } from "./dom.js";
import { clock, duration } from "./format.js";
import { keys } from "./keys.js";
import { getJSON, Live } from "./live.js";
import { makePanels } from "./panels.js";
import { Routes } from "./routes.js";
import { shades, Signals } from "./signals.js";
import { Table } from "./table.js";
import { Tiles } from "./tiles.js";

const $ = (id) => document.getElementById(id);
const ranges = [1, 5, 15, 60]; // minutes; the last only where the history reaches so far
const url = new URLSearchParams(location.search);
const pick = (name, fallback, allowed) => (allowed.includes(url.get(name)) ? url.get(name) : fallback);

const view = {
  range: Number(pick("range", "5", ranges.map(String))),
  pausedAt: null,
  span: null, // from and to, where a stretch was selected
  closed: new Set((url.get("closed") ?? "").split(" ").filter((id) => /^[a-z]{1,20}$/.test(id))), // groups of charts
  table: {
    sort: /^-?[A-Za-z]{1,20}$/.test(url.get("sort") ?? "") ? url.get("sort") : "-sentBytes",
    filter: (url.get("filter") ?? "").slice(0, 200),
    state: url.get("state") ?? "open",
    rows: pick("rows", "25", ["25", "100", "500"]),
    routes: /^-?[A-Za-z0-9]{1,20}$/.test(url.get("routes") ?? "") ? url.get("routes") : "-requests",
    conn: /^\d{1,18}$/.test(url.get("conn") ?? "") ? url.get("conn") : "",
  },
};
const plain = { range: "5", sort: "-sentBytes", filter: "", state: "open", rows: "25", routes: "-requests", conn: "", from: "", to: "", closed: "" };

function spanOf(params) {
  const span = ["from", "to"].map((k) => Number(/^\d{12,14}$/.exec(params.get(k) ?? "")?.[0]));
  return span[1] > span[0] ? span : null;
}
view.span = spanOf(url);

// save writes the state into the address; how is "push" where Back shall undo the step.
function save(how = "replace") {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries({
    range: String(view.range), ...view.table, from: String(view.span?.[0] ?? ""), to: String(view.span?.[1] ?? ""),
    closed: [...view.closed].join(" "),
  })) if (v !== plain[k]) q.set(k, v);
  history[how + "State"](null, "", q.size ? "?" + q : location.pathname);
}

const columns = new Columns();
let active = [], ticked = false, status = null, dirty = true; // ticked: alerts have come with the stream

// The crosshair that all charts share; where tells which panel the pointer is in, and how high.
const cursor = {
  time: null, where: null, anchor: null,
  set(time, where) {
    this.time = time;
    this.where = where;
    schedule();
  },
  choose(from, to) {
    cursor.set(null, null);
    view.span = [Math.round(from), Math.round(to)];
    save("push");
    held();
    live.restart();
  },
};

addEventListener("popstate", () => {
  view.span = spanOf(new URLSearchParams(location.search));
  view.pausedAt = null;
  held();
  live.restart();
});

const groups = makePanels(cursor), panels = groups.flatMap((g) => g[2]);
for (const [id, title, members] of groups) {
  const grid = el("div", { class: "grid" }, ...members.map((p) => p.root));
  const head = el("button", { type: "button", class: "group", onclick() {
    if (!view.closed.delete(id)) view.closed.add(id);
    fold();
    save();
    schedule();
  } }, title);
  const fold = () => head.setAttribute("aria-expanded", String(!(grid.hidden = view.closed.has(id))));
  fold();
  $("charts").append(el("section", { "aria-label": title }, head, grid));
}
const tiles = new Tiles($("tiles"));
// look shows a stretch with what came before and after it.
const look = (from, to) => cursor.choose(from - 30000, Math.min(to + 30000, columns.last || Date.now()));
const captures = new Captures($("captures"), () => {
  dirty = true;
  schedule();
});
const alerts = new Alerts($("alerts"), $("rules"), $("said"), look, (alert, since) => captures.of(alert, since));
const drawer = new Drawer($("drawer"), (id) => getJSON("/api/connections/" + id), (id) => getJSON(`/api/connections/${id}/requests`), (id) => { view.table.conn = id ? String(id) : ""; save(); });
const table = new Table($("connections"), view.table, (q) => getJSON("/api/connections?" + q), save, (c, opener) => drawer.open(c.id, opener));
const routes = new Routes($("routes"), view.table, (q) => {
  const [from, to] = extent();
  q.set("since", Math.round(from));
  q.set("until", Math.round(to));
  return getJSON("/api/routes?" + q);
}, save);

let asked = false;
function schedule() {
  if (asked || document.hidden) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    if (dirty && status) update(); // nothing is said of what has not been asked yet
    tiles.draw();
    for (const p of panels) if (inView(p.root)) p.draw();
  });
}

// Half of the charts lie below the window's edge; drawing them is half of the script's time.
function inView(node) {
  const { top, bottom } = node.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

// extent is what is in view: the selected stretch, or up to the newest snapshot or where the clock was stopped. A history that is
// younger than the range fills the charts all the same, from a minute on.
function extent() {
  if (view.span) return view.span;
  const to = view.pausedAt ?? (columns.last || Date.now()), range = view.range * 60000, from = to - range;
  const first = columns.times[0] ?? from;
  return [first > from + range / 10 ? Math.min(first, to - 60000) : from, to];
}

function update() {
  dirty = false;
  const [from, to] = extent(), window = windowOf(to - from), signals = new Signals(columns, from, to, window);
  const spans = signals.spans();
  signals.shades = shades(spans);
  tiles.update(signals);
  for (const p of panels) p.update(signals);
  panels[0].note(`over ${window / 1000} s`);
  alerts.show(active, spans);
  for (const section of $("charts").children) section.hidden = ![...section.lastChild.children].some((p) => !p.hidden);
  const firing = active.filter((a) => a.state === "firing").length;
  const title = `${firing ? `(${firing} firing) ` : ""}${name()} · otelnet`;
  if (document.title !== title) document.title = title;
  set($("about"), about());
}

// windowOf is how much each point looks back on.
const windowOf = (range) => Math.max(5000, range / 60);

const name = () => status?.service.name || "otelnet";

function about() {
  if (!status) return "";
  const up = "up " + duration((Date.now() - Date.parse(status.started)) / 1000);
  const uuid = /^([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]+$/.exec(status.service.instance ?? "");
  return [status.service.version, uuid ? uuid[1] : status.service.instance, status.go, up].filter(Boolean).join(" · ");
}

async function load() {
  let since = view.range + "m";
  if (view.span) since = `${view.span[0] - windowOf(view.span[1] - view.span[0])}&until=${view.span[1]}`;
  else if (view.pausedAt !== null) since = view.pausedAt - view.range * 60000;
  // A point in two seconds is enough to begin with: seconds follow as they come, and a selected stretch has them all.
  const points = view.span || view.range > 5 ? 300 : 150;
  const [s, h] = await Promise.all([getJSON("/api/status"), getJSON(`/api/history?view=page&since=${since}&points=${points}`)]);
  if (s.error || h.error) {
    set($("about"), s.error ?? h.error);
    return null;
  }
  status = s;
  set($("service"), name());
  $("range").lastChild.hidden = s.history.keepSeconds < 3600;
  columns.clear();
  columns.append(h);
  foot();
  refresh();
  dirty = true;
  schedule();
  return columns.last;
}

const live = new Live({
  load,
  last: () => (view.span ? status.history.newest : columns.last),
  tick(events) {
    for (const e of events) {
      if (!view.span) columns.append(e.history);
      active = e.alerts;
      ticked = true;
    }
    if (view.span) { /* what is in view stays as it was loaded */ } else if (view.pausedAt === null) columns.trim(columns.last - (view.range + 1) * 60000);
    else columns.trim(view.pausedAt - 20 * 60000);
    dirty = true;
    schedule();
  },
  state(name) {
    connection = name;
    showState();
  },
});

let connection = "connecting";
function showState() {
  const stopped = view.span ? view.span.map((t) => clock(t)).join(" to ") : view.pausedAt !== null && `paused at ${clock(view.pausedAt)}`;
  const shown = stopped && connection === "live" ? "paused" : connection;
  $("live").dataset.state = shown;
  set($("live").querySelector("b"), shown === "paused" ? stopped : shown);
}

function setRange(minutes) {
  view.range = minutes;
  for (const b of $("range").children) b.tabIndex = Number(b.value) === minutes ? 0 : -1;
}

for (const m of ranges) {
  $("range").append(el("button", { type: "button", role: "radio", value: m, hidden: m === 60, onclick: () => { view.span = null; setRange(m); held(); live.restart(); } },
    m === 60 ? "1 h" : `${m} min`));
}
$("range").addEventListener("keydown", (e) => {
  const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[e.key];
  if (!by) return;
  e.preventDefault();
  const shown = [...$("range").children].filter((b) => !b.hidden);
  const next = shown[(shown.findIndex((b) => Number(b.value) === view.range) + by + shown.length) % shown.length];
  next.focus();
  next.click();
});
setRange(view.range);

// The report is of what is in view: a stretch that stands still, or what leads up to now.
for (const event of ["pointerdown", "focus"]) {
  $("report").addEventListener(event, () => {
    const [from, to] = extent(), still = view.span || view.pausedAt !== null;
    $("report").href = `/report?range=${Math.max(60, Math.round((to - from) / 1000))}s` + (still ? `&until=${Math.round(to)}` : "");
  });
}

// pause stops and starts the clock; from a selected stretch it leads back to now.
function pause() {
  const zoomed = view.span;
  view.pausedAt = view.pausedAt === null && !zoomed ? columns.last || Date.now() : null;
  view.span = null;
  held();
  if (zoomed) live.restart();
}

// held shows whether the clock stands.
function held() {
  const on = view.pausedAt !== null || view.span !== null;
  for (const b of $("range").children) b.setAttribute("aria-checked", String(!view.span && Number(b.value) === view.range));
  $("pause").setAttribute("aria-pressed", String(on));
  set($("pause"), on ? "Resume" : "Pause");
  save();
  showState();
  dirty = true;
  schedule();
}
$("pause").addEventListener("click", pause);
const press = (i) => () => { if (!$("range").children[i].hidden) $("range").children[i].click(); };
keys($("keys"), $("help"), {
  " ": pause, "/": () => table.filter.focus(), 1: press(0), 2: press(1), 3: press(2), 4: press(3),
});

// Tables are asked for while somebody looks and the clock runs.
let shown = false;
async function refresh() {
  if (!status) return;
  routes.refresh();
  $("captures").hidden = $("evidence").hidden = !status.captures;
  if (status.captures) shown ? captures.refresh() : setTimeout(() => captures.refresh(), 1500); // once the charts stand
  shown = true;
  if (status.connections) table.refresh();
  else $("connections").hidden = true;
  if (status.alerts) {
    const r = await getJSON("/api/v1/rules");
    if (!r.error) {
      if (!ticked) active = r.data.groups.flatMap((g) => g.rules.flatMap((rule) => rule.alerts ?? []));
      alerts.rules(r.data.groups);
    }
    dirty = true;
    schedule();
  }
}
setInterval(() => { if (!document.hidden && view.pausedAt === null && !view.span && connection === "live") refresh(); }, 2000);

function foot() {
  const links = [["history", `/api/history?since=${view.range}m`], ["alerts", "/api/v1/alerts"], ["rules", "/api/v1/rules"],
    ["connections", "/api/connections"], ["routes", "/api/routes"], ["profiles", "/debug/pprof/"], ...(status.metrics ? [["metrics", "/metrics"]] : [])];
  const h = status.history, lost = h.droppedSamples ? `, ${h.droppedSamples} samples dropped` : "";
  $("footer").replaceChildren(el("span", {}, `${h.series} series, ${Math.round(h.bytes / 1000)} kB${lost}`),
    ...links.map(([name, href]) => el("a", { href }, name)));
}

new ResizeObserver(schedule).observe($("charts"));
document.addEventListener("visibilitychange", schedule);
addEventListener("scroll", schedule, { passive: true });
addEventListener("resize", schedule);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", schedule);
held();
live.restart();
if (view.table.conn) drawer.open(view.table.conn, null);
