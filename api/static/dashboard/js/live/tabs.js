// The tabs of a browser that share a stream: one of them reads it, and hands it on to the others.

import { newKey } from "../http.js";
import { Connection } from "./connection.js";

const BEAT_MS = 20_000; // between two signs of life of a tab
const GONE_MS = 150_000; // without one: timers of hidden tabs run once a minute
const SILENCE_MS = 90_000; // of the tab that reads: it hands on every comment of the server

export class Tabs {
  #bus;
  #id = newKey();
  #others = new Map(); // of the tab that reads: {visible, watched, at} by id
  #connection = null; // in the tab that reads
  #cursor = null; // of what this tab has received
  #heardAt = performance.now();
  #left = new AbortController();
  #receive;
  #watched;
  #status = null;

  /** `receive(event, data)` is called in every tab, for whatever happens in any of them. */
  constructor(name, receive, watched) {
    this.#receive = receive;
    this.#watched = watched;
    this.#bus = new BroadcastChannel(name);
    const { signal } = this.#left;
    this.#bus.addEventListener("message", ({ data }) => this.#hear(data), { signal });
    document.addEventListener("visibilitychange", () => this.#changed({ wake: !document.hidden }), { signal });
    addEventListener("focus", () => this.#changed({ wake: true }), { signal });
    addEventListener("online", () => this.#changed({ wake: true }), { signal });
    addEventListener("pagehide", () => this.#bus.postMessage({ type: "bye", tab: this.#id }), { signal });
    const beat = setInterval(() => this.#beat(), BEAT_MS);
    signal.addEventListener("abort", () => clearInterval(beat));
    const lead = () => this.#lead();
    // A page that is not from https or localhost has no locks: each of its tabs reads a stream of its own.
    const leading = navigator.locks ? navigator.locks.request(name, { signal }, lead) : lead();
    leading.catch((error) => error.name === "AbortError" || reportError(error));
    this.#changed({ again: watched.length > 0 });
  }

  /** The chargers that this tab watches: [{id, frames}]. `again`: send their snapshots, also if others watch them already. */
  want(watched, { again = false } = {}) {
    this.#watched = watched;
    this.#changed({ again });
  }

  leave() {
    this.#bus.postMessage({ type: "bye", tab: this.#id });
    this.#left.abort();
    this.#bus.close();
  }

  async #lead() {
    this.#connection = new Connection(this.#cursor, (event, data, cursor) => {
      this.#take(event, data, cursor);
      if (navigator.locks) this.#bus.postMessage({ type: "event", event, data, cursor });
    });
    this.#bus.postMessage({ type: "who" });
    this.#update({ again: true });
    await this.#connection.run(this.#left.signal);
  }

  /** Send what this tab wants to the one that reads. */
  #changed(what) {
    const wants = { type: "wants", tab: this.#id, visible: !document.hidden, watched: this.#watched, ...what };
    if (this.#connection) this.#update(what);
    else this.#bus.postMessage(wants);
  }

  #hear(message) {
    if (message.type === "event" && !this.#connection) this.#take(message.event, message.data, message.cursor);
    if (message.type === "who" && !this.#connection) this.#changed({});
    if (!this.#connection) return;
    if (message.type === "bye") this.#others.delete(message.tab);
    if (message.type === "wants") {
      const isNew = !this.#others.has(message.tab);
      this.#others.set(message.tab, { ...message, at: performance.now() });
      if (isNew) this.#connection.introduce((event, data, cursor) => this.#bus.postMessage({ type: "event", event, data, cursor }));
    }
    if (["bye", "wants"].includes(message.type)) this.#update(message);
  }

  #take(event, data, cursor) {
    this.#heardAt = performance.now();
    if (cursor) this.#cursor = cursor;
    if (event === "status") this.#status = data;
    if (event !== "comment" && event !== "cursor") this.#receive(event, data);
  }

  #update({ again = false, wake = false }) {
    const since = performance.now() - GONE_MS;
    for (const [tab, { at }] of this.#others) if (at < since) this.#others.delete(tab);
    const others = [...this.#others.values()];
    const visible = !document.hidden || others.some((each) => each.visible);
    const inOrder = others.sort((one, other) => other.visible - one.visible);
    this.#connection.want([...this.#watched, ...inOrder.flatMap((each) => each.watched)], { visible, again, wake });
  }

  #beat() {
    this.#changed({});
    const isSilent = performance.now() - this.#heardAt > SILENCE_MS;
    if (this.#connection || document.hidden || !isSilent || ["down", "paused"].includes(this.#status?.kind)) return;
    const since = new Date(Date.now() - SILENCE_MS).toISOString();
    this.#take("status", { kind: "down", since, detail: "The tab that holds the connection does not answer" });
  }
}
