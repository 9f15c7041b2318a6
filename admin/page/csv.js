// Numbers to take along: what a chart or table holds, as comma-separated values.
import { el } from "./dom.js";

// A spreadsheet would run a text that begins like a formula, and some texts come from strangers.
function field(v) {
  if (v === null || v === undefined) return "";
  const text = typeof v === "string" && /^[=+\-@\t\r]/.test(v) ? "'" + v : String(v);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csv = (rows) => rows.map((r) => r.map(field).join() + "\r\n").join("");

// overTime has a row for each time, with the values of each column that has any; values are as measured, in the metric's unit.
export function overTime(signals, columns) {
  const known = columns.filter(([, values]) => values), rows = [["time", ...known.map(([name]) => name)]];
  signals?.times.forEach((t, i) => {
    if (t >= signals.from) rows.push([new Date(t).toISOString(), ...known.map(([, values]) => values[i])]);
  });
  return csv(rows);
}

// saver is a button that saves make() as a file; its name says of what and when.
export function saver(title, make) {
  return el("button", { type: "button", class: "ask", "aria-label": `Save ${title} as CSV`, title: "Save what is shown as CSV", onclick() {
    const service = document.getElementById("service").textContent, href = URL.createObjectURL(new Blob([make()], { type: "text/csv" }));
    const name = [service, title, new Date().toISOString().slice(0, 19)].join(" ").replace(/[^\w.-]+/g, "-").toLowerCase();
    el("a", { href, download: name + ".csv" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10000);
  } }, "CSV");
}
