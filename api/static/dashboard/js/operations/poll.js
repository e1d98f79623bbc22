// Reads what the page shows again and again while it is seen.

import { api } from "../client.js";
import { clock } from "../clock.js";

const EVERY_MS = 2000;
const LONGEST_MS = 15_000; // between two tries while nothing answers

/**
 * Call `shown(state)` with each answer of GET `path`, every `everyMs`, and `failed(error)` with each error, until the signal is
 * aborted. A page that is not seen reads nothing; it reads at once when it is seen again.
 */
export function poll({ path, query = null, everyMs = EVERY_MS, shown, failed }, signal) {
  let timer = null;
  let failures = 0;
  let reads = false;

  const read = async () => {
    clearTimeout(timer);
    if (document.hidden || signal.aborted || reads) return;
    reads = true;
    let waitMs = everyMs;
    try {
      const began = performance.now();
      const state = await api.get(path, query, { signal });
      if (state.at) clock.set(state.at, performance.now() - began);
      failures = 0;
      shown(state);
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      waitMs = Math.max((error.retryAfterS ?? 0) * 1000, Math.min(LONGEST_MS, everyMs * 2 ** failures++));
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
