// The pane of a charger's log: its frames as exchanges, its remarks and the events of its connection, live and searched.

import { timeAgo } from "../clock.js";
import { api } from "../client.js";
import { announce } from "../dialog.js";
import { el, fill } from "../el.js";
import { keys } from "../keys.js";
import { live } from "../live.js";
import { onQuery } from "../router.js";
import { save } from "../save.js";
import { filterBar, moreText, nothingMatches } from "./bar.js";
import { asLines } from "./exchanges.js";
import { anyFilter, asQuery, filters, matches, showsWholeExchanges } from "./filters.js";
import { rowList } from "./list.js";
import { Log, PAGE } from "./log.js";
import { copy } from "./text.js";

const TICK_MS = 1000;
const READER = "maintenance.read_logs";

/** The pane of a charger (a row of the API), as a <section>; until the signal is aborted. */
export function framesPane(charger, { signal }) {
  const log = new Log(charger.id);
  const list = rowList({ find: (row) => log.partnerOf(row, signal), follows: () => !isPaused(), left: () => setReading(true), reachedEnd: () => setReading(false) });
  const bar = filterBar({ pause: togglePause, copyAll: () => copy(asLines(log.entries), "what is shown"), download });
  const late = el("p", { class: "note stale", hidden: true });
  const notice = el("div", { class: "frames-notice" });
  const more = el("button", { type: "button", class: "button frames-more", hidden: true, on: { click: toNow } });
  const heading = el("h2", { tabindex: "-1" }, "Frames and log");
  const node = el("section", { class: "panel frames" }, heading, late, bar.node, notice, el("div", { class: "frames-place" }, list.node, more));

  let chosen = filters();
  let loading = new AbortController(); // of the page that the filters want
  let held = []; // entries that came while paused
  let pausedByHand = false;
  let reading = false; // somebody has scrolled up or opened a row
  let most = PAGE;
  let loaded = false;

  const isPaused = () => pausedByHand || reading;
  const whileFiltersStay = () => AbortSignal.any([signal, loading.signal]); // a late answer for other filters is dropped

  function draw() {
    list.update(log.entries, { partial: !showsWholeExchanges(chosen), follow: !isPaused() });
    drawBar();
    drawOlder();
  }

  function drawBar() {
    bar.update(log.actions, { paused: isPaused() });
    more.hidden = !isPaused() || !loaded;
    fill(more, `${moreText(held.length)} · jump to now`);
  }

  function drawOlder() {
    const { older, searchedUntil } = log;
    fill(list.before,
      searchedUntil && el("p", { class: "muted" }, "Searched back to ", timeAgo(searchedUntil), "."),
      older !== null && el("button", { type: "button", class: "button", on: { click: (event) => loadOlder(event.currentTarget) } }, searchedUntil ? "Search further back" : `Load ${PAGE} older`));
  }

  async function load() {
    loading.abort();
    loading = new AbortController();
    const both = whileFiltersStay();
    chosen = filters();
    held = [];
    reading = false;
    most = PAGE;
    drawBar();
    await attempt(async () => {
      const newest = log.load(chosen, both);
      drawOlder();
      await newest;
      loaded = true;
      draw();
      list.toEnd();
      await sayNothing(both);
    });
  }

  async function loadOlder(button) {
    button.disabled = true;
    reading = true;
    await attempt(async () => {
      await log.loadOlder(whileFiltersStay());
      most = Math.max(most, log.entries.length);
      draw();
      list.node.focus({ preventScroll: true });
    });
    button.disabled = false;
  }

  /** When nothing is shown, say why. */
  async function sayNothing(until) {
    if (log.entries.length || log.searchedUntil) fill(notice);
    else if (anyFilter(chosen)) fill(notice, nothingMatches(await log.countAll(until)));
    else fill(notice, el("p", { class: "muted frames-empty" }, "No frame yet. ", await lastRead(until)));
  }

  async function attempt(action) {
    try {
      await action();
    } catch (error) {
      if (error.name === "AbortError" || error.status === 404) return; // a charger that was deleted: its view says so
      const again = el("button", { type: "button", class: "button", on: { click: load } }, "Try again");
      fill(notice, el("div", { class: "note failed", role: "alert" }, el("p", null, `The log could not be read: ${error.message}. `), again));
    }
  }

  function took(entries) {
    if (!loaded) return; // the page that loads has them
    log.see(entries);
    const wanted = entries.filter((entry) => matches(entry, chosen));
    if (isPaused()) {
      const known = new Set([...log.entries, ...held].map(({ kind, id, timestamp }) => `${kind} ${id} ${timestamp}`));
      held.push(...wanted.filter(({ kind, id, timestamp }) => !known.has(`${kind} ${id} ${timestamp}`)));
      held.splice(0, Math.max(0, held.length - 20 * PAGE));
      drawBar();
    } else if (log.add(wanted).length) {
      log.trim(most);
      fill(notice);
      draw();
    } else drawBar();
  }

  function release() {
    const entries = held;
    held = [];
    log.add(entries);
    most = PAGE;
    log.trim(most);
    if (log.entries.length) fill(notice);
    draw();
  }

  function setReading(on) {
    if (on === reading || !loaded) return;
    reading = on;
    if (isPaused()) drawBar();
    else release();
  }

  function togglePause() {
    pausedByHand = !isPaused();
    reading = false;
    announce(pausedByHand ? "The log is paused" : "The log goes on");
    if (pausedByHand) drawBar();
    else release();
  }

  function toNow() {
    pausedByHand = reading = false;
    release();
    list.node.focus({ preventScroll: true });
  }

  async function download(button) {
    button.disabled = true;
    await attempt(async () => {
      const { caller, event, q, errors, hide, kind } = asQuery(filters());
      const blob = await api.download(log.path, { caller, event, q, errors, hide, kind }, "application/x-ndjson");
      save(blob, `${charger.identity.replace(/[^\w.-]+/g, "_")}.ndjson`);
    });
    button.disabled = false;
  }

  async function catchUp() {
    if (!loaded) return notice.querySelector(".failed") ? load() : null;
    return attempt(async () => {
      await log.catchUp(whileFiltersStay());
      if (isPaused()) drawBar(); // what was missed is shown when the log goes on
      else draw();
    });
  }

  function drawLate(row) {
    const reason = row.runtime?.ocpp?.stale_reason;
    late.hidden = !reason;
    fill(late, reason ? `${reason}. The newest frames are not here yet.` : "");
  }

  function copyCurrent() {
    const row = list.current();
    if (row) copy([row.call, row.answer, row.line].filter(Boolean).map(({ message }) => message ?? "").join("\n"), "the frame");
  }

  const bound = [
    keys.bind("p", "Pause or resume the log", togglePause),
    keys.bind("y", "Copy the frame that has the focus", copyCurrent),
    keys.bind("j", "The next frame", () => list.move(1)),
    keys.bind("k", "The frame before", () => list.move(-1)),
  ];
  const timer = setInterval(list.tick, TICK_MS);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    for (const unbind of bound) unbind();
  }, { once: true });
  onQuery(() => JSON.stringify(filters()) !== JSON.stringify(chosen) && load(), { signal });
  live.watch(charger.id, { frames: ({ entries }) => took(entries), snapshot: catchUp }, { signal, frames: true });
  live.subscribe({ charger: (row) => row.id === charger.id && drawLate(row) }, { signal });
  drawLate(charger);
  load();
  return node;
}

/** When the logs were read last, as a sentence. */
async function lastRead(signal) {
  const every = "The charger's log comes here some seconds after it is written";
  try {
    const { maintenance } = await api.get("/ocpp/operations", {}, { signal });
    const reader = maintenance.find(({ task }) => task === READER);
    if (reader?.age_s == null) return `${every}.`;
    const at = new Date(Date.now() - reader.age_s * 1000).toISOString();
    return [`Logs are read every ${reader.every_s} s; the last read was `, timeAgo(at), "."];
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return `${every}.`;
  }
}
