// The view "Fleet": every charger of the organization, what is the matter with it, and what can be done.

import { el, fill } from "../el.js";
import { live } from "../live.js";
import { navigate, onQuery, query, setQuery } from "../router.js";
import { problemText } from "../shell/problems.js";
import { counted } from "../words.js";
import { actingOn } from "./acting/acting.js";
import { makeSelection } from "./acting/selection.js";
import { awayNote } from "./away.js";
import { countsBar } from "./counts.js";
import { noChargers, noneMatch } from "./empty.js";
import { filterBar } from "./filter_bar.js";
import { followRows } from "./live_rows.js";
import { listReader, summaryReader } from "./loader.js";
import { pager } from "./pager.js";
import { DEFAULT_SORT, FILTERS, PAGE_SIZES, isEmpty, readQuery } from "./query.js";
import { bindShortcuts } from "./shortcuts.js";
import { fleetTable } from "./table.js";

const LOADING_WORDS_MS = 300; // a load that takes longer says so
const RETRY_S = [1, 2, 4, 8, 15]; // after the API did not answer

export async function show(root, _params, { signal }) {
  let wanted = readQuery(query()); // what the address says
  let list = null; // what the rows are of: {filters, at, total, count}
  let summary = null;
  let retries = 0;
  let retryTimer = 0;

  const selection = makeSelection(() => showSelection());
  const table = fleetTable({
    sort: (sort) => change({ sort: sort === DEFAULT_SORT ? null : sort }),
    act: (verb, entry, button) => acting.onRow(verb, entry, button),
    select: (id, isSelected, isRange) => selection.choose(table.rows(), id, isSelected, isRange),
    selectPage: (isSelected) => selection.set(table.rows(), isSelected),
    location: (id) => filter({ location_id: id }),
    open: (id) => navigate(`/dashboard/chargers/${encodeURIComponent(id)}`),
  });
  const counts = countsBar({ filter });
  const bar = filterBar(
    { filter, sort: (sort) => change({ sort: sort === DEFAULT_SORT ? null : sort }) },
    { signal, locations: () => locationsOf(table.rows()) },
  );
  const pages = pager({
    page: (page) => change({ page: page === 1 ? null : page }, { keepPage: true }),
    limit: (limit) => change({ limit: limit === PAGE_SIZES.at(-1) ? null : limit }),
  });
  const acting = actingOn({
    table,
    selection,
    away: () => away.reason,
    matching: () => [list.filters, list.total],
    created: () => reload(),
    signal,
  });
  pages.node.hidden = true;
  const away = awayNote(table, () => [...table.node.querySelectorAll("button[data-act]"), ...acting.buttons]);
  const problem = el("div", { class: "note failed", role: "alert", hidden: true });
  const loading = el("p", { class: "fleet-loading", role: "status", hidden: true }, "Loading the chargers …");
  const fresh = el("button", { type: "button", class: "button fleet-fresh", hidden: true, on: { click: () => showFresh() } });
  const empty = el("div", {});

  fill(
    root,
    el("div", { class: "fleet-head" }, el("h1", {}, "Fleet"), acting.createButton),
    counts.node,
    bar.node,
    acting.progress,
    acting.bar.node,
    away.node,
    problem,
    loading,
    fresh,
    table.node,
    empty,
    pages.node,
    acting.menu.node,
  );
  const reader = listReader({ signal });
  const secondReader = listReader({ signal }); // does not end the first one's request
  const summaries = summaryReader(showSummary, { filters: wanted.filters, signal });
  const rows = followRows(
    table,
    () => list,
    {
      fresh: showFreshCount,
      changed: () => summaries.changed(),
      removed: (id) => selection.remove(id),
      summary: (found) => summaries.offer(found),
      reload: () => load(),
      readAgain,
      status: (state) => away.show(state.kind === "down", list?.at),
    },
    { signal },
  );
  bindShortcuts({ table, bar, select: selectCurrent, act: (verb) => acting.byKey(verb) }, { signal });
  onQuery(queryChanged, { signal });
  signal.addEventListener("abort", () => clearTimeout(retryTimer));
  await load();

  function filter(changes, { isTyping = false } = {}) {
    selection.clear();
    change(changes, { replace: isTyping });
  }

  function change(changes, { replace = false, keepPage = false } = {}) {
    setQuery(keepPage ? changes : { ...changes, page: null }, { replace });
  }

  function queryChanged(parameters) {
    const before = wanted.filters;
    wanted = readQuery(parameters);
    if (JSON.stringify(before) !== JSON.stringify(wanted.filters)) selection.clear();
    load();
  }

  function reload() {
    return load();
  }

  /** Read what the address says, and show it. After an error the rows that are there stay. */
  async function load() {
    clearTimeout(retryTimer);
    bar.show(wanted);
    counts.show(summary, wanted.filters);
    table.showSort(wanted.sort);
    const words = setTimeout(() => (loading.hidden = false), LOADING_WORDS_MS);
    table.node.setAttribute("aria-busy", "true");
    const mine = wanted;
    rows.hold();
    try {
      summaries.load(mine.filters);
      const found = await reader(mine);
      if (!found) return;
      retries = 0;
      problem.hidden = true;
      showList(mine, found);
    } catch (error) {
      showProblem(error);
    } finally {
      rows.release();
      clearTimeout(words);
      if (wanted === mine) {
        loading.hidden = true;
        table.node.removeAttribute("aria-busy");
      }
    }
  }

  function showList({ filters, page, limit }, { data, total, at }) {
    if (!data.length && total && page > 1) {
      change({ page: String(Math.ceil(total / limit)) }, { replace: true, keepPage: true });
      return;
    }
    list = { filters, at, total, count: data.length };
    table.show(data);
    table.node.hidden = !data.length;
    fill(empty, data.length ? null : isEmpty(filters) ? noChargers(acting.create) : noneMatch(clearFilters));
    pages.node.hidden = !data.length;
    pages.show({ page, limit, total, count: data.length });
    rows.loaded();
    showSelection();
    away.show(live.status.kind === "down", at);
  }

  /** The rows of the page once more, each in its place. */
  async function readAgain() {
    rows.hold();
    const found = await secondReader(wanted).catch(() => null);
    for (const row of found?.data ?? []) if (table.entries.has(row.id)) rows.charger(row);
    rows.release();
  }

  function showProblem(error) {
    const isPassing = error.name === "NetworkError" || error.status === 429 || error.status >= 500;
    problem.hidden = false;
    fill(problem, problemText(error), isPassing ? null : el("p", {}, "Take off the filter that is refused, or "), el("button", { type: "button", class: "button", on: { click: reload } }, "Try again"));
    table.node.hidden = table.entries.size === 0;
    if (!isPassing) return;
    const waitS = error.retryAfterS ?? RETRY_S[Math.min(retries++, RETRY_S.length - 1)];
    retryTimer = setTimeout(reload, waitS * 1000);
  }

  function showSummary(found) {
    summary = found;
    counts.show(summary, wanted.filters);
  }

  function showFreshCount(count) {
    if (count && !table.entries.size) {
      load();
      return;
    }
    fresh.hidden = !count;
    fresh.textContent = `${counted(count, "new charger")}, show`;
  }

  function showFresh() {
    fresh.hidden = true;
    if (query().has("page")) change({});
    else load();
  }

  function showSelection() {
    table.showSelection(selection);
    const onPage = [...table.entries.keys()].filter((id) => selection.has(id)).length;
    acting.bar.show(selection, { total: list?.total ?? 0, count: table.entries.size, onPage });
  }

  function selectCurrent() {
    const entry = table.current();
    if (entry) selection.choose(table.rows(), entry.row.id, !entry.box.checked, false);
  }

  function clearFilters() {
    filter(Object.fromEntries(FILTERS.map((key) => [key, null])));
  }
}

function locationsOf(rows) {
  return [...new Map(rows.filter((row) => row.location_id).map((row) => [row.location_id, row.location_name]))];
}
