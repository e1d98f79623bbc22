// Which view the address names. The path is the view, the query is its state.

import { el, fill } from "./el.js";
import { send } from "./http.js";
import { clearFailures, OldPage, showProblem } from "./shell/problems.js";

const ORGANIZATION = "organization"; // an admin's, in every address
const LOADING_AFTER_MS = 300;
const queryListeners = new Set();

let routes = [];
let main = null;
let standIn = () => null;
let current = { path: null, search: null, controller: new AbortController() };

/** Go to a path of the dashboard, with its query if it has one. */
export function navigate(path, { replace = false } = {}) {
  const target = addressOf(path);
  keepScroll();
  history[replace ? "replaceState" : "pushState"](null, "", target);
  showAddress();
}

/** A link to a path of the dashboard, within the page. */
export function link(path, ...children) {
  return el("a", { href: addressOf(path) }, ...children);
}

/** The query of the address. A change of it changes nothing: call setQuery. */
export function query() {
  return new URLSearchParams(location.search);
}

/** Set keys of the query; null or "" removes one. Calls what onQuery has registered, if something changed. */
export function setQuery(changes, { replace = false } = {}) {
  const next = query();
  for (const [key, value] of Object.entries(changes)) {
    if (value == null || value === "") next.delete(key);
    else next.set(key, value);
  }
  if (next.toString() === query().toString()) return;
  const search = next.toString();
  history[replace ? "replaceState" : "pushState"](history.state, "", location.pathname + (search && `?${search}`));
  current.search = location.search;
  for (const listener of queryListeners) listener(query());
}

/** Call `listener(query)` when the query changes, by setQuery or by the browser's back and forward, until the view is left. */
export function onQuery(listener, { signal } = {}) {
  queryListeners.add(listener);
  signal?.addEventListener("abort", () => queryListeners.delete(listener), { once: true });
}

/**
 * Show the views of `table` in `root`: [[pattern, load]], where load() imports a module that exports `show`.
 * `instead()` may return a function that shows something else in `root`, such as the sign-in form.
 */
export function startRouter(table, root, instead) {
  routes = table;
  main = root;
  standIn = instead;
  history.scrollRestoration = "manual";
  addEventListener("popstate", returned);
  document.addEventListener("click", follow);
  showAddress();
}

/** Show the view of the address again, from the start. */
export function showAddress() {
  const first = current.path === null;
  leaveView();
  const other = standIn();
  if (other) {
    other(main);
    return;
  }
  const { pathname, search } = location;
  const [load, match] = found(pathname);
  current = { path: pathname, search, controller: new AbortController() };
  const root = el("div", { class: "view" });
  fill(main, root);
  show(root, load, match, current.controller.signal, first);
}

function leaveView() {
  current.controller.abort();
  queryListeners.clear();
  for (const dialog of document.querySelectorAll("dialog[open]:not([data-stays])")) dialog.close();
}

async function show(root, load, match, signal, first) {
  const loading = setTimeout(() => root.childNodes.length || fill(root, el("p", { class: "muted" }, "Loading …")), LOADING_AFTER_MS);
  try {
    const view = await imported(load);
    if (signal.aborted) return;
    await view.show(root, match.slice(1).map(decodeURIComponent), { signal });
    clearFailures();
  } catch (error) {
    if (signal.aborted) return;
    showProblem(root, error, showAddress, signal);
  } finally {
    clearTimeout(loading);
  }
  if (!signal.aborted) settle(root, first);
}

/** The module. Raises NetworkError while nothing answers, else OldPage. */
async function imported(load) {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    await send("HEAD", "/dashboard");
    throw new OldPage(error);
  }
}

/** The title, the focus and the place of a view that is there. */
function settle(root, first) {
  const heading = root.querySelector("h1");
  document.title = heading ? `${heading.textContent} · Chargehand` : "Chargehand";
  if (heading && !first && !document.querySelector("dialog[open]")) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
  scrollTo(0, history.state?.scroll ?? 0);
}

function found(path) {
  for (const [pattern, load] of routes) {
    const match = pattern.exec(path);
    if (match) return [load, match];
  }
  throw new Error(`no route for ${path}`); // the last one matches every path
}

function returned() {
  if (location.pathname === current.path && location.search === current.search) return; // only the part after # has changed
  current.search = location.search;
  if (location.pathname !== current.path || !queryListeners.size) showAddress();
  else for (const listener of queryListeners) listener(query());
}

function follow(event) {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const target = new URL(anchor.href);
  if (anchor.target || anchor.hasAttribute("download") || target.origin !== location.origin || !/^\/dashboard(\/|$)/.test(target.pathname)) return;
  if (target.hash && target.pathname === location.pathname && target.search === location.search) return;
  event.preventDefault();
  navigate(target.pathname + target.search);
}

function keepScroll() {
  history.replaceState({ ...history.state, scroll: scrollY }, "");
}

/** The path with the organization of this page, unless it names one. */
function addressOf(path) {
  const target = new URL(path, location.origin);
  const organization = query().get(ORGANIZATION);
  if (organization && !target.searchParams.has(ORGANIZATION)) target.searchParams.set(ORGANIZATION, organization);
  return target.pathname + target.search + target.hash;
}
