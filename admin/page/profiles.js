// The profiles of a capture: the functions with the most, and pprof's own pages in a frame, as a whole, by label, or against another.
import { why } from "./captures.js";
import { el, set } from "./dom.js";
import { bytes, clock, count, percent, seconds } from "./format.js";
import { getJSON } from "./live.js";

const views = [["flamegraph", "Flame graph"], ["top", "Table"], ["peek", "Callers"]];
const order = ["cpu", "mutex", "heap", "goroutine", "goroutineleak"];
const numbers = [
  ["own", "your code", "By the function itself and the libraries that it called: it was the innermost of the program's own code"],
  ["flat", "itself", "By the function itself"], ["cum", "with calls", "With all that it called"],
];
const formats = { nanoseconds: (v) => seconds(v / 1e9), bytes, count };

export class Profiles {
  constructor(id) {
    const url = new URLSearchParams(location.search);
    this.id = id;
    this.files = "/api/captures/" + encodeURIComponent(id) + "/";
    this.kind = url.get("profile");
    this.choice = { view: url.get("view") ?? "flamegraph", si: url.get("si") ?? "", base: url.get("base") ?? "", label: url.get("label") ?? "" };
    this.asked = 0;
    this.by = "own";
  }

  // show builds the section for the artefacts that are there, null if there are none.
  show(artefacts) {
    if (!artefacts.length) return null;
    this.artefacts = artefacts.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
    if (!this.artefacts.some((a) => a.kind === this.kind)) this.kind = this.artefacts[0].kind;
    this.kinds = segments("Profile", this.artefacts.map((a) => [a.kind, a.kind]), (kind) => {
      this.kind = kind;
      Object.assign(this.choice, { si: "", label: "" });
      this.load();
    });
    this.views = segments("View", views, (view) => this.pick({ view }));
    this.types = choice("Value", (si) => this.pick({ si }));
    this.bases = choice("Compare with", (base) => this.pick({ base }));
    this.labels = choice("Only samples of", (label) => this.pick({ label }));
    this.note = el("p", { class: "note", role: "status" });
    this.body = el("tbody");
    this.heads = numbers.map(([field, name, title]) => el("th", { scope: "col", class: "num", title },
      el("button", { type: "button", onclick: () => this.sort(field) }, name)));
    this.save = el("a", { download: true }, "download the difference");
    // The answer has the same sandbox as a header; this one holds if that should fail.
    this.frame = el("iframe", { class: "pprof", sandbox: "allow-scripts", title: "pprof" });
    addEventListener("message", (e) => this.follow(e));
    this.options();
    this.load();
    return el("section", { class: "card wide", id: "profiles", "aria-label": "Profiles" },
      el("div", { class: "bar" }, el("h2", {}, "Profiles"), this.kinds.root, el("span", { class: "grow" }), this.types.root, this.labels.root, this.bases.root),
      this.note, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Functions, scrollable" }, el("table", { class: "top" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Function"), ...this.heads)), this.body)),
      el("div", { class: "bar" }, this.views.root, this.save, el("span", { class: "grow" }), el("span", { class: "hint" }, "made by pprof")), this.frame);
  }

  pick(part) {
    Object.assign(this.choice, part);
    this.load();
  }

  // options lists the captures to compare with.
  async options() {
    const { captures = [], baseline } = await getJSON("/api/captures"), { bases } = this;
    const others = captures.filter((m) => m.id !== this.id && m.artefacts.some((a) => a.file.endsWith(".pb.gz") && a.status === "ok"));
    bases.fill([["", "no comparison"], ...(baseline && baseline !== this.id ? [["baseline", "quiet times"]] : []),
      ...others.map((m) => [m.id, `${why(m)} ${clock(Date.parse(m.at))}`])], this.choice.base);
    bases.root.hidden = bases.select.options.length < 2;
  }

  query(...names) {
    const q = new URLSearchParams();
    for (const name of names) if (this.choice[name]) q.set(name, this.choice[name]);
    return q;
  }

  async load() {
    const asked = ++this.asked, artefact = this.artefacts.find((a) => a.kind === this.kind), { choice } = this;
    this.kinds.mark(this.kind);
    this.views.mark(choice.view);
    const kept = this.query("view", "si", "base", "label");
    kept.set("profile", this.kind);
    history.replaceState(null, "", "?" + kept);
    const s = await getJSON(`${this.files}${artefact.file}/summary?${this.query("si", "base", "label")}`);
    if (asked !== this.asked) return;
    this.frame.hidden = Boolean(s.error);
    if (s.error) {
      this.body.replaceChildren();
      return this.say(s.error);
    }
    this.types.fill(s.sampleTypes.map((t) => [t.type, t.type.replaceAll("_", " ")]), s.sampleType);
    this.types.root.hidden = s.sampleTypes.length < 2;
    this.fillLabels(s);
    this.save.hidden = !choice.base;
    this.save.href = `${this.files}${artefact.file}/download?${this.query("base", "label")}`;
    const format = formats[s.unit] ?? count;
    this.say(this.sentence(s, format));
    Object.assign(this, { summary: s, format });
    this.sort(this.by);
    const src = this.address(choice.view, this.query("si", "base", "label"));
    if (src !== this.frame.getAttribute("src")) this.frame.src = src;
    this.frame.title = `${views.find(([v]) => v === choice.view)?.[1] ?? choice.view} of the ${this.kind} profile, by pprof`;
  }

  // sort lists the functions with the most of a number.
  sort(field) {
    this.by = field;
    this.heads.forEach((th, i) => {
      if (numbers[i][0] === field) th.setAttribute("aria-sort", "descending");
      else th.removeAttribute("aria-sort");
    });
    const { summary: s, format } = this, top = [...s.top].sort((a, b) => Math.abs(b[field]) - Math.abs(a[field])).slice(0, 10);
    this.body.replaceChildren(...top.map((f) => line(f, s, format, Boolean(this.choice.base), field)));
  }

  // fillLabels offers what the samples can be told apart by: the routes of requests, if they carry them.
  fillLabels(s) {
    if (this.choice.label) return;
    const all = s.labels.flatMap((l) => l.values.map((v) => [`${l.key}=${v}`, `${l.key}=${v}`]));
    this.labels.fill([["", "all samples"], ...all], "");
    this.labels.root.hidden = !all.length;
  }

  sentence(s, format) {
    const over = s.seconds ? ` in ${seconds(s.seconds)}` : "";
    if (!this.choice.base) return s.samples ? `${s.sampleType.replaceAll("_", " ")}: ${format(s.total)}${over}` : `Nothing was sampled${over}.`;
    const change = s.total >= 0 ? `${format(s.total)} more` : `${format(-s.total)} less`;
    return `${change}${over} than the ${format(s.whole)} of what it is compared with; the largest changes first`;
  }

  say(text) { set(this.note, text); }

  address(view, q) { return `${this.files}${this.artefacts.find((a) => a.kind === this.kind).file}/${view}${q.size ? "?" + q : ""}`; }

  // follow takes a link of pprof's page, whose frame may not ask for pages itself.
  follow(e) {
    if (e.source !== this.frame.contentWindow || typeof e.data?.pprof !== "string") return;
    const url = new URL(e.data.pprof, "http://pprof/"), view = url.pathname.slice(1) || this.choice.view;
    if (!views.some(([v]) => v === view)) return;
    this.choice.view = view;
    this.views.mark(view);
    this.frame.src = this.address(view, url.searchParams);
    if ((url.searchParams.get("si") ?? this.choice.si) !== this.choice.si) this.choice.si = url.searchParams.get("si");
  }
}

function line(f, s, format, difference, field) {
  const signed = (v) => (difference && v > 0 ? "+" : v < 0 ? "−" : "") + format(Math.abs(v));
  const share = (v) => (s.whole && v ? percent((v / s.whole) * 100) : "");
  const bar = el("i", { class: f[field] < 0 ? "less" : difference ? "more" : "" });
  const most = Math.max(...s.top.map((t) => Math.abs(t[field])), 1);
  bar.style.width = `${(Math.abs(f[field]) / most) * 100}%`;
  return el("tr", {}, el("td", { class: "wrap", title: f.file }, el("code", {}, f.func), el("div", { class: "share" }, bar)),
    ...numbers.map(([n]) => el("td", { class: "num" }, f[n] ? signed(f[n]) : "–", el("div", { class: "dim" }, share(f[n])))));
}

// segments is a row of buttons of which one is chosen.
export function segments(label, options, chosen) {
  const buttons = options.map(([value, text]) => el("button", { type: "button", role: "radio", value, onclick: () => chosen(value) }, text));
  const root = el("div", { class: "segments", role: "radiogroup", "aria-label": label }, ...buttons);
  root.addEventListener("keydown", (e) => {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[e.key];
    if (!by) return;
    e.preventDefault();
    const next = buttons[(buttons.indexOf(document.activeElement) + by + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
  return { root, mark(value) {
    for (const b of buttons) {
      b.setAttribute("aria-checked", String(b.value === value));
      b.tabIndex = b.value === value ? 0 : -1;
    }
  } };
}

// choice is a list to choose from whose options come later.
function choice(label, chosen) {
  const select = el("select", { "aria-label": label, title: label, onchange: () => chosen(select.value) });
  return { root: select, select, fill(options, value) {
    select.replaceChildren(...options.map(([v, text]) => el("option", { value: v }, text)));
    select.value = value;
  } };
}
