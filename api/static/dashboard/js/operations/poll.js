// Reads the state of the service again and again while the page is seen.

import { api } from "../client.js";
import { clock } from "../clock.js";

const EVERY_MS = 2000;
const LONGEST_MS = 15_000; // between two tries while nothing answers

/**
 * Call `shown(state)` with each answer of GET /ocpp/operations, and `failed(error)` with each error, until the signal is
 * aborted. A page that is not seen reads nothing; it reads at once when it is seen again.
 */
export function poll({ shown, failed }, signal) {
  let timer = null;
  let failures = 0;
  let reads = false;

  const read = async () => {
    clearTimeout(timer);
    if (document.hidden || signal.aborted || reads) return;
    reads = true;
    let waitMs = EVERY_MS;
    try {
      const began = performance.now();
      const state = await api.get("/ocpp/operations", null, { signal });
      clock.set(state.at, performance.now() - began);
      failures = 0;
      shown(state);
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      waitMs = Math.max((error.retryAfterS ?? 0) * 1000, Math.min(LONGEST_MS, EVERY_MS * 2 ** failures++));
      failed(error);
    } finally {
      reads = false;
    }
    timer = setTimeout(read, waitMs);
  };

  document.addEventListener("visibilitychange", read, { signal });
  addEventListener("online", read, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return read();
}
