// The server's clock, and times that count on.

import { el } from "./el.js";

let aheadMs = 0; // of the server's clock before the browser's
let absolute = false;
const shown = new Set(); // the <time-ago> elements on the page

export const clock = {
  /** The server's time, in ms since 1970. */
  now: () => Date.now() + aheadMs,

  /** Learn the server's time from an answer that took `tookMs`. */
  set(serverTime, tookMs = 0) {
    const at = Date.parse(serverTime);
    if (!Number.isNaN(at)) aheadMs = at + tookMs / 2 - Date.now();
  },

  /** Whether times are shown absolute; as set by the person, for all tabs. */
  get absolute() {
    return absolute;
  },
  set absolute(on) {
    absolute = on;
    localStorage.setItem("chargehand.times", on ? "absolute" : "relative");
    for (const each of shown) each.update();
  },
};

absolute = localStorage.getItem("chargehand.times") === "absolute";

/** "40 s", "1 min 20 s", "3 h 5 min", "2 d 4 h". */
export function duration(seconds) {
  if (seconds == null || Number.isNaN(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return joined(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86_400) return joined(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return joined(Math.floor(s / 86_400), "d", Math.floor((s % 86_400) / 3600), "h");
}

function joined(count, unit, rest, smaller) {
  return rest ? `${count} ${unit} ${rest} ${smaller}` : `${count} ${unit}`;
}

/** The largest unit only: "40 s", "2 min", "3 h", "1 d". */
function roughly(seconds) {
  return duration(seconds).split(" ").slice(0, 2).join(" ");
}

/** "2026-11-28 01:02:03", in the browser's time zone. */
export function localTime(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return String(iso);
  const two = (n) => String(n).padStart(2, "0");
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
  return `${day} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":")}`;
}

/**
 * An element that shows the time as "40 s ago" or "in 8 s" and counts on; with `plain` as "40 s". The absolute time is in
 * its title, and shown on focus; outside a table it can have the focus. Of null: "–".
 */
export function timeAgo(iso, { plain = false } = {}) {
  if (iso == null) return el("span", { class: "muted" }, "–");
  return el("time-ago", { datetime: iso, plain });
}

class TimeAgo extends HTMLElement {
  static observedAttributes = ["datetime", "plain"];

  connectedCallback() {
    shown.add(this);
    if (!this.closest("table, a, button, summary") && !this.hasAttribute("tabindex")) this.tabIndex = 0;
    this.update();
  }

  disconnectedCallback() {
    shown.delete(this);
  }

  attributeChangedCallback() {
    if (this.isConnected) this.update();
  }

  update() {
    const iso = this.getAttribute("datetime");
    if (this.shownIso !== iso) {
      this.shownIso = iso;
      this.at = Date.parse(iso);
      const utc = Number.isNaN(this.at) ? "" : ` · ${new Date(this.at).toISOString()}`;
      this.time = el("time", { datetime: iso });
      this.title = localTime(iso) + utc;
      this.dataset.absolute = this.title;
      this.replaceChildren(this.time);
    }
    const text = absolute ? localTime(iso) : relative(this.at, this.hasAttribute("plain"));
    if (this.time.textContent !== text) this.time.textContent = text;
  }
}

function relative(at, plain) {
  const age = (clock.now() - at) / 1000;
  if (Number.isNaN(age)) return "–";
  if (plain) return roughly(Math.abs(age));
  if (Math.abs(age) < 1) return "now";
  return age > 0 ? `${roughly(age)} ago` : `in ${roughly(-age)}`;
}

customElements.define("time-ago", TimeAgo);
setInterval(() => {
  if (!document.hidden && !absolute) for (const each of shown) each.update();
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const each of shown) each.update();
});
