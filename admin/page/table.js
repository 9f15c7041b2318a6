// The connection table. The server sorts, filters, cuts and knows the rates.
import { el, set } from "./dom.js";
import { bytes, count, duration, seconds } from "./format.js";
import { Grid, select } from "./grid.js";

const dash = (format) => (v) => (v ? format(v) : "–"); // 0 stands for what is not known here

export const columns = [
  ["id", "id", true, (c) => String(c.id)],
  ["peer", "peer", false, (c) => c.peer],
  ["via", "name", false, (c) => (c.side === "client" ? "→ " : "") + c.name],
  ["state", "state", false, (c) => c.state],
  ["age", "ageSeconds", true, (c) => duration(c.ageSeconds)],
  ["idle", "idleSeconds", true, (c) => duration(c.idleSeconds)],
  ["requests", "requests", true, (c) => count(c.requests)],
  ["req/s", "requestRate", true, (c) => count(c.requestRate ?? 0)],
  ["in/s", "receiveRate", true, (c) => bytes(c.receiveRate ?? 0)],
  ["out/s", "sendRate", true, (c) => bytes(c.sendRate ?? 0)],
  ["received", "receivedBytes", true, (c) => bytes(c.receivedBytes)],
  ["sent", "sentBytes", true, (c) => bytes(c.sentBytes)],
  ["errors", "errors", true, (c) => String(c.errors)],
  ["RTT", "rttSeconds", true, (c) => dash(seconds)(c.rttSeconds)],
  ["retrans", "retransmits", true, (c) => count(c.retransmits ?? 0)],
  ["unsent", "unsentBytes", true, (c) => bytes(c.unsentBytes ?? 0)],
  ["unread", "unreadBytes", true, (c) => bytes(c.unreadBytes ?? 0)],
  ["protocol", "protocol", false, (c) => [c.protocol, c.tlsVersion && "TLS " + c.tlsVersion].filter(Boolean).join(" ") || c.transport],
  ["route", "route", false, (c) => c.route ?? ""],
  ["1st byte", "firstByteSeconds", true, (c) => dash(seconds)(c.firstByteSeconds)],
  ["ended", "closeReason", false, (c) => [c.closeReason, c.errorType].filter(Boolean).join(" · ")],
];

export class Table extends Grid {
  // ask(query) fetches an answer of /api/connections; state keeps sort, filter, state and rows, save stores it in the URL, and
  // open(row, opener) shows one connection.
  constructor(root, state, ask, save, open) {
    const change = (part) => this.change(part);
    const filter = el("input", { type: "search", placeholder: "filter: peer, name, route, state", "aria-label": "Filter connections", maxlength: "200", value: state.filter });
    let typing;
    filter.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => change({ filter: filter.value.trim() }), 200);
    });
    const page = (name, by) => el("button", { type: "button", "aria-label": name + " rows", disabled: true, onclick: () => this.turn(by) }, by < 0 ? "‹" : "›");
    const back = page("Previous", -1), on = page("Next", 1);
    super({
      root, title: "Connections", columns, sort: state.sort, sorted: (sort) => change({ sort }), open, tools: [
        filter, select("Which connections", ["open", "active", "idle", "new", "closed", "all"], state.state, (v) => change({ state: v })),
        select("Rows", ["25", "100", "500"], state.rows, (v) => change({ rows: v })), back, on],
    });
    Object.assign(this, { state, ask, save, filter, back, on, offset: 0, asked: 0 });
  }

  change(part) {
    Object.assign(this.state, part);
    this.offset = 0;
    this.save();
    this.refresh();
  }

  turn(by) {
    this.offset = Math.max(0, this.offset + by * this.state.rows);
    this.refresh();
  }

  async refresh() {
    const { sort, filter, state, rows } = this.state, asked = ++this.asked;
    const answer = await this.ask(new URLSearchParams({ sort, filter, state, limit: rows, offset: this.offset }));
    if (asked !== this.asked) return; // a later question is on its way
    const list = answer.connections ?? [], { total = 0 } = answer;
    if (this.offset && !list.length && total) return this.turn(-1); // they have closed meanwhile
    this.back.disabled = !this.offset;
    this.on.disabled = this.offset + list.length >= total;
    if (!list.length) {
      set(this.title, "Connections");
      return this.say(answer.error ?? (filter || state !== "open" ? "No connection matches." : "No connection is open."));
    }
    set(this.title, `Connections · ${this.offset ? `${this.offset + 1} to ${this.offset + list.length}` : list.length} of ${total}`);
    this.fill(list);
  }

  dress(tr, c) {
    const state = tr.cells[3], peer = tr.cells[1], ends = `${c.local} ↔ ${c.peer}`;
    state.className = "state-" + (c.state === "active" ? "active" : "other");
    if (peer.title !== ends) peer.title = ends;
  }
}
