// Every action that the API offers, as a form.

import { clearFieldErrors, showFormError } from "../../dialog.js";
import { el, fill } from "../../el.js";
import { query, setQuery } from "../../router.js";
import { problemText } from "../../shell/problems.js";
import { draw } from "../draw.js";
import { eventOf, formOf } from "./fields.js";
import { loadGroups, titleOf } from "./kinds.js";
import { makeMisbehaviour } from "./misbehaviour.js";
import { obstacleOf, perform } from "./perform.js";

/** The query has `action`, the name of the one that is shown. `update()` follows the model. */
export function makeActions(model) {
  const body = el("div", {}, el("p", { class: "muted" }, "Loading …"));
  const obstacle = el("div", {});
  const misbehaviour = makeMisbehaviour(model);
  const node = el("section", { class: "panel", aria: { labelledby: "actions-title" } },
    el("h2", { id: "actions-title" }, "Actions"), obstacle, body, misbehaviour.node);
  let form = null;
  load();
  return { node, update };

  async function load() {
    try {
      const groups = await loadGroups();
      form = makeForm(model, groups);
      fill(body, form.node);
      update();
    } catch (error) {
      fill(body, el("div", { class: "note failed" }, "The actions could not be read.", problemText(error)), el("button", { type: "button", class: "button", on: { click: load } }, "Try again"));
    }
  }

  function update() {
    const why = obstacleOf(model);
    draw(obstacle, why, () => [why && el("p", { class: "note moving" }, why)]);
    form?.update(why);
    misbehaviour.update(why);
  }
}

function makeForm(model, groups) {
  const kinds = groups.flatMap((group) => group.kinds);
  const select = el("select", { name: "action" }, groups.map(({ group, kinds: some }) =>
    el("optgroup", { label: group }, some.map((kind) => el("option", { value: kind.name }, titleOf(kind))))));
  const chosen = kinds.find(({ name }) => name === query().get("action")) ?? kinds[0];
  select.value = chosen.name;
  const summary = el("p", { class: "muted" });
  const fields = el("div", { class: "fields" });
  const problem = el("div", { class: "note failed", role: "alert", hidden: true });
  const act = el("button", { type: "submit", class: "button primary" });
  const wait = el("input", { type: "number", name: "wait_s", min: 0, max: 60, step: 1, value: 10 });
  const outcome = el("div", { class: "outcome", role: "status" });
  const form = el("form", { novalidate: true, on: { submit: send } }, summary, fields, problem,
    el("div", { class: "toolbar" }, act, el("label", { class: "choice" }, "Wait for the result, up to", wait, "s")));
  const node = el("div", {}, el("label", { class: "field" }, el("span", {}, "Action"), select), form, outcome);
  let kind = chosen;
  let shownFields = [];
  select.addEventListener("change", () => {
    kind = kinds.find(({ name }) => name === select.value);
    setQuery({ action: kind.name }, { replace: true });
    showKind();
  });
  showKind();
  return { node, update };

  function showKind() {
    fill(outcome);
    problem.hidden = true;
    fill(act, titleOf(kind));
    if (kind.variants) showVariant(Object.keys(kind.variants)[0]);
    else showFields(kind.fields, kind.example, [`${kind.summary}.`, kind.description]);
  }

  /** Only the fields of this variant, after the choice among all of them. */
  function showVariant(value) {
    const { fields: names, required, example, summary: words } = kind.variants[value];
    const choice = kind.fields.find(({ name }) => name === kind.variantOf);
    const its = kind.fields.filter(({ name }) => names.includes(name)).map((field) => ({ ...field, required: required.includes(field.name) }));
    showFields([choice, ...its], { ...example, [kind.variantOf]: value }, [words]);
    const input = form.elements.namedItem(kind.variantOf);
    input.addEventListener("change", () => {
      showVariant(input.value);
      form.elements.namedItem(kind.variantOf).focus();
    });
  }

  function showFields(some, example, texts) {
    shownFields = some;
    fill(summary, texts.filter(Boolean).join(" ").replaceAll("`", ""));
    fill(fields, formOf(some, example, model.charger));
  }

  function update(obstacle) {
    act.disabled = Boolean(obstacle);
    act.title = obstacle ?? "";
  }

  async function send(event) {
    event.preventDefault();
    clearFieldErrors(form);
    problem.hidden = true;
    let entered;
    try {
      entered = eventOf(form, shownFields);
    } catch (error) {
      showFormError(form, problem, error);
      return;
    }
    fill(outcome, `${titleOf(kind)}: sent to the charger`);
    const { ok, words, result, error } = await perform(model, kind.path, entered, { method: kind.method, waitS: wait.value });
    if (error?.items?.some(({ loc }) => loc?.[1] === "event")) showFormError(form, problem, error);
    fill(outcome, el("p", { class: ok ? "" : "failed" }, `${titleOf(kind)}: ${words}`), result && el("pre", { class: "result", tabindex: 0 }, JSON.stringify(result, null, 2)));
  }
}
