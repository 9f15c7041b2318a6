// The connection to the agent: the history once, then one event for each snapshot. A hidden page buffers and, after half a minute,
// hangs up, so that the agent goes back to its slower tick; it picks up where it left when it is seen again.

const hangUpAfter = 30000, mostBuffered = 120;

export async function getJSON(path, method = "GET", patience = 10000) {
  try {
    const r = await fetch(path, { method, signal: AbortSignal.timeout(patience) });
    const body = await r.json();
    return r.ok ? body : { error: body.error ?? r.statusText };
  } catch {
    return { error: "The agent does not answer." };
  }
}

export class Live {
  // load() fetches everything afresh and returns the last time known, or null on failure; last() is the last time known;
  // tick(data) takes an event; state(name) shows how the connection is.
  constructor({ load, last, tick, state }) {
    Object.assign(this, { load, last, tick, state });
    this.buffer = [];
    document.addEventListener("visibilitychange", () => this.visibility());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (e) => { if (e.persisted) this.restart(); });
  }

  async restart() {
    this.close();
    const turn = this.turn = (this.turn ?? 0) + 1;
    const ok = await this.load();
    if (turn !== this.turn) return; // a newer restart is at work
    if (ok === null) {
      this.state("offline");
      this.retry = setTimeout(() => this.restart(), 2000);
      return;
    }
    this.open();
  }

  open() {
    this.close();
    const source = this.source = new EventSource("/api/stream?since=" + this.last());
    source.addEventListener("open", () => this.state("live"));
    source.addEventListener("tick", (e) => {
      if (!document.hidden) this.tick([JSON.parse(e.data)]);
      else if (this.buffer.push(e.data) > mostBuffered) this.buffer.shift();
    });
    source.addEventListener("resync", () => this.restart());
    source.addEventListener("error", () => {
      this.state("offline");
      if (source !== this.source) return;
      // The browser would ask again by itself, but not after an answer such as 503; and a service that was
      // restarted has a new history.
      this.close();
      this.retry = setTimeout(() => this.restart(), 2000);
    });
  }

  close() {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  visibility() {
    clearTimeout(this.hanging);
    if (document.hidden) {
      this.hanging = setTimeout(() => { this.close(); this.hungUp = true; }, hangUpAfter);
      return;
    }
    const buffered = this.buffer;
    this.buffer = [];
    if (this.hungUp || buffered.length >= mostBuffered) {
      this.hungUp = false;
      this.restart();
    } else if (buffered.length) this.tick(buffered.map((d) => JSON.parse(d)));
  }
}
