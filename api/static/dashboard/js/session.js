// Who is signed in. The token is in memory and in sessionStorage: never in a URL, a cookie or localStorage.

import { clock } from "./clock.js";
import { ApiError, send } from "./http.js";

const STORED_AS = "chargehand.token";
const ANSWERS_WITHIN_MS = 150; // another tab with a token
const tabs = new BroadcastChannel("chargehand.session");
const listeners = new Map();

let token = null;
let me = null;
let organization = null; // that an admin has chosen
let state = "out"; // "in", or "expired": the token is refused, and the view stays
let waiting = []; // requests without a token: {resolve, reject}

export const session = {
  /** The answer of GET /ocpp/me; null while nobody is signed in. */
  get me() {
    return me;
  },
  /** The organization whose chargers are shown; null for an admin who has chosen none. */
  get organization() {
    return me?.role === "admin" ? organization : (me?.organization_id ?? null);
  },
  get state() {
    return state;
  },
  /** Call `listener` at each "change": of the person, the organization or the state. Returns a function that ends it. */
  on(event, listener) {
    if (!listeners.has(event)) listeners.set(event, new Set());
    listeners.get(event).add(listener);
    return () => listeners.get(event).delete(listener);
  },

  /** Sign in with the token of this tab, or of another one. Raises NetworkError; a refused token is dropped. */
  async start() {
    const known = sessionStorage.getItem(STORED_AS) ?? (await tokenOfAnotherTab());
    if (!known) return;
    try {
      await session.signIn(known);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      sessionStorage.removeItem(STORED_AS);
    }
  },

  /** Raises an Error whose message is a sentence: an ApiError, a NetworkError, or what is wrong with the text. */
  async signIn(text) {
    const given = tokenIn(text);
    const answer = await whoIs(given);
    const same = me && ["subject", "role", "organization_id"].every((key) => me[key] === answer.me[key]);
    clock.set(answer.me.server_time, answer.tookMs);
    token = given;
    me = answer.me;
    state = "in";
    sessionStorage.setItem(STORED_AS, token);
    tabs.postMessage({ type: "token", token });
    const held = waiting.splice(0);
    for (const each of held) same || !each.sent ? each.resolve(token) : each.reject(aborted());
    emit("change", { same: Boolean(same) });
  },

  /** Remove the token here and in every other tab of this browser. */
  signOut() {
    tabs.postMessage({ type: "out" });
    leave();
  },

  /** Show the chargers of this organization; for admins. */
  chooseOrganization(id) {
    if (id === organization) return;
    organization = id || null;
    emit("change", { same: false });
  },

  /** The organization to send as a header; null for users, whose token has it. */
  organizationHeader: () => (me?.role === "admin" ? organization : null),

  /** The token; waits until somebody is signed in. */
  token: ({ signal } = {}) => (state === "in" ? Promise.resolve(token) : wait(signal, false)),

  /** The token that replaces `refused`; waits until somebody has signed in again. Rejected when that is somebody else. */
  renewed(refused, { signal } = {}) {
    if (state === "in" && token !== refused) return Promise.resolve(token);
    session.expire();
    return wait(signal, true);
  },

  /** The token is not valid any more: the view stays, and the sign-in dialog opens. */
  expire() {
    if (state !== "in") return;
    state = "expired";
    emit("change", { same: true });
  },
};

function emit(event, detail) {
  for (const listener of listeners.get(event) ?? []) listener(detail);
}

function leave() {
  sessionStorage.removeItem(STORED_AS);
  token = me = null;
  state = "out";
  for (const each of waiting.splice(0)) each.reject(aborted());
  emit("change", { same: false });
}

function wait(signal, sent) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    waiting.push({ resolve, reject, sent });
    signal?.addEventListener("abort", () => reject(aborted()), { once: true });
  });
}

function aborted() {
  return new DOMException("Somebody else has signed in, or the view was left", "AbortError");
}

function isRefusal(error) {
  return error instanceof NotAToken || (error instanceof ApiError && [401, 403].includes(error.status));
}

class NotAToken extends Error {}

/** The token in a pasted text, without what is often copied with it. Raises NotAToken. */
function tokenIn(text) {
  const found = text.trim().replace(/^(?:authorization: *)?bearer +/i, "").replace(/^["']|["']$/g, "");
  if (!found) throw new NotAToken("Paste a token first.");
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(found)) {
    throw new NotAToken("This is not a token: a token has three parts of letters, digits, - and _, with dots between them.");
  }
  const { exp } = claimsOf(found) ?? {};
  if (typeof exp === "number" && exp * 1000 < clock.now()) {
    throw new NotAToken(`This token expired at ${new Date(exp * 1000).toLocaleString("en-GB")}. Get a new one.`);
  }
  return found;
}

function claimsOf(text) {
  try {
    return JSON.parse(atob(text.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return null;
  }
}

async function whoIs(given) {
  const before = performance.now();
  const response = await send("GET", "/ocpp/me", { token: given });
  return { me: await response.json(), tookMs: performance.now() - before };
}

/** Ask the other tabs of this browser. Null when none has a token. */
function tokenOfAnotherTab() {
  return new Promise((resolve) => {
    const answer = ({ data }) => data.type === "token" && finish(data.token);
    const finish = (found) => {
      tabs.removeEventListener("message", answer);
      resolve(found);
    };
    tabs.addEventListener("message", answer);
    tabs.postMessage({ type: "token?" });
    setTimeout(() => finish(null), ANSWERS_WITHIN_MS);
  });
}

tabs.addEventListener("message", ({ data }) => {
  if (data.type === "token?" && state === "in") tabs.postMessage({ type: "token", token });
  if (data.type === "out" && state !== "out") leave();
  if (data.type === "token" && state !== "in") session.signIn(data.token).catch(() => {});
});
