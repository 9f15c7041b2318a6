// The page: puts the parts together, keeps the state in the URL, draws when something changed and somebody looks.
import { Alerts } from "./alerts.js";
import { Columns } from "./columns.js";
import { el, set } from "./dom.js";
import { clock, duration } from "./format.js";
import { getJSON, Live } from "./live.js";
import { makePanels } from "./panels.js";
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
  table: {
    sort: /^-?[A-Za-z]{1,20}$/.test(url.get("sort") ?? "") ? url.get("sort") : "-sentBytes",
    filter: (url.get("filter") ?? "").slice(0, 200),
    state: url.get("state") ?? "open",
    rows: pick("rows", "25", ["25", "100", "500"]),
  },
};
const plain = { range: "5", sort: "-sentBytes", filter: "", state: "open", rows: "25" };

function save() {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries({ range: String(view.range), ...view.table })) if (v !== plain[k]) q.set(k, v);
  history.replaceState(null, "", q.size ? "?" + q : location.pathname);
}

const columns = new Columns();
let active = [], status = null, dirty = true;

// The crosshair that all charts share; where tells which panel the pointer is in, and how high.
const cursor = {
  time: null, where: null,
  set(time, where) {
    this.time = time;
    this.where = where;
    schedule();
  },
};

const panels = makePanels(cursor);
$("charts").append(...panels.map((p) => p.root));
const tiles = new Tiles($("tiles"));
const alerts = new Alerts($("alerts"), $("rules"), $("said"));
const table = new Table($("connections"), view.table, (q) => getJSON("/api/connections?" + q), save);

let asked = false;
function schedule() {
  if (asked || document.hidden) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    if (dirty) update();
    tiles.draw();
    for (const p of panels) p.draw();
  });
}

// update works out what is drawn. The right edge is the newest snapshot, or where the clock was stopped.
function update() {
  dirty = false;
  const to = view.pausedAt ?? (columns.last || Date.now());
  const range = view.range * 60000, window = Math.max(5000, range / 60);
  const signals = new Signals(columns, to - range, to, window);
  const spans = signals.spans();
  signals.shades = shades(spans);
  tiles.update(signals);
  for (const p of panels) p.update(signals);
  panels[0].note(`over ${window / 1000} s`);
  alerts.show(active, spans);
  set($("about"), about());
}

function about() {
  if (!status) return "";
  const up = "up " + duration((Date.now() - Date.parse(status.started)) / 1000);
  const uuid = /^([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]+$/.exec(status.service.instance ?? "");
  return [status.service.version, uuid ? uuid[1] : status.service.instance, status.go, up].filter(Boolean).join(" · ");
}

async function load() {
  const since = view.pausedAt === null ? view.range + "m" : view.pausedAt - view.range * 60000;
  const [s, h] = await Promise.all([getJSON("/api/status"), getJSON(`/api/history?view=page&since=${since}&points=300`)]);
  if (s.error || h.error) {
    set($("about"), s.error ?? h.error);
    return null;
  }
  status = s;
  set($("service"), s.service.name || "otelnet");
  $("range").lastChild.hidden = s.history.keepSeconds < 3600;
  document.title = `${s.service.name || "otelnet"} · otelnet`;
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
  last: () => columns.last,
  tick(events) {
    for (const e of events) {
      columns.append(e.history);
      active = e.alerts;
    }
    if (view.pausedAt === null) columns.trim(columns.last - (view.range + 1) * 60000);
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
  const shown = view.pausedAt !== null && connection === "live" ? "paused" : connection;
  $("live").dataset.state = shown;
  set($("live").querySelector("b"), shown === "paused" ? `paused at ${clock(view.pausedAt)}` : shown);
}

function setRange(minutes) {
  view.range = minutes;
  for (const b of $("range").children) check(b, Number(b.value) === minutes);
  save();
}

function check(button, on) {
  button.setAttribute("aria-checked", String(on));
  button.tabIndex = on ? 0 : -1;
}

for (const m of ranges) {
  $("range").append(el("button", { type: "button", role: "radio", value: m, hidden: m === 60, onclick: () => { setRange(m); live.restart(); } },
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

function pause() {
  view.pausedAt = view.pausedAt === null ? columns.last || Date.now() : null;
  const on = view.pausedAt !== null;
  $("pause").setAttribute("aria-pressed", String(on));
  set($("pause"), on ? "Resume" : "Pause");
  showState();
  dirty = true;
  schedule();
}
$("pause").addEventListener("click", pause);
addEventListener("keydown", (e) => {
  if (e.key === " " && (e.target === document.body || e.target.tagName === "CANVAS")) {
    e.preventDefault();
    pause();
  }
});

// Tables are asked for while somebody looks and the clock runs.
async function refresh() {
  if (!status) return;
  if (status.connections) table.refresh();
  else $("connections").hidden = true;
  if (status.alerts) {
    const r = await getJSON("/api/v1/rules");
    if (!r.error) alerts.rules(r.data.groups);
    dirty = true;
    schedule();
  }
}
setInterval(() => { if (!document.hidden && view.pausedAt === null && connection === "live") refresh(); }, 2000);

function foot() {
  const links = [["history", `/api/history?since=${view.range}m`], ["alerts", "/api/v1/alerts"], ["rules", "/api/v1/rules"],
    ["connections", "/api/connections"], ["profiles", "/debug/pprof/"], ...(status.metrics ? [["metrics", "/metrics"]] : [])];
  const h = status.history, lost = h.droppedSamples ? `, ${h.droppedSamples} samples dropped` : "";
  $("footer").replaceChildren(el("span", {}, `${h.series} series, ${Math.round(h.bytes / 1000)} kB${lost}`),
    ...links.map(([name, href]) => el("a", { href }, name)));
}

new ResizeObserver(schedule).observe($("charts"));
document.addEventListener("visibilitychange", schedule);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", schedule);
live.restart();
