// The connection table. The server sorts, filters and cuts; rates come from two answers.
import { el, set } from "./dom.js";
import { bytes, count, duration } from "./format.js";

const age = (c, now) => duration((Date.parse(c.closed ?? "") || now) / 1000 - Date.parse(c.opened) / 1000);

// name, JSON field to sort by, whether a number, text.
const columns = [
  ["id", "id", true, (c) => String(c.id)],
  ["peer", "peer", false, (c) => c.peer],
  ["via", "name", false, (c) => (c.side === "client" ? "→ " : "") + c.name],
  ["state", "state", false, (c) => c.state],
  ["age", "opened", true, (c, p, now) => age(c, now)],
  ["requests", "requests", true, (c) => count(c.requests)],
  ["req/s", null, true, (c, p) => (p ? count((c.requests - p.requests) / p.seconds) : "–")],
  ["received", "receivedBytes", true, (c) => bytes(c.receivedBytes)],
  ["sent", "sentBytes", true, (c) => bytes(c.sentBytes)],
  ["in/s", null, true, (c, p) => (p ? bytes((c.receivedBytes - p.receivedBytes) / p.seconds) : "–")],
  ["out/s", null, true, (c, p) => (p ? bytes((c.sentBytes - p.sentBytes) / p.seconds) : "–")],
  ["errors", "errors", true, (c) => String(c.errors)],
  ["protocol", "protocol", false, (c) => [c.protocol, c.tlsVersion && "TLS " + c.tlsVersion].filter(Boolean).join(" ") || c.transport],
  ["route", "route", false, (c) => c.route ?? ""],
  ["ended", "closeReason", false, (c) => [c.closeReason, c.errorType].filter(Boolean).join(" · ")],
];

export class Table {
  // ask(query) fetches an answer of /api/connections; state keeps sort, filter, state and rows, and save stores it in the URL.
  constructor(root, state, ask, save) {
    Object.assign(this, { state, ask, save });
    this.before = new Map();
    this.total = el("h2", {}, "Connections");
    const filter = el("input", { type: "search", placeholder: "filter: peer, name, route, state", "aria-label": "Filter connections", maxlength: "200", value: state.filter });
    filter.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.change({ filter: filter.value.trim() }), 200);
    });
    const which = select("Which connections", ["open", "active", "idle", "new", "closed", "all"], state.state, (v) => this.change({ state: v }));
    const rows = select("Rows", ["25", "100", "500"], state.rows, (v) => this.change({ rows: v }));
    this.heads = columns.map(([name, field, num]) => {
      const th = el("th", { scope: "col", class: num && "num" });
      th.append(field ? el("button", { type: "button", onclick: () => this.sort(field, num) }, name) : name);
      return th;
    });
    this.body = el("tbody");
    this.note = el("p", { class: "note", hidden: true });
    this.scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Connection table, scrollable" },
      el("table", {}, el("thead", {}, el("tr", {}, ...this.heads)), this.body));
    root.append(el("div", { class: "bar" }, this.total, el("span", { class: "grow" }), filter, which, rows), this.note, this.scroll);
    this.mark();
  }

  sort(field, num) {
    const { sort } = this.state, first = num ? "-" + field : field;
    this.change({ sort: sort === first ? (num ? field : "-" + field) : first });
  }

  change(part) {
    Object.assign(this.state, part);
    this.mark();
    this.save();
    this.refresh();
  }

  mark() {
    columns.forEach(([, field], i) => {
      const { sort } = this.state;
      if (field && sort.replace("-", "") === field) this.heads[i].setAttribute("aria-sort", sort[0] === "-" ? "descending" : "ascending");
      else this.heads[i].removeAttribute("aria-sort");
    });
  }

  async refresh() {
    const { sort, filter, state, rows } = this.state, asked = ++this.asked || (this.asked = 1);
    const answer = await this.ask(new URLSearchParams({ sort, filter, state, limit: rows }));
    if (asked !== this.asked) return; // a later question is on its way
    const list = answer.connections;
    this.note.hidden = !answer.error && list.length > 0;
    this.scroll.hidden = !list?.length;
    if (answer.error || !list.length) {
      set(this.note, answer.error ?? (filter || state !== "open" ? "No connection matches." : "No connection is open."));
      set(this.total, "Connections");
      return;
    }
    set(this.total, `Connections · ${list.length} of ${answer.total}`);
    this.fill(list, Date.now());
  }

  fill(list, now) {
    const seen = new Map();
    while (this.body.rows.length > list.length) this.body.deleteRow(-1);
    list.forEach((c, r) => {
      const p = this.before.get(c.id);
      const rates = p && now > p.at ? { ...p.row, seconds: (now - p.at) / 1000 } : null;
      seen.set(c.id, { at: now, row: c });
      let tr = this.body.rows[r];
      if (!tr) {
        tr = this.body.insertRow();
        for (const [, , num] of columns) tr.append(el("td", { class: num && "num" }));
      }
      columns.forEach(([name, , , text], i) => {
        const t = text(c, rates, now), td = tr.cells[i];
        if (name === "state") badge(td, t);
        else set(td, t);
        if (name === "peer" && td.title !== `${c.local} ↔ ${c.peer}`) td.title = `${c.local} ↔ ${c.peer}`;
      });
    });
    this.before = seen;
  }
}

function badge(td, text) {
  if (td.textContent !== text) td.replaceChildren(el("span", { class: "badge " + (["active"].includes(text) ? text : "") }, text));
}

function select(label, values, value, change) {
  const s = el("select", { "aria-label": label, onchange: () => change(s.value) }, ...values.map((v) => el("option", { value: v }, v)));
  s.value = values.includes(value) ? value : values[0];
  return s;
}
