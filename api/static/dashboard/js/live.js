// What changes, as it happens: one stream for all tabs of a browser.

import { Tabs } from "./live/tabs.js";
import { session } from "./session.js";

const subscribers = new Set(); // listeners
const watchers = new Set(); // {chargerId, listeners, frames}
let status = { kind: "paused", since: null, detail: "Nobody is signed in" };
let summary = null;
let tabs = null; // of this person and organization
let name = null;

export const live = {
  /**
   * Call the functions at each charger(row), removed(id), summary(s), ready({resumed}) and status(state), until the signal
   * is aborted. Subscribe before you load: what changes while you load then comes too. A row may come twice. After
   * ready({resumed: false}) load again. The time of an observation is no change: load again when `stale_at` has passed.
   */
  subscribe(listeners, { signal } = {}) {
    if (signal?.aborted) return;
    subscribers.add(listeners);
    signal?.addEventListener("abort", () => subscribers.delete(listeners), { once: true });
    call(listeners.status, status);
    if (summary) call(listeners.summary, summary);
  },

  /**
   * Also receive the events of one charger: snapshot, command, status, ocpp, action, connectors and, with `frames`, frames.
   * A snapshot comes first, and again after each break.
   */
  watch(chargerId, listeners, { signal, frames = false } = {}) {
    if (signal?.aborted) return;
    const watcher = { chargerId, listeners, frames };
    watchers.add(watcher);
    tabs?.want(wanted(), { again: true });
    const leave = () => {
      watchers.delete(watcher);
      tabs?.want(wanted());
    };
    signal?.addEventListener("abort", leave, { once: true });
  },

  /** {kind: "live" | "behind" | "paused" | "down", since: ISO or null, detail: sentence or null} */
  get status() {
    return status;
  },
};

function wanted() {
  return [...watchers].map(({ chargerId, frames }) => ({ id: chargerId, frames }));
}

function receive(event, data) {
  if (event === "status") status = data;
  if (event === "summary") summary = data;
  if (event === "removed") data = data.id;
  for (const listeners of [...subscribers]) call(listeners[event], data);
  for (const watcher of [...watchers]) {
    if (watcher.chargerId === data?.charger_id) call(watcher.listeners[event], data);
  }
}

/** One listener that fails keeps nothing from the others. */
function call(listener, data) {
  try {
    listener?.(data);
  } catch (error) {
    reportError(error);
  }
}

/** Join the tabs of whoever is signed in, and leave those of whoever was. */
function follow() {
  const { me, organization } = session;
  const next = me && organization ? JSON.stringify([me.subject, organization]) : null;
  if (next === name) return;
  tabs?.leave();
  name = next;
  summary = null;
  tabs = next && new Tabs(`chargehand.live.${next}`, receive, wanted());
  if (!next) receive("status", { kind: "paused", since: null, detail: "Nobody is signed in" });
}

session.on("change", follow);
follow();
