// One connection: what is known of it now, its last requests, and its kernel numbers for as long as the drawer and the connection are
// open.
import { Chart } from "./chart.js";
import { el, set } from "./dom.js";
import { bytes, clock, count, duration, seconds } from "./format.js";
import { Grid } from "./grid.js";

const keep = 600; // samples, one a second

const facts = [
  ["State", (c) => c.state], ["Peer", (c) => c.peer], ["Local", (c) => c.local],
  ["Via", (c) => `${c.name} (${c.side}, ${c.transport})`],
  ["Protocol", (c) => [c.protocol, c.tlsVersion && "TLS " + c.tlsVersion].filter(Boolean).join(", ")],
  ["Opened", (c) => `${clock(Date.parse(c.opened))}, ${duration(c.ageSeconds)} ${c.closed ? "long" : "ago"}`],
  ["First byte", (c) => (c.firstByteSeconds ? `${seconds(c.firstByteSeconds)} after the accept` : c.side === "server" && !c.receivedBytes && "not yet")],
  ["Idle for", (c) => duration(c.idleSeconds)],
  ["Received", (c) => bytes(c.receivedBytes)], ["Sent", (c) => bytes(c.sentBytes)],
  ["Requests", (c) => `${count(c.requests)}, ${count(c.errors)} failed`], ["Last route", (c) => c.route],
  ["Round trip", (c) => c.rttSeconds && `${seconds(c.rttSeconds)}, at best ${seconds(c.minRttSeconds)}`],
  ["Sent again", (c) => `${count(c.retransmits ?? 0)} segments`],
  ["Ended", (c) => c.closed && [clock(Date.parse(c.closed)), c.closeReason, c.errorType].filter(Boolean).join(" · ")],
];

const fields = (...names) => (s) => names.map((n) => s.samples.map((c) => c[n] ?? 0));
const known = (...names) => (s) => names.map((n) => (s.samples.some((c) => c[n]) ? s.samples.map((c) => c[n] || null) : null));
const rate = (format) => (v) => (v === null ? "–" : format(v) + "/s");

const charts = [
  { title: "Round trip", metrics: ["tcpi_rtt", "tcpi_min_rtt"], format: seconds, compute: known("rttSeconds", "minRttSeconds"),
    scale: "log", lines: [{ name: "smoothed", colour: "teal" }, { name: "shortest", colour: "grey", dash: true }], optional: true },
  { title: "Throughput", format: rate(bytes), compute: fields("receiveRate", "sendRate"),
    lines: [{ name: "received", colour: "violet", fill: true }, { name: "sent", colour: "blue", fill: true }] },
  { title: "Requests", format: rate(count), compute: fields("requestRate"), lines: [{ name: "requests", colour: "green", fill: true }] },
  { title: "Waiting in the kernel", metrics: ["tcpi_notsent_bytes", "SIOCINQ"], format: bytes, compute: fields("unsentBytes", "unreadBytes"),
    lines: [{ name: "unsent", colour: "amber" }, { name: "unread", colour: "violet" }] },
  { title: "Segments sent again", metrics: ["tcpi_total_retrans"], format: count, compute: fields("retransmits"), lines: [{ name: "so far", colour: "red" }] },
];

// Requests of a client leave with what is its request.
const sizes = (c) => (c.side === "client" ? ["responseBytes", "requestBytes"] : ["requestBytes", "responseBytes"]);

const requests = [
  ["at", "start", false, (r) => clock(Date.parse(r.start))],
  ["request", "route", false, (r) => [r.method, r.route].filter(Boolean).join(" ")],
  ["result", "status", false, (r) => [...new Set([r.status ?? "", r.errorType ?? ""].map(String))].join(" ").trim() || "ok"],
  ["took", "durationSeconds", true, (r) => seconds(r.durationSeconds)],
  ["1st byte", "firstByteSeconds", true, (r) => seconds(r.firstByteSeconds)],
  ["in", "inBytes", true, (r) => bytes(r.inBytes)], ["out", "outBytes", true, (r) => bytes(r.outBytes)],
];

export class Drawer {
  // ask(id) and askRequests(id) fetch answers of /api/connections/ID and what is below it; chosen(id) keeps the choice in the URL.
  constructor(root, ask, askRequests, chosen) {
    Object.assign(this, { root, ask, askRequests, chosen });
    this.title = el("h2", {});
    this.note = el("p", { class: "note" });
    this.facts = facts.map(([name]) => [el("dt", {}, name), el("dd")]);
    const cursor = { time: null, anchor: null, set: (time) => { cursor.time = time; this.draw(); } };
    this.charts = charts.map((c) => new Chart({ help: "", ...c, span: 6 }, cursor));
    this.list = el("section", { class: "card requests", "aria-label": "Requests" });
    this.grid = new Grid({ root: this.list, title: "Requests", columns: requests, sort: "-start", sorted: () => this.show() });
    this.grid.dress = (tr, r) => {
      tr.cells[1].title = tr.cells[1].textContent;
      tr.cells[2].className = r.errorType ? "bad" : "";
    };
    this.shut = el("button", { type: "button", onclick: () => this.close() }, "Close");
    root.append(el("div", { class: "bar" }, this.title, el("span", { class: "grow" }), this.shut), this.note,
      el("dl", {}, ...this.facts.flat()), this.list, ...this.charts.map((c) => c.root));
    root.addEventListener("keydown", (e) => { if (e.key === "Escape") this.close(); });
    setInterval(() => { if (!document.hidden && !root.hidden && !this.over) this.look(); }, 1000);
  }

  open(id, opener) {
    Object.assign(this, { id, opener, over: false, log: null, samples: [], times: [] });
    this.root.hidden = false;
    set(this.title, "Connection " + id);
    for (const node of this.facts.flat()) node.hidden = true;
    this.chosen(id);
    this.list.hidden = true;
    this.shut.focus();
    this.look();
  }

  close() {
    this.root.hidden = true;
    this.chosen(null);
    this.opener?.focus();
  }

  async look() {
    const { id } = this, answer = await this.ask(id), c = answer.connection, closed = !c || Boolean(c.closed);
    // One that was closed before it was looked at has no requests to ask for.
    const log = c && (!closed || this.log) ? await this.askRequests(id) : null;
    if (id !== this.id) return;
    this.over = closed;
    if (log) this.show(log, c);
    this.note.hidden = Boolean(c);
    if (!c) return set(this.note, answer.error);
    this.facts.forEach(([dt, dd], i) => {
      const text = facts[i][1](c);
      dt.hidden = dd.hidden = !text;
      set(dd, text || "");
    });
    if (!this.over || !this.samples.length) {
      this.samples.push(c);
      this.times.push(Date.now());
    }
    if (this.samples.length > keep) { this.samples.shift(); this.times.shift(); }
    const { times, samples } = this, to = times.at(-1);
    const signals = { times, samples, breaks: times.map(() => false), from: Math.min(times[0], to - 60000), to, shades: [] };
    for (const chart of this.charts) chart.update(signals);
    this.draw();
  }

  // show lists the requests.
  show(log = this.log, c = this.samples.at(-1)) {
    this.log = log;
    this.list.hidden = false;
    if (!log.requests) return this.grid.say(log.error);
    const [received, sent] = sizes(c), field = this.grid.order.replace("-", ""), down = this.grid.order[0] === "-" ? -1 : 1;
    const rows = log.requests.map((r) => ({ ...r, inBytes: r[received], outBytes: r[sent] }));
    rows.sort((a, b) => down * (typeof a[field] === "string" ? a[field].localeCompare(b[field] ?? "") : (a[field] ?? 0) - (b[field] ?? 0)));
    set(this.grid.title, `Requests · ${log.total} since ${clock(Date.parse(log.since))}` + (log.inFlight ? ` · ${log.inFlight} under way` : ""));
    if (rows.length) this.grid.fill(rows);
    else this.grid.say("None has ended since.");
  }

  draw() { if (!this.root.hidden) for (const chart of this.charts) chart.draw(); }
}
