// The alert strip and the table of rules.
import { el, set } from "./dom.js";
import { href } from "./captures.js";
import { clock, count, duration, seconds } from "./format.js";

// The shown labels leave out what the chip says anyway.
const said = new Set(["alertname", "severity"]);

export class Alerts {
  // said is where a screen reader hears of changes: of states only, not of each new value; look(from, to) shows a stretch of time;
  // captureOf(alert, since) gives the id of the capture that was made for an alert.
  constructor(strip, rules, said, look, captureOf) {
    Object.assign(this, { strip, said, look, captureOf, kept: new Map(), active: [], known: [] });
    this.body = el("tbody");
    this.note = el("p", { class: "note" });
    this.table = el("table", {}, el("thead", {}, el("tr", {},
      ...["Rule", "State", "Condition", "For", "Value", "Checked"].map((t) => el("th", { scope: "col" }, t)))), this.body);
    rules.append(el("div", { class: "bar" }, el("h2", {}, "Alert rules")), this.note,
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Alert rules, scrollable" }, this.table));
    this.table.hidden = true;
  }

  // show fills the strip: firing first, then pending, then what resolved within the range. What is in it already stays the same element,
  // whatever its value is now: a click, the focus or a selection may be in it.
  show(active, spans) {
    const rank = (a) => (a.state === "firing" ? 0 : 2) + (a.labels.severity === "warn" ? 1 : 0);
    const chips = [...active].sort((a, b) => rank(a) - rank(b)).slice(0, 12).map((a) => this.chip(a));
    if (active.length > 12) chips.push(word(`and ${active.length - 12} more`));
    for (const s of spans.filter((s) => s.over && !active.some((a) => a.labels.alertname === s.alert)).slice(0, 3)) chips.push(this.past(s));
    this.active = active;
    this.list();
    if (!chips.length) chips.push(word(this.watched ? `All quiet · ${plural(this.watched, "rule")} watched` : "No alerts"));
    set(this.said, active.map((a) => `${a.labels.alertname} ${a.state}`).sort().join(", "));
    const kept = new Map(), nodes = chips.map(({ key, text, make }) => {
      while (kept.has(key)) key += "'"; // two instances of one rule may look alike
      const node = this.kept.get(key) ?? make();
      kept.set(key, node);
      if (text != null) set(node.children[2], text);
      return node;
    });
    this.kept = kept;
    if (nodes.length !== this.strip.children.length || nodes.some((n, i) => n !== this.strip.children[i])) this.strip.replaceChildren(...nodes);
  }

  // name is an alert's name that leads to its time in the charts.
  name(text, from, to) {
    return el("button", { type: "button", class: "link", title: "Show this time in the charts", onclick: () => this.look(from, to ?? Date.now()) }, el("b", {}, text));
  }

  // chip and past say how to make a chip, what makes it another one, and the text in it that may change.
  chip(a) {
    const level = a.state === "pending" ? "pending" : a.labels.severity === "warn" ? "warn" : "crit", since = Date.parse(a.activeAt);
    const labels = Object.entries(a.labels).filter(([k]) => !said.has(k)).map(([k, v]) => `${k}=${v}`).join(" ");
    const name = a.labels.alertname ?? "", id = this.captureOf(a.labels.alertname, since);
    return {
      key: JSON.stringify([a.labels, a.state, a.activeAt, id]), text: a.annotations.summary || labels,
      make: () => el("span", { class: "chip " + level }, el("span", { class: "state" }, a.state), this.name(name, since),
        el("span"), el("span", {}, a.activeAt ? `since ${clock(since)}` : ""), evidence(id)),
    };
  }

  past(s) {
    const id = this.captureOf(s.alert, s.from);
    return {
      key: JSON.stringify([s.alert, s.from, s.to, id]),
      make: () => el("span", { class: "chip" }, el("span", { class: "state" }, "resolved"), this.name(s.alert, s.from, s.to), `at ${clock(s.to)}`, evidence(id)),
    };
  }

  rules(groups) {
    this.known = groups.flatMap((g) => g.rules.filter((r) => r.type === "alerting").map((r) => [g, r]));
    this.watched = this.known.length;
    this.note.textContent = this.watched ? "" : "No rules are loaded. Give the agent a rules file, and each rule stands here with its state.";
    this.note.hidden = this.watched > 0;
    this.table.hidden = this.watched === 0;
    this.list();
  }

  // list fills the table. The alerts come with each tick and the rules more seldom: a rule's state is that of the alerts in the strip.
  list() {
    const rows = merged(this.known, this.active);
    const key = JSON.stringify(rows.map(([g, r]) => [g.name, r.name, r.query, r.duration, r.state, r.health, r.lastError, r.alerts.map((a) => a.value)]));
    if (key !== this.listed) this.body.replaceChildren(...rows.map(cells));
    this.listed = key;
    rows.forEach(([, r], i) => {
      const td = this.body.rows[i].cells[5], at = r.lastEvaluation;
      set(td, at.startsWith("0001") ? "not yet" : clock(Date.parse(at)));
    });
  }
}

// word is a chip that is a text alone.
function word(text) { return { key: text, make: () => el("span", { class: "chip" }, text) }; }

// evidence links to a capture, "" if there is none.
function evidence(id) { return id ? el("a", { class: "link", href: href(id) }, "evidence") : ""; }

const order = { firing: 0, pending: 1, inactive: 2 };

// merged gives groups and rules as the active alerts have them, the worst first. Where two rules share a name, the alerts do not tell
// whose they are, and the rules stay as they were told.
export function merged(known, active) {
  return known.map(([g, r]) => {
    if (known.some(([, other]) => other !== r && other.name === r.name)) return [g, r];
    const alerts = active.filter((a) => a.labels.alertname === r.name);
    const state = alerts.some((a) => a.state === "firing") ? "firing" : alerts.length ? "pending" : "inactive";
    return [g, { ...r, alerts, state }];
  }).sort((a, b) => order[a[1].state] - order[b[1].state]);
}

function cells([group, r]) {
  const state = r.health === "err" ? "err" : r.state;
  const values = r.alerts.map((a) => Number(a.value)).filter(Number.isFinite);
  return el("tr", {},
    el("td", { title: group.name }, r.name),
    el("td", {}, el("span", { class: "badge " + state }, state === "err" ? "error" : state), r.alerts.length > 1 ? ` × ${r.alerts.length}` : ""),
    el("td", { class: "wrap" }, el("code", {}, r.query), r.lastError ? el("div", { class: "note" }, r.lastError) : ""),
    el("td", {}, r.duration ? duration(r.duration) : "–"),
    el("td", {}, values.length ? count(Math.max(...values)) : "–"),
    el("td", { title: seconds(r.evaluationTime) }));
}

function plural(n, word) { return `${n} ${word}${n === 1 ? "" : "s"}`; }
