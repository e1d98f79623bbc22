// The header: where one can go, whose chargers are shown, whether the page is up to date, and the switches.

import { timeAgo } from "../clock.js";
import { announce } from "../dialog.js";
import { el, fill } from "../el.js";
import { live } from "../live.js";
import { link } from "../router.js";
import { session } from "../session.js";
import { showHelp } from "./help.js";
import { organizationField } from "./organization.js";

const PLACES = [
  ["/dashboard", "Fleet", /^\/dashboard(\/chargers\/.*)?$/],
  ["/dashboard/locations", "Locations", /^\/dashboard\/locations/],
  ["/dashboard/jobs", "Jobs", /^\/dashboard\/jobs/],
  ["/dashboard/operations", "Operations", /^\/dashboard\/operations/],
];
const SHAPES = { live: ["●", "running"], behind: ["◐", "moving"], paused: ["○", "stopped"], down: ["▲", "failed"] };

/** Draw the header, and draw it again when somebody signs in or out. */
export function startHeader(node) {
  const status = el("div", { class: "live-status" });
  let kind = null;
  live.subscribe({
    status(state) {
      fill(status, liveBadge(state));
      if (state.kind === "down") announce("Not connected. What is shown may be old.");
      else if (kind === "down") announce("Connected again.");
      kind = state.kind;
    },
  });
  const draw = () => {
    fill(node, session.me ? signedIn(status) : el("div", { class: "bar" }, brand(), el("span", { class: "space" }), themeSwitch()));
    markPlace();
  };
  session.on("change", draw);
  new MutationObserver(markPlace).observe(document.getElementById("main"), { childList: true });
  draw();
}

function signedIn(status) {
  const menu = el("nav", { id: "menu", aria: { label: "Main" } }, PLACES.map(([path, name]) => link(path, name)));
  const tools = el("div", { class: "tools" }, organizationField(), themeSwitch(), button("Help", showHelp, "?"), button("Sign out", () => session.signOut()));
  const bar = el("div", { class: "bar" }, brand(), menu, el("span", { class: "space" }), status, menuButton(), tools);
  return bar;
}

function brand() {
  return el("a", { href: "/dashboard", class: "brand" }, "Chargehand");
}

function menuButton() {
  const opener = el("button", { type: "button", class: "button quiet menu-button", aria: { expanded: false, controls: "menu" } }, "Menu");
  opener.addEventListener("click", () => {
    const header = document.getElementById("header");
    const opened = header.classList.toggle("open");
    opener.setAttribute("aria-expanded", String(opened));
  });
  return opener;
}

function markPlace() {
  document.getElementById("header").classList.remove("open");
  document.querySelector(".menu-button")?.setAttribute("aria-expanded", "false");
  for (const anchor of document.querySelectorAll("#menu a")) {
    const path = new URL(anchor.href).pathname;
    const [, , pattern] = PLACES.find(([place]) => place === path);
    if (pattern.test(location.pathname)) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function liveBadge({ kind, since, detail }) {
  const [shape, name] = SHAPES[kind] ?? SHAPES.paused;
  const words = {
    live: ["live"],
    behind: ["live, ", since ? timeAgo(since, { plain: true }) : null, " behind"],
    paused: ["paused"],
    down: ["not connected", since ? [" since ", new Date(since).toLocaleTimeString("en-GB")] : null],
  }[kind];
  return el("span", { class: `badge ${name}`, title: detail ?? null }, el("span", { class: "shape", aria: { hidden: true } }, shape), words);
}

function themeSwitch() {
  const root = document.documentElement;
  const options = [["", "System"], ["light", "Light"], ["dark", "Dark"]].map(([value, name]) => el("option", { value }, name));
  const choose = ({ target }) => {
    if (target.value) root.dataset.theme = target.value;
    else delete root.dataset.theme;
    localStorage.setItem("chargehand.theme", target.value);
  };
  return el("label", { class: "theme" }, el("span", { class: "unseen" }, "Theme"), el("select", { value: root.dataset.theme ?? "", on: { change: choose } }, options));
}

function button(text, run, key = null) {
  return el("button", { type: "button", class: "button quiet", title: key && `${text} (${key})`, on: { click: run } }, text);
}
