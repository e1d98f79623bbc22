// What the stream says of chargers, brought to the rows of the page once per frame. A charger of another page costs one search in a map.

import { clock } from "../clock.js";
import { live } from "../live.js";
import { matches } from "./query.js";
import { checkStale, setMark, updateEntry } from "./row.js";

const AGES_MS = 1000; // between two checks of how old the rows are
const READ_AGAIN_MS = 10_000; // at most so often, for rows that became old

/**
 * Keep the table's rows up to date until the signal is aborted.
 * `list()` is what is shown: `{filters, at, total, count}`. `on` has what it calls: `fresh(number of new chargers)`,
 * `changed()` after a frame with changes, `removed(id)`, `summary(s)`, `reload()`, `readAgain()` (the rows that are
 * shown, in place), `status(state)`.
 */
export function followRows(table, list, on, { signal }) {
  const rows = new Map(); // id → newest row, of this page, for the next frame
  const removed = new Set();
  const fresh = new Set(); // ids that came after the list was loaded
  let held = null; // id → row, or null if removed, that came while a list is read: perhaps newer than its answer
  let reading = 0;
  let frame = 0;

  function charger(row) {
    held?.set(row.id, row);
    const shown = list();
    if (!shown) return;
    if (table.entries.has(row.id)) {
      rows.set(row.id, row);
      schedule();
    } else if (isFresh(row, shown)) {
      fresh.add(row.id);
      schedule();
    }
    on.changed();
  }

  function gone(id) {
    held?.set(id, null);
    if (fresh.delete(id)) schedule();
    if (table.entries.has(id)) {
      removed.add(id);
      schedule();
    }
    on.changed();
  }

  function schedule() {
    frame ||= requestAnimationFrame(draw);
  }

  function draw() {
    frame = 0;
    const { filters } = list();
    for (const [id, row] of rows) {
      const entry = table.entries.get(id);
      if (!entry) continue;
      updateEntry(entry, row);
      checkStale(entry);
      setMark(entry, matches(filters, row) ? null : "no longer matches");
    }
    for (const id of removed) {
      const entry = table.entries.get(id);
      if (entry) setMark(entry, "removed");
      on.removed(id);
    }
    rows.clear();
    removed.clear();
    on.fresh(fresh.size);
  }

  const stopAges = checkAges(table, on);
  live.subscribe(
    {
      charger,
      removed: gone,
      summary: on.summary,
      ready: ({ resumed }) => (resumed ? undefined : on.reload()),
      status: on.status,
    },
    { signal },
  );
  signal.addEventListener("abort", () => {
    cancelAnimationFrame(frame);
    stopAges();
  });
  return {
    charger,
    /** Call before a list is read, and `release` after it is shown, so that no change is lost between the two. */
    hold() {
      reading += 1;
      held ??= new Map();
    },
    release() {
      reading -= 1;
      if (reading) return;
      const came = held;
      held = null;
      for (const [id, row] of came) row ? charger(row) : gone(id);
    },
    /** The list was loaded: what was new is on it. */
    loaded() {
      fresh.clear();
      rows.clear();
      removed.clear();
      on.fresh(0);
    },
  };
}

/** A charger that is not on the page is new if it was created after the load, or if the page has all that matched then. */
function isFresh(row, { filters, at, total, count }) {
  return matches(filters, row) && (Date.parse(row.created_at) > at || total <= count);
}

/**
 * No event says that time has passed, or that a charger was observed again: before a row is shown as stale, while it is
 * shown so, and when it may have come to need attention, it is read once more.
 */
function checkAges(table, on) {
  let readAt = -Infinity;
  const timer = setInterval(() => {
    if (document.hidden) return;
    const now = clock.now();
    const entries = [...table.entries.values()].filter(({ mark }) => mark !== "removed");
    const old = entries.filter(({ row }) => isPast(row.runtime.stale_at, now));
    if (live.status.kind === "down") old.forEach((entry) => checkStale(entry, now));
    else if ((old.length || entries.some(({ row: { runtime } }) => !runtime.attention && isPast(runtime.attention_at, now))) && performance.now() - readAt > READ_AGAIN_MS) {
      readAt = performance.now();
      on.readAgain();
    }
  }, AGES_MS);
  return () => clearInterval(timer);
}

function isPast(instant, now) {
  return Boolean(instant) && Date.parse(instant) <= now;
}
