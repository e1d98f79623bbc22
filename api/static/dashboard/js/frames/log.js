// The entries of a charger's log that the pane holds: read from the API, added live, each once.

import { api } from "../client.js";
import { byTime, keyOf } from "./exchanges.js";
import { asQuery, callerOf, KINDS } from "./filters.js";

export const PAGE = 500; // entries
const COUNT_LIMIT = 1000;
const PARTNER_WITHIN_MS = 120_000;
const MAX_SEEN = 20 * PAGE; // frames that are kept from being counted twice: a page may be open for days

export class Log {
  entries = []; // in the order of time
  older = null; // the cursor of what is before; null when there is nothing
  searchedUntil = null; // the time at which the search back stopped, with `older`
  actions = new Map(); // how many frames of each action were seen, whatever the filter
  #path;
  #keys = new Set();
  #seen = new Set();
  #filters = null;
  #dropped = false;

  constructor(chargerId) {
    this.#path = `/ocpp/chargers/${encodeURIComponent(chargerId)}/logs`;
  }

  get path() {
    return this.#path;
  }

  /** Read the newest page with these filters, instead of what there is. Raises as api.get. */
  async load(chosen, signal) {
    this.#filters = chosen; // also of a catch-up that begins meanwhile
    this.older = this.searchedUntil = null; // what is older than the page of before is not older than this one
    const page = await this.#read({ ...asQuery(chosen), cursor: "" }, signal);
    this.#take(page.data, true);
    this.#note(page);
  }

  /** Read a page before the oldest entry. */
  async loadOlder(signal) {
    const place = this.#dropped ? { cursor: "", end_date: this.entries[0].timestamp } : { cursor: this.older };
    const page = await this.#read({ ...asQuery(this.#filters), ...place }, signal);
    this.#take(page.data, false);
    this.#note(page);
  }

  /** Read what came while nothing was heard. Returns false when it is more than a page: then the older ones are left out. */
  async catchUp(signal) {
    const page = await this.#read({ ...asQuery(this.#filters), cursor: "" }, signal);
    const oldest = page.data.at(-1);
    const gap = oldest && page.next_cursor && this.entries.length && byTime(oldest, this.entries.at(-1)) > 0;
    this.#take(page.data, Boolean(gap));
    if (gap) this.#note(page);
    return !gap;
  }

  /** Add entries that match the filters. Returns those that are new. */
  add(entries) {
    return this.#take(entries, false);
  }

  /** Note that frames were seen, for the list of actions. */
  see(entries) {
    for (const entry of entries) {
      const key = keyOf(entry);
      if (entry.kind !== "frame" || this.#seen.has(key)) continue;
      this.#seen.add(key);
      this.actions.set(entry.action, (this.actions.get(entry.action) ?? 0) + 1);
    }
    for (const key of this.#seen) {
      if (this.#seen.size <= MAX_SEEN) break;
      this.#seen.delete(key); // the oldest
    }
  }

  /** Leave out the oldest entries, so that there are at most `most`. */
  trim(most) {
    const gone = this.entries.splice(0, Math.max(0, this.entries.length - most));
    for (const entry of gone) this.#keys.delete(keyOf(entry));
    if (!gone.length) return;
    this.#dropped = true;
    this.older = "";
    this.searchedUntil = null;
  }

  /** How many entries there are without filters: {count, more}; `more` if that is not all. */
  async countAll(signal) {
    const page = await this.#read({ kind: KINDS.join(","), cursor: "", limit: COUNT_LIMIT }, signal);
    return { count: page.data.length, more: page.next_cursor !== null };
  }

  /** The other frame of an exchange, whatever the filter; null when there is none near it. */
  async partnerOf({ call, answer }, signal) {
    const known = call ?? answer;
    const at = Date.parse(known.timestamp);
    const [from, to] = call ? [at, at + PARTNER_WITHIN_MS] : [at - PARTNER_WITHIN_MS, at];
    const range = { start_date: new Date(from).toISOString(), end_date: new Date(to).toISOString() };
    const order = call ? "asc" : "desc";
    const page = await this.#read({ kind: "frame", event: known.action, caller: callerOf(known), order, cursor: "", limit: 1000, ...range }, signal);
    return page.data.find((each) => each.message_id === known.message_id && keyOf(each) !== keyOf(known) && (each.message_type === 2) === !call) ?? null;
  }

  #read(query, signal) {
    return api.get(this.#path, { limit: PAGE, ...query, cursor: query.cursor || undefined, order: query.order ?? "desc" }, { signal });
  }

  #note(page) {
    this.older = page.next_cursor;
    this.searchedUntil = page.searched_until;
    this.#dropped = false;
  }

  #take(entries, instead) {
    if (instead) {
      this.entries = [];
      this.#keys.clear();
    }
    const added = entries.filter((entry) => !this.#keys.has(keyOf(entry)) && this.#keys.add(keyOf(entry)));
    this.see(added);
    if (added.length) this.entries = [...this.entries, ...added].sort(byTime);
    return added;
  }
}
