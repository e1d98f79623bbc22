// The view "Operations": what the service does and what is away, for those who run it. Made for a phone at three in the morning.

import { clock, duration } from "../clock.js";
import { announce } from "../dialog.js";
import { el, fill } from "../el.js";
import { session } from "../session.js";
import { problemText } from "../shell/problems.js";
import { commandsPanel, unservedNote } from "./commands.js";
import { hostsPanel } from "./hosts.js";
import { lights, lightsWithoutAnswer } from "./lights.js";
import { poll } from "./poll.js";
import { budgetPanel, linksPanel, maintenancePanel, organizationsPanel } from "./panels.js";
import { workersPanel } from "./workers.js";

const OLD_AFTER_MS = 10_000; // answers come every 2 s
const HOSTS_MS = 10_000; // hosts report so often
const MAX_HOSTS = 100; // shown

export async function show(root, params, { signal }) {
  const age = el("span", { class: "muted", id: "operations-age" });
  const problem = el("div");
  const lamps = el("div"); // and what is louder
  const panels = el("div", { class: "operations" });
  let newest = null;
  let hosts = null;
  let lost = false;

  fill(
    root,
    el("div", { class: "toolbar" }, el("h1", null, "Operations"), el("span", { class: "space" }), age),
    problem,
    lamps,
    panels,
    elsewhere(),
  );

  const showAge = () => {
    if (!newest) return;
    const ageMs = clock.now() - Date.parse(newest.at);
    const old = lost || ageMs > OLD_AFTER_MS;
    fill(age, old ? `From ${duration(ageMs / 1000)} ago` : "Current to 2 s");
    panels.classList.toggle("old", old);
  };
  const timer = setInterval(showAge, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));

  const showPanels = () =>
    keepingPlace(panels, () => [
      commandsPanel(newest),
      workersPanel(newest),
      hosts && hostsPanel(hosts),
      budgetPanel(newest),
      maintenancePanel(newest),
      linksPanel(newest),
      organizationsPanel(newest),
    ]);
  poll(
    {
      path: "/ocpp/hosts",
      query: { limit: MAX_HOSTS },
      everyMs: HOSTS_MS,
      shown(page) {
        hosts = page;
        if (newest && !lost) showPanels();
      },
      failed() {}, // the state of the service, which is read too, says what is away
    },
    signal,
  );

  await poll(
    {
      path: "/ocpp/operations",
      shown(state) {
        if (lost) announce("Chargehand answers again");
        newest = state;
        lost = false;
        fill(problem);
        keepingPlace(lamps, () => [unservedNote(state), lights(state)]);
        showPanels();
        showAge();
      },
      async failed(error) {
        if (!lost) fill(problem, el("div", { class: "note failed", role: "alert" }, problemText(error), newest && el("p", null, "What follows is how it was before.")));
        lost = true;
        showAge();
        const shown = await lightsWithoutAnswer(newest, signal);
        if (lost && !signal.aborted) keepingPlace(lamps, () => shown);
      },
    },
    signal,
  );
}

/** Replace the content, and keep the focus and what is unfolded: both are found again by their key. */
function keepingPlace(node, make) {
  const focused = node.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
  const open = new Set([...node.querySelectorAll("details[open][data-key]")].map((each) => each.dataset.key));
  fill(node, make());
  for (const each of node.querySelectorAll("details[data-key]")) each.open ||= open.has(each.dataset.key);
  if (focused) node.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function elsewhere() {
  const flower = session.me?.flower_url;
  return el(
    "p",
    { class: "toolbar" },
    "Elsewhere: ",
    flower && el("a", { href: `${flower.replace(/\/$/, "")}/tasks`, target: "_blank", rel: "noreferrer" }, "Search tasks in Flower"),
    el("a", { href: "/metrics", target: "_blank", rel: "noreferrer" }, "Metrics"),
    el("a", { href: "/docs", target: "_blank", rel: "noreferrer" }, "The API"),
  );
}
