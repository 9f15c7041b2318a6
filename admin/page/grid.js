// A table with columns to sort by, whose cells change in place.
import { csv, saver } from "./csv.js";
import { el, set } from "./dom.js";

export class Grid {
  // columns: [head, field to sort by, whether a number, text of a row]; sorted(sort) is told of a new order, open(row, opener)
  // of a row that was chosen: the first column then holds a button, for those who use the keyboard.
  constructor({ root, title, columns, sort, sorted, open, tools = [] }) {
    Object.assign(this, { columns, order: sort, sorted, open });
    this.title = el("h2", {}, title);
    this.heads = columns.map(([name, field, num]) => el("th", { scope: "col", class: num && "num" },
      el("button", { type: "button", onclick: () => this.sort(field, num) }, name)));
    this.body = el("tbody");
    this.note = el("p", { class: "note", hidden: true });
    this.scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title + ", scrollable" },
      el("table", {}, el("thead", {}, el("tr", {}, ...this.heads)), this.body));
    root.append(el("div", { class: "bar" }, this.title, el("span", { class: "grow" }), ...tools, saver(title, () => this.csv())), this.note, this.scroll);
    this.mark();
  }

  sort(field, num) {
    const first = num ? "-" + field : field;
    this.order = this.order === first ? (num ? field : "-" + field) : first;
    this.mark();
    this.sorted(this.order);
  }

  mark() {
    this.columns.forEach(([, field], i) => {
      if (this.order.replace("-", "") === field) this.heads[i].setAttribute("aria-sort", this.order[0] === "-" ? "descending" : "ascending");
      else this.heads[i].removeAttribute("aria-sort");
    });
  }

  // say shows a sentence in place of rows.
  say(text) {
    this.note.hidden = false;
    this.scroll.hidden = true;
    set(this.note, text);
  }

  fill(rows) {
    this.note.hidden = true;
    this.scroll.hidden = false;
    while (this.body.rows.length > rows.length) this.body.deleteRow(-1);
    rows.forEach((row, r) => {
      const tr = this.body.rows[r] ?? this.row();
      tr.data = row;
      this.columns.forEach(([, , , text], i) => {
        const td = tr.cells[i], cell = td.firstChild?.tagName === "BUTTON" ? td.firstChild : td;
        set(cell, text(row));
      });
      this.dress?.(tr, row);
    });
  }

  csv() {
    const fields = this.columns.map(([, field]) => field);
    return csv([fields, ...[...this.body.rows].map((tr) => fields.map((f) => tr.data[f]))]);
  }

  row() {
    const tr = this.body.insertRow();
    this.columns.forEach(([, , num], i) => tr.append(el("td", { class: num && "num" },
      ...(this.open && i === 0 ? [el("button", { type: "button", class: "link" })] : []))));
    if (this.open) tr.addEventListener("click", () => this.open(tr.data, tr.querySelector("button")));
    return tr;
  }
}

export function select(label, values, value, change) {
  const s = el("select", { "aria-label": label, onchange: () => change(s.value) }, ...values.map((v) => el("option", { value: v }, v)));
  s.value = values.includes(value) ? value : values[0];
  return s;
}
