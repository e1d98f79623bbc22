// The connection to the API: a stream, or requests that wait where something holds streams back.

import { ApiError, api } from "../client.js";
import { clock } from "../clock.js";
import { session } from "../session.js";

const FIRST_MS = 5_000; // until the first event: after that a proxy holds the stream back
const SILENCE_MS = 25_000; // the API sends a comment after 15 s
const HIDDEN_MS = 60_000; // until the stream is closed when no tab is visible
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
const FEWER_MS = 10_000; // until the events of chargers that nobody watches any more are given up
const WAIT_S = 20; // of a request that waits
const POLLING_MS = 300_000; // until the stream is tried again
const AT_ONCE_MS = 1_000; // the least time between two requests, whatever ends them
const MAX_WATCHED = 10; // chargers of one stream
const POLLED = "Something between this browser and the API holds streams back: changes come by requests that wait";

export class Connection {
  #cursor;
  #emit;
  #watched = []; // {id, frames}, as the current stream has them
  #wanted = [];
  #gone = new Set(); // ids that the API does not know
  #visible = true;
  #attempt = null; // the current stream or request: {abort: AbortController, why it was ended, heard, beganAt}
  #status = { kind: "paused", since: null, detail: "Connecting" };
  #summary = null;
  #heardAt = null;
  #pollsUntil = 0;
  #timers = {};
  #wake = () => {};

  /** `emit(event, data, cursor)`: everything up to a cursor has been emitted before it. */
  constructor(cursor, emit) {
    this.#cursor = cursor;
    this.#emit = emit;
  }

  /** Connect, and connect again after each break, until the signal is aborted. */
  async run(signal) {
    let failures = 0;
    this.#changeStatus(this.#status);
    signal.addEventListener("abort", () => this.#end("left"), { once: true });
    while (!signal.aborted) {
      if (!this.#visible && !this.#timers.hidden) {
        this.#changeStatus({ kind: "paused", since: this.#heardAt, detail: "No tab of this page was visible for a minute" });
        await this.#sleep(null, signal);
        continue;
      }
      try {
        if (performance.now() < this.#pollsUntil) await this.#poll();
        else await this.#read();
        failures = 0;
        if (performance.now() - this.#attempt.beganAt < AT_ONCE_MS) await this.#sleep(AT_ONCE_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error.name === "AbortError" && ["again", "hidden"].includes(this.#attempt.why)) continue;
        failures = await this.#failed(error, failures, signal);
      }
    }
  }

  /** The chargers whose events are wanted, and whether a tab is visible. `wake`: try at once. */
  want(watched, { visible, again, wake }) {
    const frames = new Map();
    for (const { id, frames: all } of watched) if (!this.#gone.has(id)) frames.set(id, frames.get(id) || all);
    this.#wanted = [...frames].slice(0, MAX_WATCHED).map(([id, all]) => ({ id, frames: all }));
    const more = this.#wanted.some(({ id, frames: all }) => !this.#watched.some((each) => each.id === id && (each.frames || !all)));
    if (more || (again && this.#wanted.length)) this.#end("again");
    else if (this.#wanted.length < this.#watched.length) this.#timers.fewer ??= setTimeout(() => this.#end("again"), FEWER_MS);
    this.#visible = visible;
    if (visible) this.#clear("hidden");
    else this.#timers.hidden ??= setTimeout(() => this.#hide(), HIDDEN_MS);
    if (wake || (visible && this.#status.kind === "paused")) this.#wake();
  }

  /** Send a tab that came later what it has missed. */
  introduce(send) {
    send("status", this.#status, this.#cursor);
    if (this.#summary) send("summary", this.#summary, null);
  }

  async #read() {
    this.#begin(FIRST_MS);
    const ids = this.#watched.map(({ id }) => id).join(",");
    const query = { charger_id: ids, frames: this.#watched.some(({ frames }) => frames) || null };
    const options = { signal: this.#attempt.abort.signal, lastEventId: this.#cursor };
    for await (const { event, id, data } of api.stream("/ocpp/events", query, options)) {
      this.#heard(SILENCE_MS);
      if (event === "ready") this.#ready(data);
      else if (event === "behind") this.#changeStatus(data.since ? { kind: "behind", since: data.since, detail: data.reason } : { kind: "live", since: null, detail: null });
      else this.#pass(event, data);
      if (id) this.#goOn(id);
    }
  }

  #ready({ resumed, reason, summary }) {
    this.#changeStatus({ kind: "live", since: null, detail: null });
    this.#pass("ready", { resumed, reason });
    this.#pass("summary", summary);
  }

  async #poll() {
    this.#begin((WAIT_S + 10) * 1000);
    const query = { after: this.#cursor, wait: this.#cursor ? WAIT_S : null };
    const { signal } = this.#attempt.abort;
    const answer = await api.get("/ocpp/changes", query, { signal });
    this.#heard(SILENCE_MS);
    this.#changeStatus({ kind: "live", since: null, detail: POLLED });
    if (!answer.resumed) this.#pass("ready", answer);
    for (const row of answer.chargers) this.#pass("charger", row);
    for (const id of answer.removed) this.#pass("removed", { id });
    this.#pass("summary", answer.summary);
    for (const { id } of this.#watched) {
      if (answer.resumed && !answer.chargers.some((row) => row.id === id)) continue;
      this.#pass("snapshot", { charger_id: id, ...(await api.get(`/ocpp/chargers/${id}`, {}, { signal })) });
    }
    this.#goOn(answer.cursor);
  }

  async #failed(error, failures, signal) {
    const { why, heard } = this.#attempt;
    if (why === "silent" && !heard && performance.now() >= this.#pollsUntil) {
      this.#pollsUntil = performance.now() + POLLING_MS;
      return failures;
    }
    this.#pollsUntil = 0;
    if (error instanceof ApiError) await this.#adapt(error);
    const detail = error.name === "AbortError" ? "Chargehand has not sent anything for a while" : (error.detail ?? String(error));
    const since = this.#status.kind === "down" ? this.#status.since : (this.#heardAt ?? new Date(clock.now()).toISOString());
    this.#changeStatus({ kind: "down", since, detail });
    const delay = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
    await this.#sleep(Math.max(delay, (error.retryAfterS ?? 0) * 1000), signal);
    return failures + 1;
  }

  /** Do not repeat a request that is refused for what it has. */
  async #adapt({ status }) {
    if (status === 422) this.#cursor = null;
    if (status !== 404) return;
    for (const { id } of this.#watched) {
      await api.get(`/ocpp/chargers/${encodeURIComponent(id)}`).catch((error) => error.status === 404 && this.#gone.add(id));
    }
    this.#wanted = this.#wanted.filter(({ id }) => !this.#gone.has(id));
  }

  #begin(firstMs) {
    this.#attempt = { abort: new AbortController(), why: null, heard: false, beganAt: performance.now() };
    this.#watched = this.#wanted;
    this.#clear("fewer");
    this.#await(firstMs);
  }

  #heard(nextMs) {
    this.#attempt.heard = true;
    this.#heardAt = new Date(clock.now()).toISOString();
    this.#await(nextMs);
  }

  /** End the attempt when nothing comes for so long. While somebody signs in again, nothing can. */
  #await(ms) {
    const attempt = this.#attempt;
    this.#clear("silence");
    this.#timers.silence = setTimeout(() => (session.state === "in" ? this.#stop(attempt, "silent") : this.#await(ms)), ms);
  }

  #pass(event, data) {
    if (event === "summary") this.#summary = data;
    this.#emit(event, data, null);
  }

  #goOn(cursor) {
    this.#cursor = cursor;
    this.#emit("cursor", null, cursor);
  }

  #changeStatus(status) {
    const isSame = ["kind", "since", "detail"].every((key) => this.#status[key] === status[key]);
    this.#status = status;
    if (!isSame || !this.#attempt) this.#emit("status", status, null);
  }

  #hide() {
    this.#timers.hidden = null;
    this.#end("hidden");
  }

  #end(why) {
    if (this.#attempt) this.#stop(this.#attempt, why);
    this.#wake();
  }

  #stop(attempt, why) {
    attempt.why = why;
    attempt.abort.abort();
  }

  #clear(timer) {
    clearTimeout(this.#timers[timer]);
    this.#timers[timer] = null;
  }

  /** Until `ms` have passed (never, for null), or something wakes it. */
  #sleep(ms, signal) {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener("abort", this.#wake, { once: true });
    });
  }
}
