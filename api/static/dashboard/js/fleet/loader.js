// Reads the list and the counts. A newer request ends the older one.

import { api } from "../client.js";
import { clock } from "../clock.js";
import { isEmpty, scopeOf } from "./query.js";

const SUMMARY_MS = 2000; // between two requests for the counts

/** `read(query)` gives `{data, total, at}` of GET /ocpp/chargers, or null when a newer call has replaced it. Raises ApiError. */
export function listReader({ signal }) {
  let newest = null;
  return async function read({ filters, sort, page, limit }) {
    newest?.abort();
    const mine = new AbortController();
    newest = mine;
    const at = clock.now();
    try {
      const { data, total } = await api.get(
        "/ocpp/chargers",
        { ...filters, sort, page, limit },
        { signal: AbortSignal.any([signal, mine.signal]) },
      );
      return mine.signal.aborted ? null : { data, total, at };
    } catch (error) {
      if (mine.signal.aborted || signal.aborted) return null;
      throw error;
    }
  };
}

/**
 * The counts for the part of the fleet that the filters mean. `show(summary)` gets each, and null when they cannot be read. Without such a filter they are the
 * stream's; with one they are requested after a change, at most every two seconds.
 */
export function summaryReader(show, { filters, signal }) {
  let scope = scopeOf(filters);
  let timer = 0;
  let newest = null;

  async function request() {
    timer = 0;
    newest?.abort();
    const mine = new AbortController();
    newest = mine;
    try {
      const summary = await api.get("/ocpp/chargers/summary", scope, { signal: AbortSignal.any([signal, mine.signal]) });
      if (!mine.signal.aborted) show(summary);
    } catch {
      if (!mine.signal.aborted && !signal.aborted) show(null); // the list, read with them, says why
    }
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  return {
    /** Read the counts for these filters now. */
    load(filters) {
      scope = scopeOf(filters);
      clearTimeout(timer);
      return request();
    },
    /** The stream's summary, which is of the whole organization. */
    offer(summary) {
      if (isEmpty(scope)) show(summary);
    },
    /** A charger has changed. */
    changed() {
      if (!isEmpty(scope) && !document.hidden) timer ||= setTimeout(request, SUMMARY_MS);
    },
  };
}
