// The three states of a charger, as one sentence: desired, what ECS runs, and the link to the CSMS.

import { clock, timeAgo } from "../clock.js";
import { el } from "../el.js";
import { link } from "../router.js";
import { stateBadge } from "../words.js";
import { draw } from "./draw.js";
import { adviceOf, codeLink } from "./errors.js";

/** `does` has what the next steps do: start(), remove(), edit(), showFrames(filters). */
export function makeStates(model, does) {
  const sentence = el("p", { class: "sentence" });
  const list = el("ol", { class: "states" });
  const steps = el("div", { class: "next" });
  const node = el("section", { class: "panel states-panel", aria: { label: "States" } }, sentence, list, steps);
  return { node, update };

  function update() {
    const { charger } = model;
    const { runtime } = charger;
    const stale = isStale(runtime);
    const { status, error, command, control, spec } = charger;
    const host = model.host?.id === runtime.host_id ? model.host : null;
    const key = [runtime, stale, status, error, command, control.connected, spec?.error, host?.state, host?.reason, host?.short_of];
    draw(sentence, key, () => [sentenceOf(charger)]);
    draw(list, key, () => [desired(charger), observed(charger, stale, host), linkState(charger)]);
    draw(steps, key, () => nextSteps(charger, does));
    steps.hidden = !steps.childNodes.length;
  }
}

/** Whether what ECS reported is too old to be believed, by the server's clock. */
export function isStale({ stale_at, stale }) {
  return stale_at ? clock.now() > Date.parse(stale_at) : stale;
}

function sentenceOf({ identity, status, error, runtime }) {
  const { desired, observed, reason, ocpp } = runtime;
  if (status === "FAILED") return `${identity} could not be provisioned: ${error?.message ?? reason ?? "no reason is known"}`;
  if (observed === "unknown") return `${identity} should be ${desired}. What ECS runs is not known yet.`;
  if (desired !== observed) return `${identity} should be ${desired} and is ${observed}${reason ? `: ${reason}` : ""}`;
  if (observed === "stopped") return `${identity} is stopped, as desired, so it has no link to its CSMS.`;
  const runs = `${identity} runs, as desired`;
  if (ocpp.state === "accepted") return `${runs}, and its CSMS has accepted it.`;
  if (!ocpp.state) return `${runs}. Its link to the CSMS is not known yet.`;
  return `${runs}, but its link to the CSMS is ${ocpp.state}${ocpp.reason ? `: ${ocpp.reason}` : ""}`;
}

function state(title, badge, ...facts) {
  return el("li", {}, el("h3", {}, title), badge, facts.filter(Boolean).map((fact) => el("p", {}, fact)));
}

function desired({ runtime, command }) {
  const requested = command && [
    `${command.event_type.replace(/_charger$/, "")} requested `,
    timeAgo(command.created_at),
    ` by ${command.requested_by}`,
  ];
  return state("Desired", stateBadge("observed", runtime.desired), requested, `generation ${runtime.generation}`);
}

function observed({ runtime, status, error }, stale, host) {
  const { observed_generation: applied, generation } = runtime;
  const failure = status === "FAILED" ? error : null;
  const badge = failure ? stateBadge("status", status) : stateBadge("observed", runtime.observed);
  const why = failure?.message ?? runtime.reason;
  const code = failure?.code ?? runtime.reason_code;
  const seen = runtime.observed_at
    ? [stale ? el("strong", { class: "stale" }, "stale: seen ") : "seen ", timeAgo(runtime.observed_at)]
    : "not observed yet";
  return state(runtime.placement === "shared" ? "Host" : "ECS", badge,
    placeOf(runtime),
    runtime.observed_at && ["since ", timeAgo(runtime.observed_since), ", ", seen],
    !runtime.observed_at && seen,
    applied === generation ? `generation ${generation} applied` : `generation ${applied} applied, ${generation} requested`,
    status === "READY" || failure ? null : `provisioning: ${status.toLowerCase()}`,
    why, code && [codeLink(code), " ", adviceOf(code)],
    host && host.state !== "running" && `the host: ${host.state}${host.reason ? `: ${host.reason}` : ""}`,
    ...(host?.short_of ?? []).map((text) => el("strong", { class: "failed" }, `▲ the host is short of ${text}`)));
}

/** Where a shared charger runs. A dedicated one has the place for itself. */
function placeOf({ placement, host_id: id }) {
  if (placement !== "shared") return null;
  if (!id) return "shared, and not on a host yet";
  return ["shared, on ", link(`/dashboard?host_id=${encodeURIComponent(id)}`, id)];
}

function linkState({ runtime }) {
  const { ocpp, desired: wanted, observed: seen } = runtime;
  if (seen === "stopped" || (wanted === "stopped" && !ocpp.state)) {
    return state("Link to the CSMS", stateBadge("link", "not connected"), "the charger is stopped");
  }
  if (!ocpp.state) return state("Link to the CSMS", stateBadge("link", null));
  return state("Link to the CSMS", stateBadge("link", ocpp.state),
    ocpp.since && ["since ", timeAgo(ocpp.since)],
    ocpp.reason,
    ocpp.last_frame_at && ["last frame ", timeAgo(ocpp.last_frame_at)],
    ocpp.stale_reason && el("strong", { class: "stale" }, ocpp.stale_reason));
}

/** The CSMS answers, so its frames say why; else only the events of the connection do. */
function isRefused({ ocpp }) {
  return ["connected", "rejected"].includes(ocpp.state);
}

/** What a person can do about a difference, as buttons and links. */
function nextSteps({ status, runtime, spec }, does) {
  const button = (name, text, act) =>
    el("button", { class: "button quiet", type: "button", data: { focus: name }, on: { click: act } }, text);
  const runs = runtime.desired === "running" && runtime.observed === "running";
  const isLost = runs && runtime.ocpp.state && runtime.ocpp.state !== "accepted";
  return [
    status === "FAILED" && button("next-delete", "Delete it, to create it again", does.remove),
    runtime.desired === "stopped" && status === "READY" && button("next-start", "Start it", does.start),
    isLost && button("next-frames", "See what happened on its link", () => does.showFrames(isRefused(runtime) ? {} : { kind: "connection,remark" })),
    isLost && button("next-edit", "Change the CSMS address", does.edit),
    spec?.error && el("span", {}, "It does not follow its settings: ", spec.error),
    runtime.reason_code === "waiting_for_rate_budget" && link("/dashboard/operations", "See who uses the ECS budget"),
  ].filter(Boolean);
}
