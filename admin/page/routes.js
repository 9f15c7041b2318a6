// Requests by route: how many, how many failed, how long they took, over the range in view.
import { set } from "./dom.js";
import { count, percent, seconds } from "./format.js";
import { Grid } from "./grid.js";

const columns = [
  ["route", "route", false, (r) => r.route || "(no route)"],
  ["method", "method", false, (r) => r.method],
  ["requests", "requests", true, (r) => count(r.requests)],
  ["req/s", "rate", true, (r) => count(r.rate)],
  ["errors", "errorShare", true, (r) => percent(r.errorShare * 100)],
  ["p50", "p50", true, (r) => seconds(r.p50)],
  ["p95", "p95", true, (r) => seconds(r.p95)],
  ["p99", "p99", true, (r) => seconds(r.p99)],
];

export class Routes extends Grid {
  // ask(query) fetches an answer of /api/routes for the range in view; state keeps the order and save stores it in the URL.
  constructor(root, state, ask, save) {
    super({ root, title: "Routes", columns, sort: state.routes, sorted: (routes) => {
      state.routes = routes;
      save();
      this.refresh();
    } });
    Object.assign(this, { ask, asked: 0 });
  }

  async refresh() {
    const asked = ++this.asked, answer = await this.ask(new URLSearchParams({ sort: this.order, limit: 100 }));
    if (asked !== this.asked) return;
    set(this.title, answer.total > 100 ? `Routes · 100 of ${answer.total}` : "Routes");
    if (answer.routes?.length) this.fill(answer.routes);
    else this.say(answer.error ?? "No request was answered in this range. Wrap the handler with otelnet.NewHandler.");
  }
}
