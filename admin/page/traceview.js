// What happened in the execution trace: who waited for what, for how long and where.
import { el, set } from "./dom.js";
import { count, percent, seconds } from "./format.js";
import { getJSON } from "./live.js";

const decades = ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"];

// trace builds the section; the summary is asked for when somebody comes near it, for making it costs the service some work.
export function trace(file) {
  const note = el("p", { class: "note", role: "status" }, "…");
  const root = el("section", { class: "card wide", id: "trace", "aria-label": "Execution trace" }, el("div", { class: "bar" }, el("h2", {}, "Execution trace")), note);
  const watch = new IntersectionObserver(async (entries) => {
    if (!entries.some((e) => e.isIntersecting)) return;
    watch.disconnect();
    set(note, "Reading the trace…");
    const s = await getJSON(file + "/summary", "GET", 60000);
    if (s.error) return set(note, s.error);
    set(note, sentence(s));
    root.append(...parts(s));
  }, { rootMargin: "600px" });
  watch.observe(root);
  return root;
}

function sentence(s) {
  const busy = s.procs ? ` on ${s.procs} processors, busy ${percent(s.busyShare * 100)} of the time` : "";
  return `${seconds(s.seconds)} with ${count(s.events)} events of ${count(s.goroutines)} goroutines${busy}.` + (s.stopped ? ` ${s.stopped}.` : "");
}

function parts(s) {
  const { gc } = s, most = Math.max(...s.causes.map((c) => c.total), 1e-12);
  const all = [
    el("div", { class: "tiles four" },
      tile("Waiting to run, p99", seconds(s.scheduling.p99), `p50 ${seconds(s.scheduling.p50)}, at most ${seconds(s.scheduling.max)}`, spread(s.scheduling)),
      tile("Longest pause", seconds(gc.pauses.max), `${count(gc.pauses.count)} pauses, ${seconds(gc.pauses.total)} in all`, spread(gc.pauses)),
      tile("Garbage collection", percent(gc.markShare * 100), `of the time, ${count(gc.cycles)} cycles, ${seconds(gc.workSeconds)} of work`),
      tile("Assists", seconds(gc.assist.total), `${count(gc.assist.count)} times allocating code had to help, at most ${seconds(gc.assist.max)}`, spread(gc.assist))),
    table("Waits by cause", ["Cause", "Together", "", "Waits", "p50", "p99", "Longest", "Still waiting", "Where most"], s.causes.map((c) => [
      c.cause, seconds(c.total), bar(c.total / most, c.cause), count(c.count), seconds(c.p50), seconds(c.p99), seconds(c.max), c.waiting ? count(c.waiting) : "–",
      details(c.sites[0]?.caller ?? "–", c.sites.map((w) => el("div", { class: "place" }, el("b", {}, `${count(w.count)} × ${w.caller}`),
        ` ${seconds(w.total)} together, at most ${seconds(w.max)}`, stack(w.stack)))),
    ]), "causes"),
    longest(s),
  ];
  if (s.still.length) {
    all.push(table("Goroutines that did not move", ["Number", "Cause", "Where"], s.still.map((g) => [count(g.count), g.cause, details(g.caller, [stack(g.stack)])]), "still"));
  }
  const run = Math.max(...s.busiest.map((w) => w.running), 1e-12);
  all.push(table("Goroutines that ran most, by the function they began with", ["Function", "Ran", "", "Goroutines", "Waited to run", "Waited", "System calls"],
    s.busiest.slice(0, 12).map((w) => [el("code", {}, w.func), seconds(w.running), bar(w.running / run), count(w.goroutines), seconds(w.ready), seconds(w.waiting), seconds(w.syscall)]), "busiest"));
  return all;
}

// longest lists single waits; those for work to come are left out until they are asked for.
function longest(s) {
  const causes = [...new Set(s.longest.map((w) => w.cause))];
  const usual = (w) => w.cause !== "waiting for work" && w.cause !== "sleep";
  const select = el("select", { "aria-label": "Cause" }, el("option", { value: "" }, "all but sleep and waiting for work"), ...causes.map((c) => el("option", {}, c)));
  const heads = ["Waited", "Cause", "From", "Goroutine", "Where", "Ended by"];
  const part = table("Longest waits", heads, [], "longest", [select]), body = part.querySelector("tbody");
  const fill = () => body.replaceChildren(...s.longest.filter((w) => (select.value ? w.cause === select.value : usual(w))).slice(0, 24).map((w) => cells([
    (w.before ? "over " : "") + seconds(w.seconds) + (w.open ? " so far" : ""), w.cause, w.before ? "before" : seconds(w.at), String(w.goroutine),
    details(w.caller, [stack(w.stack)]), w.wokenBy ? el("code", {}, w.wokenBy) : "–",
  ])));
  select.addEventListener("change", fill);
  fill();
  return part;
}

function tile(name, big, small, ...more) {
  return el("article", { class: "card tile" }, el("h3", {}, name), el("div", { class: "row" }, el("span", { class: "big" }, big)), el("div", { class: "help" }, small), ...more);
}

// spread draws how many took how long, a bar for each decade.
function spread(t) {
  if (!t.count) return "";
  const most = Math.max(...t.buckets);
  const words = t.buckets.map((n, i) => [n, i < decades.length ? `up to ${decades[i]}` : `over ${decades.at(-1)}`]);
  return el("div", { class: "spread", role: "img", "aria-label": words.filter(([n]) => n).map(([n, w]) => `${n} ${w}`).join(", ") }, ...words.map(([n, w]) => {
    const i = el("i", { title: `${count(n)} ${w}` });
    i.style.height = n ? `${Math.max(6, (Math.log1p(n) / Math.log1p(most)) * 100)}%` : "0";
    return i;
  }));
}

function table(title, heads, rows, id, tools = []) {
  return el("section", { class: "part", id, "aria-label": title }, el("div", { class: "bar" }, el("h3", {}, title), el("span", { class: "grow" }), ...tools),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title + ", scrollable" }, el("table", {},
      el("thead", {}, el("tr", {}, ...heads.map((t) => el("th", { scope: "col" }, t)))), el("tbody", {}, ...rows.map(cells)))));
}

function cells(row) { return el("tr", {}, ...row.map((c) => el("td", { class: c.tagName === "DETAILS" || c.tagName === "CODE" ? "wrap" : "" }, c))); }

function bar(share, name = "") {
  const i = el("i", { class: { "waiting for work": "idle", sleep: "idle" }[name] ?? "" });
  i.style.width = `${share * 100}%`;
  return el("div", { class: "share" }, i);
}

function details(text, content) {
  return el("details", {}, el("summary", {}, el("code", {}, text)), ...content);
}

export function stack(frames) {
  return el("ol", { class: "stack" }, ...frames.map((f) => el("li", {}, el("code", {}, f.func), el("span", { class: "hint" }, `${f.file.split("/").slice(-2).join("/")}:${f.line}`))));
}
