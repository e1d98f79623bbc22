// Single keys, only while no field has the focus and no dialog is open. A person can switch them off (WCAG 2.1.4).

const SWITCH = "chargehand.keys";
const SEQUENCE_WITHIN_MS = 1500; // between the keys of "g f"
const FIELDS = "input, textarea, select, [contenteditable]";
const ALWAYS = new Set(["Escape"]);
const bound = []; // {key, what, run}

let pressed = "";
let pressedAt = 0;

export const keys = {
  /** Call `run(event)` at the key ("s", "?", "Escape", "ArrowDown") or keys ("g f"). Returns a function that ends it. */
  bind(key, what, run) {
    const binding = { key, what, run };
    bound.unshift(binding); // the newest binding of a key wins
    return () => bound.includes(binding) && bound.splice(bound.indexOf(binding), 1);
  },

  /** What is bound now, one entry for each key: {key, what}. */
  list() {
    return [...new Map(bound.toReversed().map(({ key, what }) => [key, { key, what }])).values()];
  },

  get on() {
    return localStorage.getItem(SWITCH) !== "off";
  },
  set on(on) {
    localStorage.setItem(SWITCH, on ? "on" : "off");
  },
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (["Shift", "CapsLock"].includes(event.key) || document.querySelector("dialog[open]")) return;
  if (!ALWAYS.has(event.key) && (!keys.on || event.target.closest?.(FIELDS))) return;
  const follows = event.timeStamp - pressedAt < SEQUENCE_WITHIN_MS ? pressed : "";
  const binding = find(`${follows} ${event.key}`) ?? find(event.key);
  pressed = event.key;
  pressedAt = event.timeStamp;
  if (!binding) return;
  pressed = "";
  // Enter and Space belong to the control that has the focus.
  if (["Enter", " "].includes(event.key) && event.target.closest?.("a, button, summary")) return;
  event.preventDefault();
  binding.run(event);
});

function find(key) {
  return bound.find((binding) => binding.key === key);
}
