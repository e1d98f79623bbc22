// The view "Jobs": newest first, with how far each one is.

import { api } from "../client.js";
import { timeAgo } from "../clock.js";
import { el, fill } from "../el.js";
import { numbersFor } from "../fleet/pager.js";
import { link, onQuery, query, setQuery } from "../router.js";
import { counted, number, stateBadge } from "../words.js";
import { jobBar } from "./bar.js";
import { isFinal, sentenceOf, titleOf } from "./words.js";

const LIMIT = 25;
const EVERY_MS = 2000;
const STATUSES = ["running", "paused", "finished", "cancelled"];

export async function show(root, params, { signal }) {
  const chips = el("div", { class: "toolbar", role: "group", aria: { label: "Jobs by state" } });
  const body = el("tbody");
  const count = el("p", { class: "muted" });
  const old = el("p", { class: "note stale", role: "status", hidden: true });
  const pages = el("nav", { class: "toolbar", aria: { label: "Pages" } });
  const table = el(
    "table",
    { class: "table jobs", aria: { label: "Jobs" } },
    el("thead", null, el("tr", null, ["Job", "State", "Progress", "Requested"].map((text) => el("th", { scope: "col" }, text)))),
    body,
  );
  let drawn = "";
  let timer = null;
  let newest = new AbortController(); // ends a request whose page is not wanted any more
  signal.addEventListener("abort", () => clearTimeout(timer));

  const first = await read(signal);
  fill(root, el("h1", null, "Jobs"), el("p", null, "A job starts, stops, restarts or deletes many chargers. Select chargers in the ", link("/dashboard", "fleet"), " to make one."), chips, old, count, table, pages);
  draw(first);
  onQuery(() => load(), { signal });
  again(first);

  async function load() {
    clearTimeout(timer);
    newest.abort();
    newest = new AbortController();
    const current = AbortSignal.any([signal, newest.signal]);
    try {
      const found = await read(current);
      if (current.aborted) return;
      old.hidden = true;
      draw(found);
      again(found);
    } catch (error) {
      if (current.aborted) return;
      old.hidden = false;
      old.textContent = `This may be old: ${error.detail ?? error.message}`;
      again({ data: [{ finished_at: null }] });
    }
  }

  /** While a job on the page is not final, read the page again. */
  function again({ data }) {
    clearTimeout(timer);
    if (data.every(isFinal)) return;
    timer = setTimeout(() => (document.hidden ? again({ data }) : load()), EVERY_MS);
  }

  function draw(found) {
    drawChips();
    const state = JSON.stringify(found);
    if (state === drawn) return;
    drawn = state;
    count.textContent = counted(found.total, "job");
    const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    fill(body, found.data.length ? found.data.map(jobRow) : el("tr", null, el("td", { colspan: "4", class: "muted" }, query().get("status") ? "No job is in this state" : "No job yet")));
    if (focused) [...body.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused)?.focus();
    const last = Math.max(1, Math.ceil(found.total / found.limit));
    fill(pages, last > 1 ? numbersFor(found.page, last).map((one) => (one === null ? "…" : pageButton(one, found.page))) : []);
  }

  function drawChips() {
    const active = query().get("status") ?? "";
    const hadFocus = chips.contains(document.activeElement) ? document.activeElement.dataset.status : null;
    const chip = (status) =>
      el(
        "button",
        { type: "button", class: "chip", data: { status }, aria: { pressed: status === active }, on: { click: () => setQuery({ status, page: null }) } },
        status ? stateBadge("job", status) : "All",
      );
    if (!chips.childNodes.length) fill(chips, ["", ...STATUSES].map(chip));
    for (const each of chips.children) each.setAttribute("aria-pressed", String(each.dataset.status === active));
    if (hadFocus !== null) [...chips.children].find((each) => each.dataset.status === hadFocus)?.focus();
  }
}

function read(signal) {
  const wanted = Object.fromEntries([...query()].filter(([key]) => ["status", "page"].includes(key)));
  return api.get("/ocpp/jobs", { limit: LIMIT, ...wanted }, { signal });
}

function jobRow(job) {
  const bar = jobBar();
  bar.show(job);
  const waits = job.waits_for ? el("div", { class: "muted" }, job.waits_for) : null;
  return el(
    "tr",
    null,
    el("th", { scope: "row" }, link(`/dashboard/jobs/${encodeURIComponent(job.id)}`, titleOf(job))),
    el("td", { data: { label: "State" } }, stateBadge("job", job.status)),
    el("td", { class: "job-progress" }, bar.node, el("div", null, sentenceOf(job)), waits),
    el("td", { data: { label: "Requested" } }, timeAgo(job.created_at), ` by ${job.requested_by}`),
  );
}

function pageButton(one, page) {
  const props = { type: "button", class: "button quiet", on: { click: () => setQuery({ page: one === 1 ? null : one }) } };
  return el("button", { ...props, aria: { label: `Page ${one}`, ...(one === page && { current: "page" }) } }, number(one));
}
