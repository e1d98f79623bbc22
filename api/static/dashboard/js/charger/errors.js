// What the codes of docs/errors.md mean, and what to do about them.

import { el } from "../el.js";

const PAGE = "/docs/errors.md";

let known; // a promise of the rows, by code

/** A link to the page of the codes; it says what to do when the pointer or the focus is on it. */
export function codeLink(code) {
  const link = el("a", { href: PAGE, target: "_blank", rel: "noopener", class: "code" }, code);
  const explain = async () => {
    const found = await meaningOf(code);
    if (found) link.title = `${found.cause} ${found.whatToDo}`;
  };
  link.addEventListener("pointerenter", explain, { once: true });
  link.addEventListener("focus", explain, { once: true });
  return link;
}

/** A sentence with what to do about the code, filled in when the page of the codes has been read. */
export function adviceOf(code) {
  const node = el("span", { class: "advice" });
  meaningOf(code).then((found) => {
    if (found) node.textContent = found.whatToDo;
  });
  return node;
}

/** The row of the code in docs/errors.md; undefined for a code that it does not have, or when it cannot be read. */
async function meaningOf(code) {
  known ??= read().catch(() => {
    known = undefined;
    return new Map();
  });
  return (await known).get(code);
}

async function read() {
  const answer = await fetch(PAGE);
  if (!answer.ok) throw new Error(`${PAGE}: ${answer.status}`);
  return tableOf(await answer.text());
}

/** The rows of the tables whose first cell is a code; the last two cells are the cause and what to do. */
function tableOf(text) {
  const rows = new Map();
  for (const line of text.split("\n")) {
    const cells = line.split("|").slice(1, -1).map((cell) => plain(cell.trim()));
    if (/^\| `[a-z_]+` \|/.test(line) && cells.length >= 3) {
      rows.set(cells[0], { cause: cells.at(-2), whatToDo: cells.at(-1) });
    }
  }
  return rows;
}

/** Without the marks of Markdown. */
function plain(text) {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
}
