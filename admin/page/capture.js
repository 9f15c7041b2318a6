// The page of one capture, or of all: what was recorded, and why something is missing.
import { Captures, why } from "./captures.js";
import { el, set } from "./dom.js";
import { connections, metrics } from "./evidence.js";
import { Profiles } from "./profiles.js";
import { bytes, clock, count, seconds } from "./format.js";
import { getJSON } from "./live.js";
import { trace } from "./traceview.js";

const main = document.getElementById("evidence");
const id = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const files = "/api/captures/" + encodeURIComponent(id) + "/";

function names(service, about) {
  set(document.getElementById("service"), service || "otelnet");
  set(document.getElementById("about"), about);
  document.title = `${about} · ${service || "otelnet"}`;
}

async function list() {
  const root = el("section", { class: "card wide", "aria-label": "Captures" }), captures = new Captures(root);
  main.append(root);
  const status = await getJSON("/api/status");
  names(status.service?.name, "captures");
  await captures.refresh();
  setInterval(() => { if (!document.hidden) captures.refresh(); }, 2000);
}

// one shows a capture; sections come as their files do.
async function one() {
  const head = el("section", { class: "card wide", "aria-label": "Capture" });
  main.append(head);
  const shown = new Set();
  const profiles = new Profiles(id);
  const show = (kind, section) => {
    if (!section || shown.has(kind)) return;
    shown.add(kind);
    main.append(section);
  };
  let text = "";
  for (;;) {
    const m = await getJSON("/api/captures/" + encodeURIComponent(id));
    if (m.error) {
      head.replaceChildren(el("p", { class: "note" }, m.error));
      return;
    }
    if (text !== (text = JSON.stringify(m))) {
      names(m.process.service, "capture " + why(m));
      head.replaceChildren(...summary(m));
    }
    if (m.state !== "running") {
      const ok = (kind) => m.artefacts.find((a) => a.kind === kind && a.status === "ok");
      show("profiles", profiles.show(m.artefacts.filter((a) => a.status === "ok" && a.file.endsWith(".pb.gz"))));
      show("trace", ok("trace") && trace(files + ok("trace").file));
      show("metrics", ok("metrics") && metrics(files + ok("metrics").file, Date.parse(m.at)));
      show("connections", ok("connections") && connections(files + ok("connections").file));
      return;
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

function summary(m) {
  const at = new Date(m.at);
  const rows = [
    ["When", `${at.toLocaleDateString()} ${clock(at.getTime())}, ${m.state === "done" ? "in " + seconds(m.tookSeconds) : m.state}`],
    ["Alert", m.alert && `${m.alert}${m.severity ? ", " + m.severity : ""}: ${count(m.value ?? 0)} against ${count(m.threshold ?? 0)}`],
    ["Labels", m.labels && Object.entries(m.labels).map(([k, v]) => `${k}=${v}`).join(" ")],
    ["Note", m.note],
    ["Times", m.quiet && "quiet: no alert was firing, others can be compared with it"],
    ["Process", [m.process.instance, "pid " + m.process.pid, m.process.goVersion, `${m.process.gomaxprocs} processors`].filter(Boolean).join(" · ")],
    ["Also for", attached(m)],
  ].filter(([, text]) => text);
  return [
    el("div", { class: "bar" }, el("h2", {}, why(m)), el("span", { class: "badge " + (m.state === "done" ? "" : "pending") }, m.state)),
    el("dl", { class: "facts" }, ...rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Files, scrollable" }, el("table", { id: "files" },
      el("thead", {}, el("tr", {}, ...["Evidence", "", "Size", "Took", "File"].map((t) => el("th", { scope: "col" }, t)))),
      el("tbody", {}, ...m.artefacts.map(artefact)))),
  ];
}

function attached(m) {
  const all = (m.attached ?? []).map((a) => `${a.alert || a.reason} at ${clock(Date.parse(a.at))} (${a.why})`);
  return all.slice(0, 5).join("; ") + (all.length > 5 ? ` and ${all.length - 5 + (m.attachedMore ?? 0)} more` : "");
}

function artefact(a) {
  const ok = a.status === "ok", name = ok && a.kind === "trace" ? "trace.out" : a.file;
  return el("tr", {}, el("td", {}, a.kind),
    el("td", { class: "wrap" }, el("span", { class: "badge " + (ok ? "inactive" : a.status === "failed" ? "err" : "") }, a.status), a.why ? " " + a.why : ""),
    el("td", {}, ok ? bytes(a.size) : "–"), el("td", {}, seconds(a.tookSeconds)),
    el("td", {}, ok ? el("a", { href: files + name, download: id + "-" + name }, name) : "–"));
}

if (id) one();
else list();
