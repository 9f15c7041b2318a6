// One connection: what is known of it now, and its kernel numbers for as long as the drawer and the connection are open.
import { Chart } from "./chart.js";
import { el, set } from "./dom.js";
import { bytes, clock, count, duration, seconds } from "./format.js";

const keep = 600; // samples, one a second

const facts = [
  ["State", (c) => c.state], ["Peer", (c) => c.peer], ["Local", (c) => c.local],
  ["Via", (c) => `${c.name} (${c.side}, ${c.transport})`],
  ["Protocol", (c) => [c.protocol, c.tlsVersion && "TLS " + c.tlsVersion].filter(Boolean).join(", ")],
  ["Opened", (c) => `${clock(Date.parse(c.opened))}, ${duration(c.ageSeconds)} ${c.closed ? "long" : "ago"}`],
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

export class Drawer {
  // ask(id) fetches an answer of /api/connections/ID; chosen(id) keeps the choice in the URL.
  constructor(root, ask, chosen) {
    Object.assign(this, { root, ask, chosen });
    this.title = el("h2", {});
    this.note = el("p", { class: "note" });
    this.facts = facts.map(([name]) => [el("dt", {}, name), el("dd")]);
    const cursor = { time: null, anchor: null, set: (time) => { cursor.time = time; this.draw(); } };
    this.charts = charts.map((c) => new Chart({ help: "", ...c, span: 6 }, cursor));
    this.shut = el("button", { type: "button", onclick: () => this.close() }, "Close");
    root.append(el("div", { class: "bar" }, this.title, el("span", { class: "grow" }), this.shut), this.note,
      el("dl", {}, ...this.facts.flat()), ...this.charts.map((c) => c.root));
    root.addEventListener("keydown", (e) => { if (e.key === "Escape") this.close(); });
    setInterval(() => { if (!document.hidden && !root.hidden && !this.over) this.look(); }, 1000);
  }

  open(id, opener) {
    Object.assign(this, { id, opener, over: false, samples: [], times: [] });
    this.root.hidden = false;
    set(this.title, "Connection " + id);
    this.chosen(id);
    this.shut.focus();
    this.look();
  }

  close() {
    this.root.hidden = true;
    this.chosen(null);
    this.opener?.focus();
  }

  async look() {
    const { id } = this, answer = await this.ask(id);
    if (id !== this.id) return;
    const c = answer.connection;
    this.over = !c || Boolean(c.closed);
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

  draw() { if (!this.root.hidden) for (const chart of this.charts) chart.draw(); }
}
