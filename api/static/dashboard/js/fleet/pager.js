// The pages of the list: which one is shown, of how many, and how many rows a page has.

import { el, fill } from "../el.js";
import { number } from "../words.js";
import { PAGE_SIZES } from "./query.js";

/** Page numbers with `on.page(n)` and `on.limit(n)`. */
export function pager(on) {
  const text = el("span", { class: "fleet-range" });
  const pages = el("span", { class: "fleet-pages" });
  const size = el(
    "select",
    { aria: { label: "Rows on a page" } },
    ...PAGE_SIZES.map((limit) => el("option", { value: String(limit) }, `${limit} rows`)),
  );
  size.addEventListener("change", () => on.limit(Number(size.value)));
  const node = el("nav", { class: "fleet-pager", aria: { label: "Pages" } }, text, pages, size);
  return {
    node,
    show({ page, limit, total, count }) {
      const first = (page - 1) * limit + 1;
      text.textContent = total ? `${number(first)} to ${number(first + count - 1)} of ${number(total)}` : "none";
      const last = Math.max(1, Math.ceil(total / limit));
      fill(pages, ...(last > 1 ? buttons(page, last, on) : []));
      size.value = String(limit);
    },
  };
}

function buttons(page, last, on) {
  const go = (to, words, isOff) =>
    el("button", { type: "button", class: "button quiet", disabled: isOff, on: { click: () => on.page(to) } }, words);
  const numbers = numbersFor(page, last).map((one) =>
    one === null
      ? el("span", { aria: { hidden: "true" } }, "…")
      : el(
          "button",
          {
            type: "button",
            class: "button quiet",
            aria: { label: `Page ${one}`, ...(one === page ? { current: "page" } : {}) },
            on: { click: () => on.page(one) },
          },
          number(one),
        ),
  );
  return [go(page - 1, "‹ Back", page <= 1), ...numbers, go(page + 1, "Next ›", page >= last)];
}

/** The first, the last and the pages around this one; null where some are left out. */
export function numbersFor(page, last) {
  const shown = [1, page - 1, page, page + 1, last].filter((one) => one >= 1 && one <= last);
  const sorted = [...new Set(shown)].sort((one, other) => one - other);
  return sorted.flatMap((one, index) => (index && one - sorted[index - 1] > 1 ? [null, one] : [one]));
}
