// The chargers of a job: counts that filter, and a page of items with their reasons.

import { api } from "../client.js";
import { timeAgo } from "../clock.js";
import { el, fill } from "../el.js";
import { numbersFor } from "../fleet/pager.js";
import { link, onQuery, query, setQuery } from "../router.js";
import { number } from "../words.js";
import { RESULTS, resultBadge } from "./words.js";

const LIMIT = 50;

/** {node, show(job)}. The query's `result` and `page` are its state; without a result, failed chargers come first. */
export function jobItems(jobId, { signal }) {
  const chips = el("div", { class: "toolbar", role: "group", aria: { label: "Chargers by result" } });
  const body = el("tbody");
  const heading = el("h2", null, "Chargers");
  const pages = el("nav", { class: "toolbar", aria: { label: "Pages" } });
  const problem = el("p", { class: "note failed", role: "alert", hidden: true });
  const table = el(
    "table",
    { class: "table job-items", aria: { label: "Chargers of the job" } },
    el("thead", null, el("tr", null, ["Charger", "Result", "Why", "Requested", "Ended"].map((text) => el("th", { scope: "col" }, text)))),
    body,
  );
  const node = el("section", null, heading, chips, problem, table, pages);
  let current = null;
  let loaded = "";
  let loading = null;
  onQuery(() => current && show(current), { signal });
  return { node, show };

  function show(job) {
    current = job;
    drawChips(job);
    const state = [shownResult(job), pageNumber(), JSON.stringify(job.counts)].join(" ");
    if (state !== loaded) {
      loaded = state;
      load(job);
    }
  }

  async function load(job) {
    loading?.abort();
    loading = new AbortController();
    const only = { signal: AbortSignal.any([signal, loading.signal]) };
    const result = shownResult(job);
    try {
      const found = await api.get(`/ocpp/jobs/${encodeURIComponent(jobId)}/items`, { page: pageNumber(), limit: LIMIT, ...(result && { result }) }, only);
      problem.hidden = true;
      draw(job, found, result);
    } catch (error) {
      if (error.name === "AbortError" || only.signal.aborted) return;
      loaded = "";
      problem.hidden = false;
      problem.textContent = `The chargers cannot be read: ${error.detail ?? error.message}`;
    }
  }

  function draw(job, { data, total, page, limit }, result) {
    heading.textContent = result ? `Chargers: ${RESULTS[result][2]} (${number(total)})` : `Chargers (${number(total)})`;
    fill(body, data.length ? data.map((item) => itemRow(item, job)) : el("tr", null, el("td", { colspan: "5", class: "muted" }, "None at the moment")));
    const last = Math.max(1, Math.ceil(total / limit));
    fill(pages, last > 1 ? numbersFor(page, last).map((one) => (one === null ? "…" : pageButton(one, page))) : []);
  }

  function drawChips(job) {
    const active = shownResult(job);
    const wanted = [["", job.total], ...Object.keys(RESULTS).map((result) => [result, job.counts[result]])].filter(
      ([result, count]) => count || result === active || !result,
    );
    const focused = document.activeElement?.dataset?.result;
    const hasFocus = chips.contains(document.activeElement);
    fill(chips, wanted.map(([result, count]) => chip(result, count, result === active)));
    if (hasFocus) [...chips.children].find((each) => each.dataset.result === focused)?.focus();
  }

  function chip(result, count, pressed) {
    const words = result ? resultBadge(result, count) : `All ${number(count)}`;
    const choose = () => setQuery({ result: result || "all", page: null });
    return el("button", { type: "button", class: "chip", data: { result }, aria: { pressed }, on: { click: choose } }, words);
  }

  function pageButton(one, page) {
    const props = { type: "button", class: "button quiet", on: { click: () => setQuery({ page: one === 1 ? null : one }) } };
    return el("button", { ...props, aria: { label: `Page ${one}`, ...(one === page && { current: "page" }) } }, number(one));
  }
}

/** The result in the address; without one "failed" if there is any. Empty for all. */
function shownResult(job) {
  const requested = query().get("result");
  if (requested === "all") return "";
  if (requested in RESULTS) return requested;
  return job.counts.failed ? "failed" : "";
}

function pageNumber() {
  return Math.max(1, Number.parseInt(query().get("page") ?? "1", 10) || 1);
}

/** A job that creates chargers has no charger yet for an item without a command. */
function itemRow(item, job) {
  const exists = job.action !== "create" || item.command_id;
  return el(
    "tr",
    null,
    el("th", { scope: "row" }, exists ? link(`/dashboard/chargers/${encodeURIComponent(item.charger_id)}`, item.identity) : item.identity),
    el("td", { data: { label: "Result" } }, resultBadge(item.result)),
    el("td", { data: { label: item.reason ? "Why" : null } }, item.reason),
    el("td", { data: { label: "Requested" } }, timeAgo(item.requested_at)),
    el("td", { data: { label: "Ended" } }, timeAgo(item.finished_at)),
  );
}
