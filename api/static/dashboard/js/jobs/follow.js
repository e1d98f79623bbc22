// Follows a job until it is final: one small request a second, none while the tab is hidden.

import { api } from "../client.js";
import { isFinal } from "./words.js";

const EVERY_MS = 1000;
const PAUSED_MS = 3000;
const AGAIN_MAX_MS = 15_000; // after requests that failed

/**
 * Call `shown(job)` now and after each change, and `away(error)` when a request fails; the next one that succeeds calls
 * `shown` again. Ends when the job is final or gone, or with the signal.
 */
export async function followJob(id, { shown, away, signal }) {
  let failures = 0;
  while (!signal.aborted) {
    try {
      const job = await readJob(id, { signal });
      if (signal.aborted) return;
      failures = 0;
      shown(job);
      if (isFinal(job)) return;
      await rest(job.status === "paused" ? PAUSED_MS : EVERY_MS, signal);
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      away(error);
      if (error.status === 404) return;
      await rest(Math.min(AGAIN_MAX_MS, EVERY_MS * 2 ** failures++), signal);
    }
  }
}

export function readJob(id, { signal } = {}) {
  return api.get(`/ocpp/jobs/${encodeURIComponent(id)}`, {}, { signal });
}

/** Wait so long, and while the tab is hidden. Returns at once with the signal. */
async function rest(ms, signal) {
  await new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
  if (document.hidden) await untilVisible(signal);
}

function untilVisible(signal) {
  return new Promise((resolve) => {
    const check = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", check);
      resolve();
    };
    document.addEventListener("visibilitychange", check);
    signal.addEventListener("abort", check, { once: true });
  });
}
