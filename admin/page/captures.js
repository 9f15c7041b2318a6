// The captures: what was recorded when alerts fired, or when somebody asked.
import { el, set } from "./dom.js";
import { bytes, clock, seconds } from "./format.js";
import { getJSON } from "./live.js";

export class Captures {
  // changed() is called when another list came.
  constructor(root, changed = () => {}) {
    Object.assign(this, { changed, list: [], text: "" });
    this.note = el("p", { class: "note", role: "status" });
    this.now = el("button", { type: "button", title: "Record profiles, trace, connections and metrics as they are now", onclick: () => this.ask() }, "Capture now");
    this.body = el("tbody");
    this.scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Captures, scrollable" }, el("table", {},
      el("thead", {}, el("tr", {}, ...["When", "Why", "State", "Evidence"].map((t) => el("th", { scope: "col" }, t)))), this.body));
    root.append(el("div", { class: "bar" }, el("h2", {}, "Captures"), el("span", { class: "grow" }), this.now), this.note, this.scroll);
  }

  async refresh() {
    const answer = await getJSON("/api/captures");
    if (answer.error) return set(this.note, answer.error);
    this.baseline = answer.baseline;
    const text = JSON.stringify(answer);
    if (text === this.text) return;
    this.text = text;
    this.list = answer.captures;
    this.now.disabled = this.running();
    this.scroll.hidden = !this.list.length;
    if (!this.list.length) set(this.note, "Nothing has been captured yet. A rule with capture: does so when it fires.");
    else if (this.running()) set(this.note, "A capture is being made.");
    else set(this.note, "");
    this.note.hidden = !this.note.textContent;
    this.body.replaceChildren(...this.list.map((m) => row(m, m.id === answer.baseline)));
    this.changed();
  }

  running() { return this.list.some((m) => m.state === "running" && m.reason !== "continuous"); }

  async ask() {
    this.now.disabled = true;
    const answer = await getJSON("/api/captures", "POST");
    await this.refresh();
    this.now.disabled = this.running();
    if (answer.error) {
      this.note.hidden = false;
      set(this.note, answer.error);
    }
  }

  // of finds the capture that was made for an alert, or that it was attached to; since is when the alert began, in milliseconds.
  of(alert, since) {
    const fits = (c) => c.alert === alert && Date.parse(c.at) >= since - 60000;
    return this.list.find((m) => fits(m) || m.attached?.some(fits))?.id;
  }
}

export const href = (id) => "/captures/" + encodeURIComponent(id);

// why says in a few words what a capture was made for.
export function why(m) {
  if (m.reason === "alert") return m.alert;
  return m.note || (m.reason === "continuous" ? "by the clock" : "asked for");
}

function row(m, baseline) {
  const at = new Date(m.at), today = at.toDateString() === new Date().toDateString();
  const others = [...new Set((m.attached ?? []).map((a) => a.alert).filter((a) => a && a !== m.alert))];
  return el("tr", {},
    el("td", {}, el("a", { class: "link", href: href(m.id), title: m.id }, (today ? "" : at.toLocaleDateString() + " ") + clock(at.getTime()))),
    el("td", { class: "wrap" }, el("b", {}, why(m)), m.severity ? " " + m.severity : "", others.length ? ` · also ${others.join(", ")}` : "",
      baseline ? " · baseline" : ""),
    el("td", {}, m.state === "done" ? seconds(m.tookSeconds) : m.state),
    el("td", { class: "wrap" }, ...m.artefacts.flatMap((a) => [badge(a), " "]), ...missing(m)));
}

function badge(a) {
  return el("span", { class: "badge " + (a.status === "ok" ? "inactive" : a.status === "failed" ? "err" : ""), title: a.why || bytes(a.size) }, a.kind);
}

// missing gives the reasons for what is not there.
function missing(m) {
  const told = m.artefacts.filter((a) => a.status !== "ok").map((a) => `${a.kind}: ${a.why}`);
  return told.length ? [el("div", { class: "help" }, told.join(" · "))] : [];
}
