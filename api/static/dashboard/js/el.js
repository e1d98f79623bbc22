// Makes elements. Texts become text nodes and attributes, never HTML, so a hostile string stays a string.

const SVG = "http://www.w3.org/2000/svg";
const SAFE_HREF = /^(?:[/#?]|https?:|blob:|mailto:)/i;

/**
 * An HTML element.
 * props: `class`, attributes as text, booleans (true sets the attribute, false and null leave it out), `value` (also of a
 * select), `on: {click: fn}`, `data: {}` (dataset), `style: {}` (CSSOM, also custom properties), `aria: {}`.
 * children: strings, numbers, nodes, arrays of them; null and false are left out.
 */
export function el(tag, props, ...children) {
  return furnish(document.createElement(tag), props ?? {}, children);
}

/** The same in the SVG namespace. */
export function svg(tag, props, ...children) {
  return furnish(document.createElementNS(SVG, tag), props ?? {}, children);
}

/** Replace the children of the node. Returns the node. */
export function fill(node, ...children) {
  node.replaceChildren(...nodesOf(children));
  return node;
}

function furnish(node, { on = {}, data = {}, style = {}, aria = {}, value, ...attributes }, children) {
  for (const [name, text] of Object.entries(attributes)) setAttribute(node, name, text);
  for (const [name, text] of Object.entries(aria)) setAttribute(node, `aria-${name}`, text === false ? "false" : text === true ? "true" : text);
  for (const [name, text] of Object.entries(data)) if (text != null) node.dataset[name] = text;
  for (const [name, text] of Object.entries(style)) setStyle(node, name, text);
  for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
  node.append(...nodesOf(children));
  if (value != null) node.value = value; // after the children: a select knows its options now
  return node;
}

function setAttribute(node, name, text) {
  if (text == null || text === false) return;
  if (/^(?:on|style$|srcdoc$)/i.test(name)) throw new TypeError(`el: "${name}" is no attribute to set as text`);
  if (/^(?:xlink:)?href$/.test(name) && !SAFE_HREF.test(text)) return;
  node.setAttribute(name, text === true ? "" : text);
}

function setStyle(node, name, text) {
  if (text == null) return;
  if (name.startsWith("--")) node.style.setProperty(name, text);
  else node.style[name] = text;
}

function nodesOf(children) {
  return children
    .flat(Infinity)
    .filter((child) => child != null && child !== false && child !== true)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
